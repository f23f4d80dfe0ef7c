package entries

import (
	"context"
	"errors"

	"github.com/auditlogs/auditlogs/models"
)

// models.Entry finds one entry with its metadata, or models.ErrNotFound (expired and foreign ones included).
//
// Whoever has the ID of an entry finds it at once, also who was given it by the one who recorded it:
// what a copy of the log does not hold yet is looked for in the primary.
func (s *Log) Find(ctx context.Context, org models.Organization, id models.EntryID) (models.Entry, error) {
	entry, err := s.findEntry(ctx, org, id)
	if errors.Is(err, models.ErrNotFound) && s.LeaveCopies(ctx) {
		return s.findEntry(ctx, org, id)
	}
	return entry, err
}
