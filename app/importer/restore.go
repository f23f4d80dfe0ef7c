package importer

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/models"
)

// keepAll stores lines, all or none; an *event.EventsError lists those that are refused, and tx stays
// usable.
func (i *importer) keepAll(ctx context.Context, tx *gorm.DB, lines []*line) ([]event.Receipt, error) {
	entryOf := imported
	if i.config.Restore {
		entryOf = restored
	}
	now := models.TransactionNow(tx)
	entries := make([]models.NewEntry, len(lines))
	var refused event.EventsError
	for n, l := range lines {
		var err error
		entries[n], err = entryOf(ctx, l, now)
		refused.Add(n, err)
	}
	if len(refused.Events) > 0 {
		return nil, &refused
	}
	results, err := models.BackfillEntries(ctx, models.HandleOf(tx), entries)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return models.Receipts(entries, results)
}

// imported returns the entry that a line is imported as. That of an exported line keeps its ID, and what
// is known of the log it comes from.
func imported(ctx context.Context, l *line, now time.Time) (models.NewEntry, error) {
	entry, err := models.PastEntryOf(ctx, l.event, now)
	if err == nil && l.exported.entry.ActorID != "" {
		entry.Key, entry.Entry.ID, entry.Entry.Original = nil, l.exported.entry.ID, originalText(&l.exported.entry)
	}
	return entry, err
}

// restored returns the entry that an exported line is put back as: with its ID, the time it was recorded,
// the API key and the request of the export, the app's own entries included. Its origin marks it;
// that it had been imported before is kept beside it. It makes no difference whether audit logging is on.
//
// It is for the operator, who can write to the database anyway: nothing vouches for an export but whoever
// kept it.
func restored(_ context.Context, l *line, now time.Time) (models.NewEntry, error) {
	e := l.exported.entry
	if l.exported.organization == "" {
		return models.NewEntry{}, fault.Newf("organization", event.ErrNoOrganization, "is required")
	}
	if err := event.CheckTime(e.OccurredAt.Time(), now); err != nil {
		return models.NewEntry{}, err
	}
	if e.Origin == models.OriginImport {
		original := models.OriginalOf(e)
		original.Origin = e.Origin
		e.Original = original.Text()
	}
	e.Origin = models.OriginRestore
	return models.NewEntry{
		Organization: models.OrganizationRef{Slug: l.exported.organization}, Entry: e, EvenWhenOff: true,
	}, nil
}
