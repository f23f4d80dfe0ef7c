package audit

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/models"
)

// Backfill stores events of the past in tx, in a few statements however many they are, and answers
// with a receipt for each. It is for taking over a history that was kept elsewhere: every event needs
// an ID and OccurredAt, which together say what has been stored before. Storing an event again
// changes nothing, whenever that is, and is answered with Receipt.Repeated; no other memory of IDs is
// kept, so a history may be as long as it likes.
//
// It is all or nothing, as RecordAll is: an *EventsError lists every event that was refused, and tx
// stays usable. Besides what Record refuses it refuses with ErrExpired what the organization's
// retention would not keep, and with ErrIDReused an ID that stands for another event at the same
// time.
//
// Where audit logging is off nothing is stored, as with Record.
func Backfill(ctx context.Context, tx *gorm.DB, events []Event) ([]Receipt, error) {
	now := models.TransactionNow(tx)
	entries := make([]models.NewEntry, len(events))
	var invalid EventsError
	for i, event := range events {
		err := dated(event)
		if err == nil {
			entries[i], err = entryOf(ctx, event, now)
		}
		invalid.add(i, err)
	}
	if len(invalid.Events) > 0 {
		return nil, &invalid
	}
	results, err := models.BackfillEntries(ctx, tx, entries)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	receipts := make([]Receipt, len(entries))
	var refused EventsError
	for i, result := range results {
		if result.Outcome == models.Expired {
			refused.add(i, fmt.Errorf("%w: %s is before %s", ErrExpired,
				events[i].OccurredAt.UTC().Format(time.RFC3339), result.KeptSince.Time().Format(time.RFC3339)))
			continue
		}
		receipts[i], err = receiptOf(entries[i], result.InsertResult)
		refused.add(i, err)
	}
	if len(refused.Events) > 0 {
		return nil, &refused
	}
	return receipts, nil
}

// dated refuses events that do not say which entry is theirs.
func dated(event Event) error {
	switch {
	case event.ID == "":
		return &InvalidEventError{"id", "is required"}
	case event.OccurredAt.IsZero():
		return &InvalidEventError{"occurred_at", "is required"}
	default:
		return nil
	}
}
