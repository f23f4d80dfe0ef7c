package recordingtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/migrate"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// waysIn are the functions that record in a *gorm.DB, each with an event of its own.
var waysIn = map[string]func(ctx context.Context, tx *gorm.DB) (audit.Receipt, error){
	"Record": func(ctx context.Context, tx *gorm.DB) (audit.Receipt, error) {
		return audit.Record(ctx, tx, anEvent())
	},
	"Record with an ID": func(ctx context.Context, tx *gorm.DB) (audit.Receipt, error) {
		return audit.Record(ctx, tx, anEvent(func(e *audit.Event) { e.ID = "1" }))
	},
	"RecordAll": func(ctx context.Context, tx *gorm.DB) (audit.Receipt, error) {
		return first(audit.RecordAll(ctx, tx, []audit.Event{anEvent()}))
	},
	"Backfill": func(ctx context.Context, tx *gorm.DB) (audit.Receipt, error) {
		return first(audit.Backfill(ctx, tx, []audit.Event{anEvent(func(e *audit.Event) { e.ID, e.OccurredAt = "2", time.Now() })}))
	},
	"Batcher": func(ctx context.Context, tx *gorm.DB) (audit.Receipt, error) {
		batcher, err := audit.NewBatcher(tx, audit.BatcherConfig{RetryFor: -1})
		if err != nil {
			return audit.Receipt{}, err
		}
		receipt, err := batcher.Record(ctx, anEvent())
		return receipt, errors.Join(err, batcher.Close(context.WithoutCancel(ctx)))
	},
}

func first(receipts []audit.Receipt, err error) (audit.Receipt, error) {
	if err != nil {
		return audit.Receipt{}, err
	}
	return receipts[0], nil
}

// eachWayIn runs test with each of waysIn, in a database of its own with the organization acme.
func eachWayIn(t *testing.T, test func(t *testing.T, db *gorm.DB, record func(context.Context, *gorm.DB) (audit.Receipt, error))) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		for name, record := range waysIn {
			t.Run(name, func(t *testing.T) {
				set(t, db.Write, "DELETE FROM audit_entries")
				set(t, db.Write, "DELETE FROM audit_event_keys")
				test(t, db.Write, record)
			})
		}
	})
}

func TestWhenAnEntryWasRecordedIsTheRealTime(t *testing.T) {
	eachWayIn(t, func(t *testing.T, db *gorm.DB, record func(context.Context, *gorm.DB) (audit.Receipt, error)) {
		before := time.Now()
		pretended := db.Session(&gorm.Session{NowFunc: func() time.Time { return time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC) }})
		if _, err := record(t.Context(), pretended); err != nil {
			t.Fatal(err)
		}
		e := entries(t, db)[0]
		if at := e.RecordedAt.Time(); at.Before(before.Truncate(time.Microsecond)) || at.After(time.Now()) {
			t.Errorf("recorded at %s", at)
		}
		if at := e.OccurredAt.Time(); at.Before(before.Truncate(time.Microsecond)) || at.After(time.Now()) {
			t.Errorf("occurred at %s", at)
		}
	})
}

func TestADryRunWritesNothing(t *testing.T) {
	eachWayIn(t, func(t *testing.T, db *gorm.DB, record func(context.Context, *gorm.DB) (audit.Receipt, error)) {
		dry := db.Session(&gorm.Session{DryRun: true})
		if receipt, err := record(t.Context(), dry); receipt != (audit.Receipt{}) || err != nil {
			t.Errorf("answers %+v, %v", receipt, err)
		}
		if slug, err := audit.EnsureOrganization(t.Context(), dry, audit.Organization{Name: "New One"}); slug != "new-one" || err != nil {
			t.Errorf("ensuring an organization answers %q, %v", slug, err)
		}
		var invalid *audit.InvalidEventError
		if _, err := audit.Record(t.Context(), dry, anEvent(func(e *audit.Event) { e.EntityID = "" })); !errors.As(err, &invalid) {
			t.Errorf("an event without an entity answers %v", err)
		}
		if err := migrate.Up(t.Context(), dry); err != nil {
			t.Error(err)
		}
		for table, want := range map[string]int64{"audit_entries": 0, "audit_entities": 0, "audit_actors": 0, "audit_event_keys": 0, "audit_organizations": 1} {
			var rows int64
			if err := db.Table(table).Count(&rows).Error; err != nil || rows != want {
				t.Errorf("%s has %d rows, want %d (%v)", table, rows, want, err)
			}
		}
	})
}

