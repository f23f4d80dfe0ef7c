package recordingtest

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// transaction is a long one of an application, in which it records now and then.
type transaction struct {
	record func(ctx context.Context, events ...audit.Event) error
	exec   func(ctx context.Context, statement string) error
	commit func() error
}

func inGORM(db *gorm.DB, record func(ctx context.Context, tx *gorm.DB, events []audit.Event) error) func(context.Context, *testing.T) transaction {
	return func(ctx context.Context, t *testing.T) transaction {
		tx := db.WithContext(ctx).Begin()
		if tx.Error != nil {
			t.Fatal(tx.Error)
		}
		t.Cleanup(func() { tx.Rollback() })
		return transaction{
			record: func(ctx context.Context, events ...audit.Event) error { return record(ctx, tx, events) },
			exec:   func(_ context.Context, statement string) error { return tx.Exec(statement).Error },
			commit: func() error { return tx.Commit().Error },
		}
	}
}

func inSQL(db *gorm.DB, record func(ctx context.Context, tx *sql.Tx, events []audit.Event) error) func(context.Context, *testing.T) transaction {
	return func(ctx context.Context, t *testing.T) transaction {
		pool, err := db.DB()
		if err != nil {
			t.Fatal(err)
		}
		tx, err := pool.BeginTx(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tx.Rollback() })
		return transaction{
			record: func(ctx context.Context, events ...audit.Event) error { return record(ctx, tx, events) },
			exec: func(ctx context.Context, statement string) error {
				_, err := tx.ExecContext(ctx, statement)
				return err
			},
			commit: tx.Commit,
		}
	}
}

// Two long transactions record about the same entities, actors and month, none of which anybody has
// seen before, in opposite orders: with a lock the second would wait for the first, and the first
// then for the second. SQLite is left out: there, who writes is alone by design.
func TestRecordingNeverWaitsForAnotherTransaction(t *testing.T) {
	db := databasetest.Postgres(t)
	one := func(ctx context.Context, tx *gorm.DB, events []audit.Event) error {
		for _, e := range events {
			if _, err := audit.Record(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	}
	all := func(ctx context.Context, tx *gorm.DB, events []audit.Event) error {
		_, err := audit.RecordAll(ctx, tx, events)
		return err
	}
	oneWithSQL := func(ctx context.Context, tx *sql.Tx, events []audit.Event) error {
		for _, e := range events {
			if _, err := audit.PostgreSQL.Record(ctx, tx, e); err != nil {
				return err
			}
		}
		return nil
	}
	allWithSQL := func(ctx context.Context, tx *sql.Tx, events []audit.Event) error {
		_, err := audit.PostgreSQL.RecordAll(ctx, tx, events)
		return err
	}
	ways := map[string]func(context.Context, *testing.T) transaction{
		"Record":                    inGORM(db.Write, one),
		"RecordAll":                 inGORM(db.Write, all),
		"Record in database/sql":    inSQL(db.Write, oneWithSQL),
		"RecordAll in database/sql": inSQL(db.Write, allWithSQL),
	}
	for ofFirst, beginFirst := range ways {
		for ofSecond, beginSecond := range ways {
			t.Run(ofFirst+", "+ofSecond, func(t *testing.T) {
				slug := ensure(t, db.Write, audit.Organization{ExternalID: t.Name(), Name: "Acme"})
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // a wait would end here, as a failure
				defer cancel()
				about := func(id string) audit.Event {
					return anEvent(func(e *audit.Event) {
						e.Organization, e.EntityID, e.EntityName = slug, id, id
						e.Actor = audit.Actor{ID: "who did it to " + id}
					})
				}
				first, second := beginFirst(ctx, t), beginSecond(ctx, t)
				for _, tx := range []transaction{first, second} {
					if err := tx.exec(ctx, "SET LOCAL lock_timeout = '5s'"); err != nil {
						t.Fatal(err)
					}
				}
				for _, step := range []struct {
					tx     transaction
					events []audit.Event
				}{
					{first, []audit.Event{about("a"), about("b")}},
					{second, []audit.Event{about("c"), about("d")}},
					{first, []audit.Event{about("d"), about("c")}},
					{second, []audit.Event{about("b"), about("a")}},
				} {
					if err := step.tx.record(ctx, step.events...); err != nil {
						t.Fatal(err)
					}
				}
				if err := errors.Join(second.commit(), first.commit()); err != nil {
					t.Fatal(err)
				}
				var stored int64
				err := db.Write.Table("audit_entries").Joins("JOIN audit_organizations o ON o.id = org_id").
					Where("o.slug = ?", slug).Count(&stored).Error
				if err != nil || stored != 8 {
					t.Errorf("%d entries, want 8 (%v)", stored, err)
				}
			})
		}
	}
}

// Who waits for a key goes by the organization as it is afterwards.
func TestAnOrganizationThatClosesWhileAKeyIsWaitedForTakesNothing(t *testing.T) {
	db := databasetest.Postgres(t)
	ensure(t, db.Write, audit.Organization{Slug: "acme"})
	e := anEvent()
	e.ID = "waited for"
	first := db.Write.Begin()
	defer first.Rollback()
	if _, err := audit.Record(t.Context(), first, e); err != nil {
		t.Fatal(err)
	}
	second := make(chan error)
	go func() {
		_, err := audit.Record(t.Context(), db.Write, e)
		second <- err
	}()
	waiting := "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%audit_event_keys%')"
	if databasetest.OnCitus() { // at the organization's node
		waiting = "SELECT EXISTS (SELECT FROM citus_lock_waits)"
	}
	for waits, began := false, time.Now(); !waits; time.Sleep(5 * time.Millisecond) {
		if err := db.Write.WithContext(t.Context()).Raw(waiting).Scan(&waits).Error; err != nil || time.Since(began) > time.Minute {
			t.Fatalf("the second does not wait: %v", err)
		}
	}
	set(t, db.Write, "UPDATE audit_organizations SET logging_enabled = false, closed_at = 1")
	if err := first.Rollback().Error; err != nil {
		t.Fatal(err)
	}
	if err := <-second; !errors.Is(err, audit.ErrOrganizationClosed) {
		t.Errorf("the event is answered %v, want %v", err, audit.ErrOrganizationClosed)
	}
	for _, table := range []string{"audit_entries", "audit_event_keys"} {
		var rows int
		if err := db.Write.Raw("SELECT COUNT(*) FROM " + table).Scan(&rows).Error; err != nil || rows > 0 {
			t.Errorf("%s has %d rows, %v", table, rows, err)
		}
	}
}
