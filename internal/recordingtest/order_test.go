package recordingtest

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

// ofOneMoment are events that differ in their entities, 0 to n-1. Every other one has an ID, or all of them.
func ofOneMoment(n int, at time.Time, all ...bool) []audit.Event {
	events := make([]audit.Event, n)
	for i := range events {
		events[i] = anEvent(func(e *audit.Event) {
			e.EntityID, e.OccurredAt = fmt.Sprint(i), at
			if i%2 == 0 || len(all) > 0 {
				e.ID = fmt.Sprint("m-", i)
			}
		})
	}
	return events
}

// wantInOrder demands that the log holds the entities 0 to n-1, in this order, and nothing else.
func wantInOrder(t *testing.T, db *gorm.DB, n int) {
	t.Helper()
	log := slices.DeleteFunc(entries(t, db), func(e models.Entry) bool { return e.EntityID == "first" }) // see hold
	if len(log) != n {
		t.Errorf("%d entries, want %d", len(log), n)
	}
	for i, e := range log {
		if e.EntityID != fmt.Sprint(i) {
			t.Fatalf("entry %d is of entity %s", i, e.EntityID)
		}
	}
}

func TestEventsOfOneMomentStayInOrder(t *testing.T) {
	ways := map[string]func(t *testing.T, db *gorm.DB, events []audit.Event) error{
		"one by one in a transaction": func(t *testing.T, db *gorm.DB, events []audit.Event) error {
			return db.Transaction(func(tx *gorm.DB) error {
				for _, e := range events {
					if _, err := audit.Record(t.Context(), tx, e); err != nil {
						return err
					}
				}
				return nil
			})
		},
		"together": func(t *testing.T, db *gorm.DB, events []audit.Event) error {
			_, err := audit.RecordAll(t.Context(), db, events)
			return err
		},
		"through a batcher": func(t *testing.T, db *gorm.DB, events []audit.Event) error {
			h := hold(t, db, audit.BatcherConfig{})
			for _, e := range events {
				h.record(t, t.Context(), e, func(_ audit.Receipt, err error) {
					if err != nil {
						t.Error(err)
					}
				})
			}
			h.letGo()
			h.calls.Wait()
			return nil
		},
		"by their sequence": func(t *testing.T, db *gorm.DB, events []audit.Event) error {
			for i := len(events) - 1; i >= 0; i-- {
				sequence := int64(i)
				e := events[i]
				e.Sequence = &sequence
				if _, err := audit.Record(t.Context(), db, e); err != nil {
					return err
				}
			}
			return nil
		},
	}
	for name, record := range ways {
		for when, at := range map[string]time.Time{
			"just now": time.Now().Truncate(time.Second), "days ago": time.Now().Add(-72 * time.Hour).Truncate(time.Second),
		} {
			t.Run(name+" "+when, func(t *testing.T) {
				databasetest.Each(t, func(t *testing.T, db *database.DB) {
					ensure(t, db.Write, audit.Organization{Slug: "acme"})
					events := ofOneMoment(40, at)
					if err := record(t, db.Write, events); err != nil {
						t.Fatal(err)
					}
					wantInOrder(t, db.Write, len(events))
				})
			})
		}
	}
}

// What is of now has one time as well where several events are recorded by one call.
func TestEventsOfOneCallStayInOrder(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		if _, err := audit.RecordAll(t.Context(), db.Write, ofOneMoment(1500, time.Time{})); err != nil {
			t.Fatal(err)
		}
		wantInOrder(t, db.Write, 1500)
	})
}

// derivedBefore is the ID that earlier versions made for an event with an ID.
func derivedBefore(at time.Time, id string) (derived models.EntryID) {
	derived = models.FirstEntryID(models.MicrosOf(at))
	sum := sha256.Sum256([]byte(id))
	binary.BigEndian.PutUint64(derived[8:], 1<<63|binary.BigEndian.Uint64(sum[:])&(1<<62-1))
	return derived
}

