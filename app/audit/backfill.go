package audit

import (
	"context"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/models"
)

// Backfill stores events of the past in tx, in a few statements however many they are, and returns
// a receipt for each. It is for taking over a history that was kept elsewhere: every event needs
// an ID and OccurredAt, which together identify what has been stored before. Storing an event again
// changes nothing, whenever that is, and returns a Receipt with Repeated; no other memory of IDs is
// kept, so a history may be as long as it likes.
//
// It is all or nothing, as RecordAll is: an *EventsError lists every event that was refused, and tx
// stays usable. Besides what Record refuses it refuses with ErrIDReused an ID that stands for another
// event at the same time.
//
// Where audit logging is off nothing is stored, as with Record. What is stored is marked as imported,
// whoever calls: nobody vouches here for when it happened but the history itself. So the web app's own
// actions are refused as well, see event.FromOutside.
func Backfill(ctx context.Context, tx *gorm.DB, events []Event) ([]Receipt, error) {
	return backfill(ctx, overGORM(tx), events)
}

func backfill(ctx context.Context, in handle, events []Event) ([]Receipt, error) {
	if err := in.check(ctx); err != nil {
		return nil, err
	}
	now := in.Now()
	entries, err := entriesOf(events, func(e Event) (models.NewEntry, error) { return models.PastEntryOf(ctx, e, now) })
	if err != nil {
		return nil, err
	}
	results, err := models.BackfillEntries(ctx, in.Handle, entries)
	if err != nil {
		return nil, in.databaseError(ctx, err)
	}
	return models.Receipts(entries, results)
}
