package audit

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/models"
)

// Restore puts entries back from an export of this log, each as it was: under its own ID, with when it
// was recorded, the API key and the request as the export says, the app's own entries included. What
// marks them is their origin, "restore". It is for the operator, who can write to the database anyway:
// nothing vouches for an export but whoever kept it.
//
// An entry that is there already is left as it is and answered with Receipt.Repeated. As Backfill does,
// Restore stores all or none, and refuses what the organization's retention would not keep; other than
// with Backfill it makes no difference whether audit logging is on.
func Restore(ctx context.Context, tx *gorm.DB, exported []Exported) ([]Receipt, error) {
	now := models.TransactionNow(tx)
	entries := make([]models.NewEntry, len(exported))
	var invalid EventsError
	for i, x := range exported {
		entries[i] = models.NewEntry{
			Organization: models.OrganizationRef{Slug: x.Organization}, Entry: restored(x.entry), EvenWhenOff: true,
		}
		var err error
		if x.Organization == "" {
			err = fmt.Errorf("%w: %s", ErrNoOrganization, namesNone)
		} else {
			_, err = occurredAt(Event{OccurredAt: x.entry.OccurredAt.Time()}, now)
		}
		invalid.add(i, err)
	}
	if len(invalid.Events) > 0 {
		return nil, &invalid
	}
	return backfill(ctx, tx, entries)
}

// restored is an exported entry as it is put back. That it had come into its log from elsewhere is not
// forgotten.
func restored(e models.Entry) models.Entry {
	if e.Origin == models.OriginImport {
		original := models.OriginalOf(e)
		original.Origin = e.Origin
		e.Original = original.Text()
	}
	e.Origin = models.OriginRestore
	return e
}

// backfill stores entries of the past, all or none, and answers with a receipt for each.
func backfill(ctx context.Context, tx *gorm.DB, entries []models.NewEntry) ([]Receipt, error) {
	results, err := models.BackfillEntries(ctx, tx, entries)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	receipts := make([]Receipt, len(entries))
	var refused EventsError
	for i, result := range results {
		receipts[i], err = receiptOf(entries[i], result)
		refused.add(i, err)
	}
	if len(refused.Events) > 0 {
		return nil, &refused
	}
	return receipts, nil
}