func TestARepeatFindsItsFirstHoweverLateItComes(t *testing.T) {
	at := time.Now().Add(-72 * time.Hour).Truncate(time.Second)
	for name, first := range map[string]func(t *testing.T, db *gorm.DB, e audit.Event) (string, error){
		"recorded": func(t *testing.T, db *gorm.DB, e audit.Event) (string, error) {
			receipt, err := audit.Record(t.Context(), db, e)
			set(t, db, "DELETE FROM audit_event_keys") // a day has passed
			return receipt.EntryID, err
		},
		"recorded by an earlier version": func(t *testing.T, db *gorm.DB, e audit.Event) (string, error) {
			entry := models.NewEntry{Organization: models.OrganizationRef{Slug: "acme"}, Entry: models.Entry{
				ID: derivedBefore(at, e.ID), OccurredAt: models.MicrosOf(at), RecordedAt: models.MicrosOf(at), Action: string(e.Action), EntityType: "service",
				EntityID: e.EntityID, EntityName: e.EntityName, ActorID: anna.ID, ActorName: anna.Name, ActorEmail: anna.Email, Metadata: `{"service_name":"API"}`,
			}}
			result, err := models.InsertEntry(t.Context(), models.HandleOf(db), entry)
			return result.ID.String(), err
		},
		"back-filled": func(t *testing.T, db *gorm.DB, e audit.Event) (string, error) {
			receipts, err := audit.Backfill(t.Context(), db, []audit.Event{e})
			if err != nil {
				return "", err
			}
			return receipts[0].EntryID, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			databasetest.Each(t, func(t *testing.T, db *database.DB) {
				ensure(t, db.Write, audit.Organization{Slug: "acme"})
				e := anEvent(func(e *audit.Event) { e.ID, e.OccurredAt = "m-1", at })
				id, err := first(t, db.Write, e)
				if err != nil {
					t.Fatal(err)
				}
				neighbours := ofOneMoment(5, at)
				if _, err := audit.RecordAll(t.Context(), db.Write, neighbours); err != nil {
					t.Fatal(err)
				}
				batcher := newBatcher(t, db.Write, audit.BatcherConfig{})
				for way, record := range map[string]func(e audit.Event) (audit.Receipt, error){
					"Record":  func(e audit.Event) (audit.Receipt, error) { return audit.Record(t.Context(), db.Write, e) },
					"Batcher": func(e audit.Event) (audit.Receipt, error) { return batcher.Record(t.Context(), e) },
					"Backfill": func(e audit.Event) (audit.Receipt, error) {
						return one(audit.Backfill(t.Context(), db.Write, []audit.Event{e}))
					},
					"RecordAll, twice": func(e audit.Event) (audit.Receipt, error) {
						receipts, err := audit.RecordAll(t.Context(), db.Write, []audit.Event{e, e})
						if err == nil && receipts[0] != receipts[1] {
							t.Errorf("twice in one call: %+v", receipts)
						}
						return one(receipts, err)
					},
				} {
					if receipt, err := record(e); err != nil || !receipt.Repeated || !receipt.Stored || receipt.EntryID != id {
						t.Errorf("%s: %+v, %v; want that of %s", way, receipt, err, id)
					}
					another := e
					another.EntityName = "another"
					if _, err := record(another); !errors.Is(err, audit.ErrIDReused) {
						t.Errorf("%s: another event under its ID: %v", way, err)
					}
				}
				if n := count(t, db.Write, "audit_entries"); n != 6 {
					t.Errorf("%d entries, want 6", n)
				}
				// Once it has expired it is neither stored nor said to be.
				set(t, db.Write, "UPDATE audit_organizations SET retention_days = 1")
				if _, err := audit.Record(t.Context(), db.Write, e); !errors.Is(err, audit.ErrExpired) {
					t.Errorf("expired: %v", err)
				}
			})
		})
	}
}

// Two histories that are imported at once keep their orders.
func TestHistoriesWaitForEachOther(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme", ExternalID: "t-1"})
		at := time.Now().Add(-time.Hour).Truncate(time.Second)
		events := ofOneMoment(60, at, true)
		for i := range events {
			if i%3 == 0 {
				events[i].Organization, events[i].ExternalID = "", "t-1" // the same organization
			}
		}
		done := make(chan error)
		for range 2 {
			go func() {
				for i := 0; i < len(events); i += 20 {
					if _, err := audit.Backfill(t.Context(), db.Write, events[i:i+20]); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		wantInOrder(t, db.Write, len(events))
	})
}

// Behind the last place of a microsecond there is none: what comes then is stored all the same.
func TestAMomentThatIsFullTakesMore(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		at := time.Now().Add(-time.Hour).Truncate(time.Second)
		last := int64(1<<30 - 1)
		if _, err := audit.Record(t.Context(), db.Write, past("last", func(e *audit.Event) { e.OccurredAt, e.Sequence = at, &last })); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := audit.Backfill(t.Context(), db.Write, ofOneMoment(10, at, true)); err != nil {
				t.Fatal(err)
			}
		}
		if n := count(t, db.Write, "audit_entries"); n != 11 {
			t.Errorf("%d entries, want 11", n)
		}
	})
}
