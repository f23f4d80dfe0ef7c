package models

import (
	"context"
	"errors"
)

// Entry finds one entry with its metadata, or ErrNotFound (expired and foreign ones included).
//
// Whoever has the ID of an entry finds it at once, also who was given it by the one who recorded it:
// what a copy of the log does not hold yet is looked for in the primary.
func (s *Store) Entry(ctx context.Context, org Organization, id EntryID) (Entry, error) {
	entry, err := s.findEntry(ctx, org, id)
	if errors.Is(err, ErrNotFound) && s.copies && VisitOf(ctx).LeaveCopies() {
		return s.findEntry(ctx, org, id)
	}
	return entry, err
}
