package recordingtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

const (
	workers            = 8
	transactionsOfEach = 40
	// moreAborts is how many of all these transactions may fail that would not have if they had inserted a row of
	// their own in place of recording.
	moreAborts = 2
)

// recording is one way of recording in a transaction.
type recording struct {
	name   string
	off    bool // logging is
	events func(tx int) []audit.Event
}

// oneEvent records an event at a time; several are for RecordAll.
func oneEvent(change func(e *audit.Event, tx int)) func(tx int) []audit.Event {
	return func(tx int) []audit.Event {
		return []audit.Event{anEvent(func(e *audit.Event) { change(e, tx) })}
	}
}

func severalEvents(change func(e *audit.Event, tx int)) func(tx int) []audit.Event {
	return func(tx int) []audit.Event {
		var events []audit.Event
		for n := range 3 {
			events = append(events, anEvent(func(e *audit.Event) { change(e, 3*tx+n) }))
		}
		return events
	}
}

// saysAll has an event say all that events can.
func saysAll(e *audit.Event, tx int) {
	e.NativeAction, e.Outcome, e.Reason = "ec2:RunInstances", audit.OutcomeFailure, "no more of them"
	e.Related = []audit.Resource{{Type: "subnet", ID: fmt.Sprint("subnet-", tx)}, {Type: "image", ID: "ami-1"}}
	e.Actor.OnBehalfOf = &audit.Principal{ID: fmt.Sprint("p-", tx), Name: "Principal"}
}

func withID(e *audit.Event, tx int)    { e.ID = fmt.Sprint("message ", tx) }
func newEntity(e *audit.Event, tx int) { e.EntityID = fmt.Sprint("svc-new-", tx) }
func newNames(e *audit.Event, tx int) {
	newEntity(e, tx)
	e.Actor.ID, e.Actor.Name = fmt.Sprint("u-", tx), fmt.Sprint("User ", tx)
}

func inTurn(changes ...func(e *audit.Event, tx int)) func(e *audit.Event, tx int) {
	return func(e *audit.Event, tx int) {
		for _, change := range changes {
			change(e, tx)
		}
	}
}

var recordings = []recording{
	{name: "known", events: oneEvent(inTurn())},
	{name: "new", events: oneEvent(newNames)},
	{name: "with an ID", events: oneEvent(inTurn(withID, newEntity))},
	{name: "all that can be said", events: oneEvent(inTurn(saysAll, newEntity))},
	{name: "all of it, with an ID", events: oneEvent(inTurn(saysAll, withID))},
	{name: "several", events: severalEvents(newEntity)},
	{name: "several, with all of it", events: severalEvents(inTurn(saysAll, withID, newNames))},
	{name: "logging off", off: true, events: oneEvent(newEntity)},
	{name: "logging off, with an ID", off: true, events: severalEvents(withID)},
}

// An application's transactions on rows that no other touches, which read a row, change it and record that, fail no
// more often than the same ones with a plain INSERT in place of recording. What they read of the log is beside what
// others write, so looking for it under SERIALIZABLE would put them in each other's way.
func TestRecordingAbortsNoMoreTransactionsThanAnInsert(t *testing.T) {
	filled := databasetest.Postgres(t)
	prepareAccounts(t, filled)
	fill(t, filled, 40_000)
	round := 0 // each is about others than those before
	for _, level := range []sql.IsolationLevel{sql.LevelRepeatableRead, sql.LevelSerializable} {
		for _, log := range []string{"empty", "filled"} {
			for _, way := range recordings {
				t.Run(fmt.Sprint(level, "/", log, "/", way.name), func(t *testing.T) {
					db := filled
					if log == "empty" {
						db = databasetest.Postgres(t)
						prepareAccounts(t, db)
					}
					round++
					set(t, db.Write, "UPDATE audit_organizations SET logging_enabled = ?", !way.off)
					plain := aborted(t, db, level, func(ctx context.Context, tx *gorm.DB, n int) error {
						return tx.Exec("INSERT INTO changes (account, text) VALUES (?, 'changed')", n).Error
					})
					recorded := aborted(t, db, level, func(ctx context.Context, tx *gorm.DB, n int) error {
						events := way.events(1_000_000*round + n)
						if len(events) == 1 {
							_, err := audit.Record(ctx, tx, events[0])
							return err
						}
						_, err := audit.RecordAll(ctx, tx, events)
						return err
					})
					if recorded > plain+moreAborts {
						t.Errorf("%d of %d transactions fail where they record, and %d where they insert a row", recorded, workers*transactionsOfEach, plain)
					}
				})
			}
		}
	}
}

