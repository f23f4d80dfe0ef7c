package recordingtest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// past is an event of an hour ago with the ID.
func past(id string, change ...func(*audit.Event)) audit.Event {
	e := anEvent(change...)
	e.ID = id
	if e.OccurredAt.IsZero() {
		e.OccurredAt = time.Now().Add(-time.Hour).Truncate(time.Hour)
	}
	return e
}

func TestBackfillStoresEveryEventOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		ensure(t, db.Write, audit.Organization{ExternalID: "t-2", Name: "Beta"})
		var events []audit.Event
		for i := range 1200 {
			events = append(events, past(fmt.Sprint(i), func(e *audit.Event) {
				if i%2 == 0 {
					e.Organization, e.ExternalID = "", "t-2"
				}
			}))
		}
		events = append(events, events[7]) // once more in one go
		first, err := audit.Backfill(t.Context(), db.Write, events)
		if err != nil {
			t.Fatal(err)
		}
		if n := count(t, db.Write, "audit_entries"); n != 1200 {
			t.Fatalf("%d entries, want 1200", n)
		}
		if n := count(t, db.Write, "audit_event_keys"); n != 0 {
			t.Errorf("%d IDs are remembered", n)
		}
		again, err := audit.Backfill(t.Context(), db.Write, append(events, past("new")))
		if err != nil {
			t.Fatal(err)
		}
		for i := range first {
			if first[i].EntryID != again[i].EntryID || first[i].Repeated != (i == 1200) || !again[i].Repeated || !again[i].Stored {
				t.Fatalf("event %d: %+v, the second time %+v", i, first[i], again[i])
			}
		}
		if last := again[1201]; last.Repeated || !last.Stored {
			t.Errorf("a new one among them: %+v", last)
		}
		// The application recorded it itself, with the same ID and time.
		if receipt, err := audit.Record(t.Context(), db.Write, events[1]); err != nil || receipt.EntryID != first[1].EntryID {
			t.Errorf("Record answers %+v, %v, Backfill %+v", receipt, err, first[1])
		}
		if n := count(t, db.Write, "audit_entries"); n != 1201 {
			t.Errorf("%d entries, want 1201", n)
		}
	})
}

func TestBackfillIsAllOrNothing(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		ensure(t, db.Write, audit.Organization{Slug: "closed"})
		set(t, db.Write, "UPDATE audit_organizations SET closed_at = 1 WHERE slug = 'closed'")
		if _, err := audit.Backfill(t.Context(), db.Write, []audit.Event{past("taken")}); err != nil {
			t.Fatal(err)
		}
		other := past("twice", func(e *audit.Event) { e.EntityName = "another" })
		for name, tc := range map[string]struct {
			bad           audit.Event
			field, reason string
		}{
			"no ID":                   {past(""), "id", "is required"},
			"no time":                 {anEvent(func(e *audit.Event) { e.ID = "x" }), "occurred_at", "is required"},
			"a bad field":             {past("x", func(e *audit.Event) { e.Action = "nonsense" }), "action", ""},
			"no actor":                {past("x", func(e *audit.Event) { e.Actor = audit.Actor{} }), "actor", "is required"},
			"no organization":         {past("x", func(e *audit.Event) { e.Organization = "" }), "organization", "is required"},
			"an unknown organization": {past("x", func(e *audit.Event) { e.Organization = "nobody" }), "organization", `"nobody" does not exist`},
			"a closed organization": {past("x", func(e *audit.Event) { e.Organization = "closed" }), "organization",
				`"closed" is closed and takes no more events`},
			"older than is kept":                   {past("x", func(e *audit.Event) { e.OccurredAt = time.Now().AddDate(0, 0, -91) }), "occurred_at", ""},
			"an ID of another event":               {past("taken", func(e *audit.Event) { e.EntityID = "svc-2" }), "id", "was used for another event"},
			"an ID of another event given with it": {other, "id", "was used for another event"},
		} {
			t.Run(name, func(t *testing.T) {
				err := db.Write.Transaction(func(tx *gorm.DB) error {
					_, err := audit.Backfill(t.Context(), tx, []audit.Event{past("twice"), tc.bad, past("fine")})
					var refused *audit.EventsError
					if !errors.As(err, &refused) || len(refused.Events) != 1 || refused.Events[0].Index != 1 {
						t.Fatalf("answers %v", err)
					}
					var field *fault.Field
					if !errors.As(refused.Events[0], &field) || field.Field != tc.field || tc.reason != "" && field.Reason != tc.reason {
						t.Errorf("refused is %v; want %q, %q", refused.Events[0], tc.field, tc.reason)
					}
					set(t, tx, "UPDATE audit_organizations SET name = 'still usable'")
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if n := count(t, db.Write, "audit_entries"); n != 1 {
					t.Errorf("%d entries, want the one that was there", n)
				}
			})
		}
	})
}

func TestBackfillWhenLoggingIsOff(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		if _, err := audit.Backfill(t.Context(), db.Write, []audit.Event{past("before")}); err != nil {
			t.Fatal(err)
		}
		set(t, db.Write, "UPDATE audit_organizations SET logging_enabled = ?", false)
		receipts, err := audit.Backfill(t.Context(), db.Write, []audit.Event{past("before"), past("after"), past("after")})
		if err != nil {
			t.Fatal(err)
		}
		if !receipts[0].Stored || !receipts[0].Repeated || receipts[1] != (audit.Receipt{}) || receipts[2].Stored {
			t.Errorf("receipts %+v", receipts)
		}
		if n := count(t, db.Write, "audit_entries"); n != 1 {
			t.Errorf("%d entries, want 1", n)
		}
	})
}
