package recordingtest

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/migrate"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

func count(t *testing.T, db *gorm.DB, table string) (n int64) {
	t.Helper()
	if err := db.WithContext(t.Context()).Table(table).Count(&n).Error; err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRecordAllStoresWhatRecordStores(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		ensure(t, db.Write, audit.Organization{ExternalID: "t-2", Name: "Beta"})
		at := time.Now().Add(-time.Hour).Truncate(time.Microsecond)
		var events []audit.Event
		for i := range 100 {
			e := anEvent(func(e *audit.Event) {
				e.EntityID = fmt.Sprintf(`svc-%d "quoted" \ {,}`, i%7)
				e.EntityName = fmt.Sprintf("Größe %d", i%7)
				e.OccurredAt = at.Add(time.Duration(i) * time.Second)
				e.Metadata = map[string]any{"n": i, "text": "a\\\"b\nc"}
				e.URL = "https://example.com/?a=1,2"
				e.Request = audit.Request{IP: "192.0.2.1", UserAgent: "{curl}", ID: "NULL"}
			})
			if i%3 == 0 {
				e.Organization, e.ExternalID = "", "t-2"
			}
			events = append(events, e)
		}
		receipts, err := audit.RecordAll(t.Context(), db.Write, events)
		if err != nil {
			t.Fatal(err)
		}
		together := entries(t, db.Write)
		known := [2]int64{count(t, db.Write, "audit_entities"), count(t, db.Write, "audit_actors")}
		if len(together) != 100 || known != [2]int64{14, 2} {
			t.Fatalf("%d entries, entities and actors %v", len(together), known)
		}
		for _, e := range events {
			if _, err := audit.Record(t.Context(), db.Write, e); err != nil {
				t.Fatal(err)
			}
		}
		if again := [2]int64{count(t, db.Write, "audit_entities"), count(t, db.Write, "audit_actors")}; again != known {
			t.Errorf("recorded one by one there are %v entities and actors, want %v", again, known)
		}
		byID := map[string][]models.Entry{} // of both ways, by what tells the events apart
		for _, e := range entries(t, db.Write) {
			key := e.OccurredAt.Time().String()
			e.RecordedAt = 0
			byID[key] = append(byID[key], e)
		}
		for i, e := range together {
			if receipts[i].EntryID != e.ID.String() || !receipts[i].Stored {
				t.Errorf("receipt %d is %+v, the entry %s", i, receipts[i], e.ID)
			}
			pair := byID[e.OccurredAt.Time().String()]
			if len(pair) != 2 {
				t.Fatalf("%d entries at %v", len(pair), e.OccurredAt.Time())
			}
			pair[0].ID, pair[1].ID = models.EntryID{}, models.EntryID{}
			if !reflect.DeepEqual(pair[0], pair[1]) {
				t.Errorf("together %+v\nalone    %+v", pair[0], pair[1])
			}
		}
	})
}

func TestRecordAllIsAllOrNothing(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		for name, bad := range map[string]func(*audit.Event){
			"a bad field":             func(e *audit.Event) { e.Action = "nonsense" },
			"an unknown organization": func(e *audit.Event) { e.Organization = "nobody" },
			"an ID of another event":  func(e *audit.Event) { e.ID, e.EntityID = "m-1", "svc-2" },
		} {
			t.Run(name, func(t *testing.T) {
				err := db.Write.Transaction(func(tx *gorm.DB) error {
					events := []audit.Event{anEvent(func(e *audit.Event) { e.ID = "m-1" }), anEvent(bad), anEvent()}
					_, err := audit.RecordAll(t.Context(), tx, events)
					var refused *audit.EventsError
					if !errors.As(err, &refused) || len(refused.Events) != 1 || refused.Events[0].Index != 1 {
						t.Errorf("answers %v", err)
					}
					set(t, tx, "UPDATE audit_organizations SET name = 'still usable'")
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if n, keys := count(t, db.Write, "audit_entries"), count(t, db.Write, "audit_event_keys"); n != 0 || keys != 0 {
					t.Errorf("%d entries and %d keys were stored", n, keys)
				}
			})
		}
	})
}

func TestRecordAllListsEveryEventThatIsRefused(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		_, err := audit.RecordAll(t.Context(), db.Write, []audit.Event{
			anEvent(func(e *audit.Event) { e.ID = "m-1" }),
			anEvent(func(e *audit.Event) { e.ID, e.EntityID = "m-1", "svc-2" }),
			anEvent(),
			anEvent(func(e *audit.Event) { e.ID, e.Organization = "m-2", "nobody" }),
		})
		var refused *audit.EventsError
		if !errors.As(err, &refused) || len(refused.Events) != 2 ||
			refused.Events[0].Index != 1 || !errors.Is(refused.Events[0], audit.ErrIDReused) ||
			refused.Events[1].Index != 3 || !errors.Is(refused.Events[1], audit.ErrNoOrganization) {
			t.Errorf("answers %v", err)
		}
		if n, keys := count(t, db.Write, "audit_entries"), count(t, db.Write, "audit_event_keys"); n != 0 || keys != 0 {
			t.Errorf("%d entries and %d keys were stored", n, keys)
		}
	})
}

func TestAnEventWithAnIDIsStoredOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		ensure(t, db.Write, audit.Organization{Slug: "beta"})
		named := anEvent(func(e *audit.Event) { e.ID = "m-1" })
		record := func(e audit.Event) audit.Receipt {
			t.Helper()
			receipt, err := audit.Record(t.Context(), db.Write, e)
			if err != nil {
				t.Fatal(err)
			}
			return receipt
		}
		first := record(named)
		if again := record(named); !again.Stored || !again.Repeated || again.EntryID != first.EntryID {
			t.Errorf("the second time answers %+v, the first %+v", again, first)
		}
		receipts, err := audit.RecordAll(t.Context(), db.Write, []audit.Event{named, anEvent(), named})
		if err != nil || receipts[0].EntryID != first.EntryID || !receipts[2].Repeated || receipts[1].Repeated {
			t.Errorf("among others: %+v, %v", receipts, err)
		}
		other := named
		other.EntityID = "svc-9"
		if _, err := audit.Record(t.Context(), db.Write, other); !errors.Is(err, audit.ErrIDReused) {
			t.Errorf("another event with the ID: %v", err)
		}
		elsewhere := named
		elsewhere.Organization = "beta"
		if receipt := record(elsewhere); receipt.Repeated {
			t.Error("an ID of another organization was taken for this one's")
		}
		if n := count(t, db.Write, "audit_entries"); n != 3 {
			t.Errorf("%d entries, want 3", n)
		}

		set(t, db.Write, "UPDATE audit_organizations SET logging_enabled = ?", false)
		off := anEvent(func(e *audit.Event) { e.ID = "m-2" })
		if receipt := record(off); receipt.Stored {
			t.Error("stored while logging is off")
		}
		set(t, db.Write, "UPDATE audit_organizations SET logging_enabled = ?", true)
		if receipt := record(off); receipt.Stored || !receipt.Repeated {
			t.Errorf("a repeat answers %+v, not as the first", receipt)
		}

		late := models.WithClock(db.Write, func() time.Time { return time.Now().Add(25 * time.Hour) })
		if receipt, err := audit.Record(t.Context(), late, named); err != nil || receipt.Repeated || receipt.EntryID == first.EntryID {
			t.Errorf("a day later: %+v, %v", receipt, err)
		}
		dated := anEvent(func(e *audit.Event) { e.ID, e.OccurredAt = "m-3", time.Now().Add(-time.Hour) })
		one := record(dated)
		if receipt, err := audit.Record(t.Context(), late, dated); err != nil || receipt.EntryID != one.EntryID {
			t.Errorf("an event with a time, a day later: %+v, %v, the first was %+v", receipt, err, one)
		}
	})
}

func TestRecordInATransactionOfDatabaseSQL(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		dialect := map[string]audit.Dialect{"sqlite": audit.SQLite, "postgres": audit.PostgreSQL}[db.Write.Name()]
		pool, err := db.Write.DB()
		if err != nil {
			t.Fatal(err)
		}
		if err := migrate.SQL(t.Context(), pool, dialect); err != nil {
			t.Fatal(err)
		}
		for _, commit := range []bool{false, true} {
			tx, err := pool.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			slug, err := dialect.EnsureOrganization(t.Context(), tx, audit.Organization{ExternalID: "t-1", Name: "Acme"})
			if err != nil || slug != "acme" {
				t.Fatalf("%q, %v", slug, err)
			}
			receipt, err := dialect.Record(t.Context(), tx, anEvent())
			if err != nil || !receipt.Stored {
				t.Fatalf("%+v, %v", receipt, err)
			}
			if _, err := dialect.RecordAll(t.Context(), tx, []audit.Event{anEvent(), anEvent()}); err != nil {
				t.Fatal(err)
			}
			if _, err := dialect.Record(t.Context(), tx, anEvent(func(e *audit.Event) { e.Organization = "nobody" })); !errors.Is(err, audit.ErrNoOrganization) {
				t.Fatal(err)
			}
			if commit {
				err = tx.Commit()
			} else {
				err = tx.Rollback()
			}
			if err != nil {
				t.Fatal(err)
			}
			if n, want := len(entries(t, db.Write)), map[bool]int{true: 3}[commit]; n != want {
				t.Errorf("commit %t leaves %d entries, want %d", commit, n, want)
			}
		}
	})
}
