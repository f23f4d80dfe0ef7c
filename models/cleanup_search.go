package models

import (
	"context"
	"fmt"

	"gorm.io/gorm"
)

// DeferSearchMerge keeps SQLite from merging deleted rows out of its full-text index as they are
// deleted, which can take seconds at a time while nobody records. MergeSearch does it instead. On
// PostgreSQL it does nothing.
func (s *Store) DeferSearchMerge(ctx context.Context) error {
	if s.Dialect() != "sqlite" {
		return nil
	}
	err := s.Writer(ctx).Exec(`INSERT INTO audit_entities_search (audit_entities_search, rank) SELECT 'deletemerge', 0
		WHERE NOT EXISTS (SELECT 1 FROM audit_entities_search_config WHERE k = 'deletemerge' AND v = 0)`).Error
	if err != nil {
		return fmt.Errorf("set up the search index: %w", err)
	}
	return nil
}

// MergeSearch rewrites about so many pages of SQLite's full-text index without what was deleted, and
// reports whether there are more. begin starts with the whole index, other calls go on. On PostgreSQL,
// whose vacuum does that, it does nothing.
func (s *Store) MergeSearch(ctx context.Context, pages int, begin bool) (more bool, err error) {
	if s.Dialect() != "sqlite" {
		return false, nil
	}
	if begin {
		pages = -pages
	}
	err = s.Transaction(ctx, func(tx *gorm.DB) error {
		var before, after int
		if err := tx.Raw("SELECT total_changes()").Scan(&before).Error; err != nil {
			return err
		}
		if err := tx.Exec("INSERT INTO audit_entities_search (audit_entities_search, rank) VALUES ('merge', ?)", pages).Error; err != nil {
			return err
		}
		err := tx.Raw("SELECT total_changes()").Scan(&after).Error
		more = after-before >= 2 // the insert itself is one
		return err
	})
	if err != nil {
		return false, fmt.Errorf("merge the search index: %w", err)
	}
	return more, nil
}
