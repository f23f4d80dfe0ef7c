package entries

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/models"
)

// Log answers questions about the entries of organizations' logs.
type Log struct {
	*models.Store
	merge  merger
	finder finder
	bound  bound
	effort effort
}

// NewLog asks the database that store keeps the log in.
func NewLog(store *models.Store) *Log {
	l := &Log{Store: store, merge: postgres{}, finder: postgres{}, bound: usualBound, effort: usualEffort}
	if store.Dialect() == "sqlite" {
		l.merge, l.finder = sqlite{}, sqlite{}
	}
	return l
}

// bound is how much one page may take, so that none takes longer than tens of milliseconds.
type bound struct {
	runs int // of an index that are begun
	rows int // that are looked through
}

var usualBound = bound{runs: 3000, rows: 50_000}

// Find finds one entry with its metadata, or models.ErrNotFound (expired and foreign ones included).
//
// Whoever has the ID of an entry finds it at once, also who was given it by the one who recorded it:
// what a copy of the log does not hold yet is looked for in the primary.
func (l *Log) Find(ctx context.Context, org models.Organization, id models.EntryID) (models.Entry, error) {
	entry, err := l.findIn(ctx, org, id)
	if errors.Is(err, models.ErrNotFound) && l.LeaveCopies(ctx) {
		return l.findIn(ctx, org, id)
	}
	return entry, err
}

func (l *Log) findIn(ctx context.Context, org models.Organization, id models.EntryID) (models.Entry, error) {
	var entry models.Entry
	err := l.LogReader(ctx).Where("org_id = ? AND id = ? AND id >= ?", org.ID, id, l.firstVisible(org)).Take(&entry).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return models.Entry{}, fmt.Errorf("entry %s of %s: %w", id, org.Slug, models.ErrNotFound)
	}
	if err != nil {
		return models.Entry{}, fmt.Errorf("find entry %s of %s: %w", id, org.Slug, err)
	}
	return entry, nil
}

// firstVisible is the smallest ID of an entry that has not expired.
func (l *Log) firstVisible(org models.Organization) models.EntryID {
	return models.FirstEntryID(org.KeptSince(l.Now()))
}

// CountBefore counts the visible entries that occurred before t, up to atMost. The answer is what somebody
// decides by: it comes from the primary. It is in order so that PostgreSQL keeps to the index: in any order it
// would rather read the whole table where few pages are marked as visible to all.
func (l *Log) CountBefore(ctx context.Context, org models.Organization, t models.Micros, atMost int) (int, error) {
	var count int
	err := l.Reader(ctx).Raw(`SELECT COUNT(*) FROM (
	SELECT 1 FROM audit_entries WHERE org_id = ? AND id >= ? AND id < ? ORDER BY id LIMIT ?) AS first`,
		org.ID, l.firstVisible(org), models.FirstEntryID(t), atMost).Scan(&count).Error
	if err != nil {
		return 0, fmt.Errorf("count entries of %s: %w", org.Slug, err)
	}
	return count, nil
}
