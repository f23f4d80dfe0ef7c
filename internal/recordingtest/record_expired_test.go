package recordingtest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

// midMonth is far from the end of any month.
var midMonth = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

// keeping is a database at midMonth whose organization acme keeps entries for 7 days.
func keeping(t *testing.T, db *database.DB) *gorm.DB {
	t.Helper()
	at := models.WithClock(db.Write, func() time.Time { return midMonth })
	ensure(t, at, audit.Organization{Slug: "acme", ExternalID: "t-1"})
	set(t, at, "UPDATE audit_organizations SET retention_days = 7")
	return at
}

func daysAgo(days int, change ...func(*audit.Event)) audit.Event {
	e := anEvent(change...)
	e.OccurredAt = midMonth.AddDate(0, 0, -days)
	return e
}

func named(id string) func(*audit.Event) { return func(e *audit.Event) { e.ID = id } }

func about(entity string) func(*audit.Event) { return func(e *audit.Event) { e.EntityID = entity } }

func byExternalID(e *audit.Event) { e.Organization, e.ExternalID = "", "t-1" }

func TestAnEventThatHasExpiredIsRefused(t *testing.T) {
	recorders := map[string]func(ctx context.Context, tx *gorm.DB, e audit.Event) error{
		"Record": func(ctx context.Context, tx *gorm.DB, e audit.Event) error {
			_, err := audit.Record(ctx, tx, e)
			return err
		},
		"RecordAll": func(ctx context.Context, tx *gorm.DB, e audit.Event) error {
			_, err := audit.RecordAll(ctx, tx, []audit.Event{e})
			return err
		},
		"Backfill": func(ctx context.Context, tx *gorm.DB, e audit.Event) error {
			if e.ID == "" {
				e.ID = "x" + e.ExternalID
			}
			_, err := audit.Backfill(ctx, tx, []audit.Event{e})
			return err
		},
	}
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		at := keeping(t, db)
		for name, record := range recorders {
			for _, e := range []audit.Event{daysAgo(8), daysAgo(8, named(name)), daysAgo(8, byExternalID)} {
				err := at.Transaction(func(tx *gorm.DB) error {
					err := record(t.Context(), tx, e)
					var field *fault.Field
					if !errors.Is(err, audit.ErrExpired) || !errors.As(err, &field) || field.Field != "occurred_at" ||
						!strings.HasSuffix(field.Reason, "2026-06-07T12:00:00Z is before 2026-06-08T12:00:00Z") {
						t.Errorf("%s answers %v", name, err)
					}
					// The transaction is as it was, and the event's ID is free.
					e.OccurredAt = midMonth.AddDate(0, 0, -7)
					return record(t.Context(), tx, e)
				})
				if err != nil {
					t.Errorf("%s of the oldest that is kept: %v", name, err)
				}
			}
		}
		rows := len(entries(t, at))
		if rows != 9 {
			t.Errorf("%d entries, want the 9 that are kept", rows)
		}
		// What a lowered retention let expire stays so, and the check is made although logging is off.
		set(t, at, "UPDATE audit_organizations SET retention_days = 365, expired_before = ?, logging_enabled = ?",
			models.MicrosOf(midMonth.AddDate(0, 0, -3)), false)
		for name, record := range recorders {
			if err := record(t.Context(), at, daysAgo(4)); !errors.Is(err, audit.ErrExpired) {
				t.Errorf("%s: of what had expired, while logging is off: %v", name, err)
			}
			if err := record(t.Context(), at, daysAgo(2)); err != nil {
				t.Errorf("%s while logging is off: %v", name, err)
			}
		}
		// A shorter retention that waits holds from its moment on.
		set(t, at, "UPDATE audit_organizations SET retention_days = 30, expired_before = 0, pending_retention_days = 5, pending_from = ?",
			models.MicrosOf(midMonth)+1)
		for name, record := range recorders {
			if err := record(t.Context(), at, daysAgo(6)); err != nil {
				t.Errorf("%s before a shorter retention is in force: %v", name, err)
			}
			later := models.WithClock(db.Write, func() time.Time { return midMonth.Add(time.Second) })
			if err := record(t.Context(), later, daysAgo(6)); !errors.Is(err, audit.ErrExpired) {
				t.Errorf("%s once a shorter retention is in force: %v", name, err)
			}
		}
		if n := len(entries(t, at)); n != rows {
			t.Errorf("%d entries more", n-rows)
		}
	})
}

