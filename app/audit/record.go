package audit

import (
	"context"
	"crypto/sha256"
	"strconv"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/models"
)

// Record stores event in tx, the caller's transaction (or a plain *gorm.DB for one of its own).
//
// What commits is in the log; what rolls back is not. When audit logging is off for the
// organization the event is checked all the same, nothing is stored, and Receipt.Stored is false. Only
// what the web app records of itself is stored even then (the actions of the group action.Access,
// OrganizationAuditConfigUpdate and whatever its pages change), and OrganizationDelete. The switch is
// read by the inserting statement itself or, of several events and of one with an ID, related resources or a principal,
// just before.
//
// Errors: ErrNoOrganization, ErrOrganizationClosed, ErrNoActor, ErrExpired, ErrIDReused and
// *InvalidEventError leave the transaction usable, and so do ErrNoHandle, ErrHandleFailed, ErrHandleClosed,
// ErrWrongDialect and, see Strict, ErrNoTransaction and ErrUnregisteredAction. Anything else comes from the
// database, such as ErrNotMigrated.
//
// When it is recorded is the real time, whatever NowFunc of tx says. In a dry run (gorm.Session's DryRun)
// the event is checked and nothing is asked of the database, nor stored: Receipt.Stored is false.
//
// Recording takes no lock that another transaction would wait for; only an event with an ID waits
// for a transaction that is recording the same ID.
func Record(ctx context.Context, tx *gorm.DB, event Event) (Receipt, error) {
	return record(ctx, overGORM(tx), event)
}

func record(ctx context.Context, in handle, event Event) (Receipt, error) {
	if err := in.check(ctx); err != nil {
		return Receipt{}, err
	}
	entry, err := entryOf(ctx, event, in.Now())
	if err != nil {
		return Receipt{}, err
	}
	result, err := models.InsertEntry(ctx, in.Handle, entry)
	if err != nil {
		return Receipt{}, in.databaseError(ctx, err)
	}
	return result.Receipt(entry)
}

// RecordAll stores events in tx as Record would, in a few statements however many they are, and
// returns a receipt for each. It is all or nothing: where one event cannot be stored, none is,
// and an *EventsError lists every event that was refused; tx stays usable then.
func RecordAll(ctx context.Context, tx *gorm.DB, events []Event) ([]Receipt, error) {
	return recordAll(ctx, overGORM(tx), events)
}

func recordAll(ctx context.Context, in handle, events []Event) ([]Receipt, error) {
	if err := in.check(ctx); err != nil {
		return nil, err
	}
	now := in.Now()
	entries, err := entriesOf(events, func(e Event) (models.NewEntry, error) { return entryOf(ctx, e, now) })
	if err != nil {
		return nil, err
	}
	results, err := models.InsertEntries(ctx, in.Handle, entries, models.BatchOptions{AllOrNothing: true})
	if err != nil {
		return nil, in.databaseError(ctx, err)
	}
	return models.Receipts(entries, results)
}

// entriesOf checks events and makes rows of them, or returns an *EventsError.
func entriesOf(events []Event, entryOf func(Event) (models.NewEntry, error)) ([]models.NewEntry, error) {
	entries := make([]models.NewEntry, len(events))
	var refused EventsError
	for i, event := range events {
		var err error
		entries[i], err = entryOf(event)
		refused.Add(i, err)
	}
	if len(refused.Events) > 0 {
		return nil, &refused
	}
	return entries, nil
}

// entryOf checks an event and makes the row of it.
func entryOf(ctx context.Context, e Event, now time.Time) (models.NewEntry, error) {
	resolved, err := event.Resolve(ctx, e, now)
	if err != nil {
		return models.NewEntry{}, err
	}
	entry := models.NewEntryOf(ctx, resolved, now)
	if e.ID != "" {
		entry.Key = eventKey(e, &entry.Entry)
	}
	return entry, nil
}

// eventKey is what Event.ID is remembered by. Two events with the ID are the same if they agree in
// all they say; where the request came from, and how metadata is laid out, makes no difference.
func eventKey(e Event, entry *models.Entry) *models.EventKey {
	said := make([]byte, 0, 512)
	for _, text := range []string{entry.Action, entry.EntityType, entry.EntityID, entry.EntityName, entry.ActorID,
		entry.ActorName, entry.ActorEmail, entry.Source, entry.URL, entry.Metadata} {
		said = append(append(said, text...), 0)
	}
	if !e.OccurredAt.IsZero() {
		said = strconv.AppendInt(said, int64(entry.OccurredAt), 10)
	}
	said = append(said, entry.Further()...) // begins with a bracket, or is not there
	return &models.EventKey{Hash: sha256.Sum256([]byte(e.ID)), Fingerprint: sha256.Sum256(said)}
}
