package models

import (
	"context"
	"database/sql"
	"fmt"
)

// sparePages is how much free space a SQLite database keeps for what is recorded next: one page
// in this many, and at least minSparePages.
const (
	spareShare    = 20
	minSparePages = 256
)

// GiveBackSpace returns up to pages free pages of a SQLite database file to the file system, and
// reports whether it keeps more than it needs. Each call is one short write. PostgreSQL's autovacuum
// makes room for new rows by itself; there it does nothing.
func (s *Store) GiveBackSpace(ctx context.Context, pages int) (more bool, err error) {
	if s.Dialect() != "sqlite" {
		return false, nil
	}
	before, spare, err := s.freePages(ctx)
	if err != nil || before <= spare {
		return false, err
	}
	pool, err := s.Writer(ctx).DB()
	if err != nil {
		return false, fmt.Errorf("give back space: %w", err)
	}
	// The statement frees one page a step, and every step answers with a row.
	rows, err := pool.QueryContext(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", min(pages, before-spare)))
	if err != nil {
		return false, fmt.Errorf("give back space: %w", err)
	}
	if err := drain(rows); err != nil {
		return false, fmt.Errorf("give back space: %w", err)
	}
	after, spare, err := s.freePages(ctx)
	// A file made without auto_vacuum=INCREMENTAL cannot shrink: do not try for ever.
	return after > spare && after < before, err
}

// freePages is how many pages of the database file are unused, and how many of them to keep.
func (s *Store) freePages(ctx context.Context) (free, spare int, err error) {
	var pages int
	if err := s.Writer(ctx).Raw("PRAGMA freelist_count").Scan(&free).Error; err != nil {
		return 0, 0, fmt.Errorf("count free pages: %w", err)
	}
	if err := s.Writer(ctx).Raw("PRAGMA page_count").Scan(&pages).Error; err != nil {
		return 0, 0, fmt.Errorf("count pages: %w", err)
	}
	return free, max(minSparePages, pages/spareShare), nil
}

func drain(rows *sql.Rows) error {
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}