func TestOfSeveralEventsEachThatHasExpiredIsNamed(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		at := keeping(t, db)
		ensure(t, at, audit.Organization{Slug: "other"})
		other := func(e *audit.Event) { e.Organization = "other" } // keeps 90 days
		events := []audit.Event{daysAgo(1), daysAgo(8), daysAgo(8, other), daysAgo(9, named("1")), daysAgo(9, named("1"))}
		for range 2 { // nothing is remembered of the first time
			_, err := audit.RecordAll(t.Context(), at, events)
			var refused *audit.EventsError
			if !errors.As(err, &refused) || len(refused.Events) != 3 || refused.Events[0].Index != 1 || refused.Events[1].Index != 3 ||
				refused.Events[2].Index != 4 || !errors.Is(refused.Events[2].Err, audit.ErrExpired) {
				t.Fatalf("answers %v", err)
			}
		}
		if n := len(entries(t, at)); n != 0 {
			t.Errorf("%d entries of a call that was refused", n)
		}

		batcher, err := audit.NewBatcher(at, audit.BatcherConfig{})
		if err != nil {
			t.Fatal(err)
		}
		outcomes := make(chan error, len(events))
		for _, e := range events {
			go func() { _, err := batcher.Record(t.Context(), e); outcomes <- err }()
		}
		expired := 0
		for range events {
			if err := <-outcomes; errors.Is(err, audit.ErrExpired) {
				expired++
			} else if err != nil {
				t.Error(err)
			}
		}
		if err := batcher.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if stats := batcher.Stats(); expired != 3 || stats.Refused != 3 || stats.Recorded != 2 || len(entries(t, at)) != 2 {
			t.Errorf("%d expired, %d entries, %+v", expired, len(entries(t, at)), stats)
		}
	})
}

// A repeat is answered as the first time, also when a new event of that time would be refused.
func TestARepeatIsAnsweredAfterTheEventHasExpired(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		at := keeping(t, db)
		e := daysAgo(7, named("1"))
		first, err := audit.Record(t.Context(), at, e)
		if err != nil {
			t.Fatal(err)
		}
		later := models.WithClock(db.Write, func() time.Time { return midMonth.Add(time.Hour) })
		again, err := audit.Record(t.Context(), later, e)
		if err != nil || !again.Repeated || !again.Stored || again.EntryID != first.EntryID {
			t.Errorf("answers %+v, %v", again, err)
		}
		if _, err := audit.Record(t.Context(), later, daysAgo(7, named("2"))); !errors.Is(err, audit.ErrExpired) {
			t.Errorf("another one answers %v", err)
		}
	})
}

// What search looks through names the entries that are kept, and no others.
func TestEntitiesOfEventsThatHaveExpiredAreNotNamed(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		at := keeping(t, db)
		fresh := func(e *audit.Event) { e.Actor = audit.Actor{ID: "u2"} }
		var batch []models.NewEntry
		for _, e := range []audit.Event{
			daysAgo(9, about("both")), daysAgo(1, about("both"), fresh), daysAgo(8, about("both")),
			daysAgo(1, about("first"), fresh), daysAgo(8, about("first")), daysAgo(8, about("gone")),
		} {
			batch = append(batch, models.NewEntry{Organization: models.OrganizationRef{Slug: "acme"}, Entry: models.Entry{
				ID: models.NewEntryID(models.MicrosOf(e.OccurredAt)), OccurredAt: models.MicrosOf(e.OccurredAt), Action: string(e.Action),
				EntityType: "service", EntityID: e.EntityID, ActorID: e.Actor.ID, ActorName: e.Actor.ID}})
		}
		results, err := models.InsertEntries(t.Context(), models.HandleOf(at), batch, models.BatchOptions{Names: &models.NameCache{}})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []models.InsertOutcome{models.Expired, models.Inserted, models.Expired, models.Inserted, models.Expired, models.Expired} {
			if results[i].Outcome != want {
				t.Errorf("outcome %d is %d, want %d", i, results[i].Outcome, want)
			}
		}
		for table, want := range map[string]string{"audit_entities.entity_id": "both,first", "audit_actors.actor_id": "u2"} {
			table, column, _ := strings.Cut(table, ".")
			var names []string
			if err := at.Table(table).Distinct(column).Order(column).Pluck(column, &names).Error; err != nil || strings.Join(names, ",") != want {
				t.Errorf("%s names %s, want %s (%v)", table, names, want, err)
			}
		}
	})
}