// Who records in transactions of the package's own looks for what is known, whatever level the pool is set to.
func TestTransactionsOfThePackagesOwnAreReadCommitted(t *testing.T) {
	pool, err := sql.Open("pgx", databasetest.PostgresURL(t)+"&default_transaction_isolation=serializable")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	db, err := models.OpenSQL(t.Context(), "postgres", pool)
	if err != nil {
		t.Fatal(err)
	}
	ensure(t, db, audit.Organization{Slug: "acme"})
	batcher, err := audit.NewBatcher(db, audit.BatcherConfig{})
	if err != nil {
		t.Fatal(err)
	}
	events := []audit.Event{anEvent()}
	for range 3 {
		for _, record := range []func() error{
			func() error { _, err := batcher.Record(t.Context(), anEvent()); return err },
			func() error { _, err := audit.RecordAll(t.Context(), db, events); return err },
			func() error { _, err := audit.PostgreSQL.RecordAll(t.Context(), pool, events); return err },
		} {
			if err := record(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := batcher.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"audit_entities", "audit_actors"} {
		var rows int
		if err := db.Raw("SELECT COUNT(*) FROM " + table).Scan(&rows).Error; err != nil || rows != 1 {
			t.Errorf("%s has %d rows of one name: %v", table, rows, err)
		}
	}
}

// prepareAccounts makes the tables of an application: one whose rows are changed in place, and one of what was changed.
func prepareAccounts(t *testing.T, db *database.DB) {
	t.Helper()
	ensure(t, db.Write, audit.Organization{Slug: "acme"})
	for _, statement := range []string{
		"CREATE TABLE accounts (id integer PRIMARY KEY, balance integer NOT NULL) WITH (fillfactor = 50)",
		"INSERT INTO accounts SELECT n, 0 FROM generate_series(1, 10000) AS n",
		"CREATE TABLE changes (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account integer NOT NULL, text text NOT NULL)",
		"ANALYZE accounts",
	} {
		set(t, db.Write, statement)
	}
}

// fill records events about many entities, by many actors, over some weeks.
func fill(t *testing.T, db *database.DB, n int) {
	t.Helper()
	const together = 4000
	begin := time.Now().Add(-40 * 24 * time.Hour)
	for first := 0; first < n; first += together {
		events := make([]audit.Event, together)
		for i := range events {
			events[i] = anEvent(func(e *audit.Event) {
				e.OccurredAt = begin.Add(time.Duration(first+i) * time.Minute)
				e.EntityID, e.Actor.ID = fmt.Sprint("svc-", (first+i)%5000), fmt.Sprint("u-", i%500)
			})
		}
		if _, err := audit.RecordAll(t.Context(), db.Write, events); err != nil {
			t.Fatal(err)
		}
	}
	set(t, db.Write, "ANALYZE")
}

// aborted counts those of the transactions of several workers, each on a row of its own, that the database refuses
// because of the others.
func aborted(t *testing.T, db *database.DB, level sql.IsolationLevel, record func(ctx context.Context, tx *gorm.DB, n int) error) int {
	t.Helper()
	var failed atomic.Int64
	var working sync.WaitGroup
	for worker := range workers {
		working.Go(func() {
			for i := range transactionsOfEach {
				n := worker*1000 + i + 1
				err := db.Write.Transaction(func(tx *gorm.DB) error {
					var balance int
					if err := tx.Raw("SELECT balance FROM accounts WHERE id = ?", n).Scan(&balance).Error; err != nil {
						return err
					}
					if err := tx.Exec("UPDATE accounts SET balance = ? WHERE id = ?", balance+1, n).Error; err != nil {
						return err
					}
					return record(t.Context(), tx, n)
				}, &sql.TxOptions{Isolation: level})
				var answer *pgconn.PgError
				switch {
				case errors.As(err, &answer) && answer.Code == "40001":
					failed.Add(1)
				case err != nil:
					t.Error(err)
				}
			}
		})
	}
	working.Wait()
	return int(failed.Load())
}
