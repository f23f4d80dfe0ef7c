package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/migrations"
)

// Recorder records events outside of a caller's transaction. Record returns once the event is
// safely kept, or with an error that says why it is not. Batcher and Client are recorders; so is
// the one in memory that package audittest has for tests.
type Recorder interface {
	Record(ctx context.Context, event Event) (Receipt, error)
}

// Record stores event in tx, the caller's transaction (or a plain *gorm.DB for one of its own).
//
// What commits is in the log; what rolls back is not. When audit logging is off for the
// organization the event is checked all the same, nothing is stored, and Receipt.Stored is false. Only
// what the web app records of itself is stored even then (the actions of AccessGroup,
// OrganizationAuditConfigUpdate and whatever its pages change), and OrganizationDelete. The switch is
// read by the inserting statement itself.
//
// Errors: ErrNoOrganization, ErrOrganizationClosed, ErrNoActor, ErrExpired, ErrIDReused and
// *InvalidEventError leave the transaction usable; anything else comes from the database.
//
// When it is recorded is the real time, whatever NowFunc of tx says. In a dry run (gorm.Session's DryRun)
// the event is checked and nothing is asked of the database, nor stored: Receipt.Stored is false.
//
// Recording takes no lock that another transaction would wait for; only an event with an ID waits
// for a transaction that is recording the same ID.
func Record(ctx context.Context, tx *gorm.DB, event Event) (Receipt, error) {
	entry, err := entryOf(ctx, event, models.TransactionNow(tx))
	if err != nil {
		return Receipt{}, err
	}
	result, err := models.InsertEntry(ctx, tx, entry)
	if err != nil {
		return Receipt{}, fmt.Errorf("audit: %w", err)
	}
	return receiptOf(entry, result)
}

// RecordAll stores events in tx as Record would, in a few statements however many they are, and
// answers with a receipt for each. It is all or nothing: where one event cannot be stored, none is,
// and an *EventsError lists every event that was refused; tx stays usable then.
func RecordAll(ctx context.Context, tx *gorm.DB, events []Event) ([]Receipt, error) {
	entries, err := entriesOf(ctx, events, models.TransactionNow(tx))
	if err != nil {
		return nil, err
	}
	results, err := models.InsertEntries(ctx, tx, entries, models.BatchOptions{AllOrNothing: true})
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	receipts := make([]Receipt, len(entries))
	var refused EventsError
	for i := range entries {
		receipts[i], err = receiptOf(entries[i], results[i])
		refused.add(i, err)
	}
	if len(refused.Events) > 0 {
		return nil, &refused
	}
	return receipts, nil
}

// Validate checks event as Record would, without a database: it answers nil, ErrNoOrganization
// where the event names none, ErrNoActor or an *InvalidEventError.
func Validate(ctx context.Context, event Event) error {
	_, err := entryOf(ctx, event, time.Now())
	return err
}

// ValidateAll checks events as RecordAll would at the moment now, without a database: it answers nil
// or an *EventsError.
func ValidateAll(ctx context.Context, events []Event, now time.Time) error {
	_, err := entriesOf(ctx, events, now)
	return err
}

// entriesOf checks events and makes rows of them, or answers with an *EventsError.
func entriesOf(ctx context.Context, events []Event, now time.Time) ([]models.NewEntry, error) {
	entries := make([]models.NewEntry, len(events))
	var refused EventsError
	for i, event := range events {
		var err error
		entries[i], err = entryOf(ctx, event, now)
		refused.add(i, err)
	}
	if len(refused.Events) > 0 {
		return nil, &refused
	}
	return entries, nil
}

// receiptOf answers for what became of an entry.
func receiptOf(entry models.NewEntry, result models.InsertResult) (Receipt, error) {
	organization := entry.Organization.Slug + entry.Organization.ExternalID
	switch result.Outcome {
	case models.Inserted:
		return Receipt{EntryID: result.ID.String(), Stored: true, Repeated: result.Repeated}, nil
	case models.LoggingOff:
		return Receipt{Repeated: result.Repeated}, nil
	case models.OrganizationUnknown:
		return Receipt{}, fmt.Errorf("%w: %q", ErrNoOrganization, organization)
	case models.OrganizationClosed:
		return Receipt{}, fmt.Errorf("%w: %q", ErrOrganizationClosed, organization)
	case models.Expired:
		return Receipt{}, fmt.Errorf("%w: %s is before %s", ErrExpired,
			entry.Entry.OccurredAt.Time().Format(time.RFC3339), result.KeptSince.Time().Format(time.RFC3339))
	case models.DryRun:
		return Receipt{}, nil
	case models.KeyReused:
		return Receipt{}, ErrIDReused
	default:
		return Receipt{}, errors.New("audit: unknown outcome")
	}
}

// storedWhenOff says which events are kept while audit logging is off: what the web app records of
// itself, and that the organization is gone. Nothing that comes from outside.
func storedWhenOff(ctx context.Context, action Action) bool {
	if isFromOutside(ctx) {
		return false
	}
	return ownActions[action] || action == OrganizationDelete || models.IsAdministration(ctx)
}

// Migrate creates or updates the tables of the audit log in db; all their names begin with
// "audit_". Safe to call from several hosts at once. In a dry run it does nothing.
func Migrate(ctx context.Context, db *gorm.DB) error {
	if db.DryRun {
		return nil
	}
	pool, err := db.DB()
	if err != nil {
		return fmt.Errorf("audit: migrate: %w", err)
	}
	if _, err := migrations.Up(ctx, pool, db.Dialector.Name()); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}
