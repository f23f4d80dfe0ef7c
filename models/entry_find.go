package models

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"
)

// FindEntry finds one entry with its metadata, or ErrNotFound (expired, foreign and hidden ones included).
//
// Whoever has the ID of an entry finds it at once, also who was given it by the one who recorded it:
// what a copy of the log does not hold yet is looked for in the primary.
func (s *Store) FindEntry(ctx context.Context, org Organization, id EntryID) (entry Entry, err error) {
	for copies := true; copies; copies = errors.Is(err, gorm.ErrRecordNotFound) && s.LeaveCopies(ctx) {
		err = s.LogReader(ctx).Where("org_id = ? AND id = ? AND id >= ?",
			org.ID, id, FirstEntryID(org.KeptSince(s.Now()))).Take(&entry).Error
	}
	if errors.Is(err, gorm.ErrRecordNotFound) || err == nil && org.Hidden.Hides(&entry) {
		err = ErrNotFound
	}
	if err != nil {
		return Entry{}, fmt.Errorf("find entry %s of %s: %w", id, org.Slug, err)
	}
	org.Hidden.Strip(&entry)
	err = ReadParts(ctx, s.LogReader(ctx), org.ID, &entry)
	return entry, err
}

// CountBefore counts the visible entries that occurred before t, up to atMost. The answer is what somebody
// decides by: it comes from the primary. It is in order so that PostgreSQL keeps to the index: in any order it
// would rather read the whole table where few pages are marked as visible to all.
func (s *Store) CountBefore(ctx context.Context, org Organization, t Micros, atMost int) (int, error) {
	var count int
	err := s.Reader(ctx).Raw(`SELECT COUNT(*) FROM (
	SELECT 1 FROM audit_entries WHERE org_id = ? AND id >= ? AND id < ? ORDER BY id LIMIT ?) AS first`,
		org.ID, FirstEntryID(org.KeptSince(s.Now())), FirstEntryID(t), atMost).Scan(&count).Error
	if err != nil {
		return 0, fmt.Errorf("count entries of %s: %w", org.Slug, err)
	}
	return count, nil
}