// A *gorm.DB may come from the middle of anything.
func TestWhatATransactionWasUsedForMakesNoDifference(t *testing.T) {
	eachWayIn(t, func(t *testing.T, db *gorm.DB, record func(context.Context, *gorm.DB) (audit.Receipt, error)) {
		ended, end := context.WithCancel(t.Context())
		end()
		for name, change := range map[string]func(*gorm.DB) *gorm.DB{
			"conditions": func(db *gorm.DB) *gorm.DB { return db.Where("tenant = ?", 7).Order("nothing").Limit(1) },
			"a table":    func(db *gorm.DB) *gorm.DB { return db.Table("services").Select("name").Joins("JOIN nothing") },
			"a model":    func(db *gorm.DB) *gorm.DB { return db.Model(&struct{ ID int }{}).Unscoped() },
			"scopes": func(db *gorm.DB) *gorm.DB {
				return db.Scopes(func(db *gorm.DB) *gorm.DB { return db.Where("tenant = 7") })
			},
			"clauses":                 func(db *gorm.DB) *gorm.DB { return db.Clauses(clause.Returning{}, clause.Locking{Strength: "UPDATE"}) },
			"prepared statements":     func(db *gorm.DB) *gorm.DB { return db.Session(&gorm.Session{PrepareStmt: true}) },
			"no default transaction":  func(db *gorm.DB) *gorm.DB { return db.Session(&gorm.Session{SkipDefaultTransaction: true}) },
			"no nested transaction":   func(db *gorm.DB) *gorm.DB { return db.Session(&gorm.Session{DisableNestedTransaction: true}) },
			"a context that is over":  func(db *gorm.DB) *gorm.DB { return db.WithContext(ended) },
			"a query that found none": func(db *gorm.DB) *gorm.DB { _ = db.First(&struct{ ID int }{}, "1 = 0"); return db },
		} {
			set(t, db, "DELETE FROM audit_entries")
			set(t, db, "DELETE FROM audit_event_keys")
			if receipt, err := record(t.Context(), change(db)); !receipt.Stored || err != nil {
				t.Errorf("%s: answers %+v, %v", name, receipt, err)
			}
			if slug, err := audit.EnsureOrganization(t.Context(), change(db), audit.Organization{Slug: "acme"}); slug != "acme" || err != nil {
				t.Errorf("%s: ensuring an organization answers %q, %v", name, slug, err)
			}
			if slug, err := audit.EnsureOrganization(t.Context(), change(db), audit.Organization{Name: name}); slug == "" || err != nil {
				t.Errorf("%s: ensuring a new organization answers %q, %v", name, slug, err)
			}
			if n := len(entries(t, db)); n != 1 {
				t.Errorf("%s: %d entries", name, n)
			}
		}
	})
}

func TestATransactionThatHasFailedRecordsNothing(t *testing.T) {
	eachWayIn(t, func(t *testing.T, db *gorm.DB, record func(context.Context, *gorm.DB) (audit.Receipt, error)) {
		earlier := errors.New("earlier")
		failed := db.Session(&gorm.Session{})
		_ = failed.AddError(earlier)
		if receipt, err := record(t.Context(), failed); receipt.Stored || !errors.Is(err, earlier) {
			t.Errorf("after an error it answers %+v, %v", receipt, err)
		}
		if slug, err := audit.EnsureOrganization(t.Context(), failed, audit.Organization{Slug: "other"}); !errors.Is(err, earlier) {
			t.Errorf("after an error an organization is ensured: %q, %v", slug, err)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		if receipt, err := record(ended, db); receipt.Stored || !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that is over it answers %+v, %v", receipt, err)
		}
		pool, err := db.DB()
		if err != nil {
			t.Fatal(err)
		}
		if in := pool.Stats().InUse; in != 0 {
			t.Errorf("%d connections were not given back", in)
		}
		if n := len(entries(t, db)); n != 0 {
			t.Errorf("%d entries", n)
		}
	})
}
