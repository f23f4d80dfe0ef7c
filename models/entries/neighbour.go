package entries

import (
	"context"

	"github.com/auditlogs/auditlogs/models"
)

// Neighbour reads the one entry that q finds on the other side of a place in its order: the next one behind
// CursorAfter an entry, the previous one ahead of CursorBefore it, or nil at the end. It takes no more than a page may:
// where that was not far enough, looked is how far it looked.
func (l *Log) Neighbour(ctx context.Context, org models.Organization, q Query, place *Cursor) (found *models.Entry, looked *Cursor, err error) {
	q.Cursor, q.Limit = place, 1
	p, err := l.plan(ctx, org, q.withDefaults())
	if err != nil {
		return nil, nil, err
	}
	w := l.walk(p, p.listed())
	switch entries, err := w.next(ctx, 1); {
	case err != nil:
		return nil, nil, err
	case len(entries) > 0:
		return &entries[0], nil, nil
	case w.spent:
		return nil, &Cursor{Before: place.Before, Value: w.at.group.value, ID: w.at.id}, nil
	}
	return nil, nil, nil
}
