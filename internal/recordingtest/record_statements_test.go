package recordingtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

// countedTx is a transaction that counts its statements: each is a round trip to PostgreSQL.
type countedTx struct {
	*sql.Tx
	statements int
}

func (tx *countedTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	tx.statements++
	return tx.Tx.ExecContext(ctx, query, args...)
}

func (tx *countedTx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	tx.statements++
	return tx.Tx.QueryContext(ctx, query, args...)
}

func TestManyEventsWithIDsTakeAsFewStatementsAsFew(t *testing.T) {
	db := databasetest.Postgres(t).Write
	ensure(t, db, audit.Organization{Slug: "acme"})
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	// statements records events with IDs and answers how many statements that took.
	statements := func(t *testing.T, batch string, n int, more ...audit.Event) int {
		t.Helper()
		tx, err := pool.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		counted := &countedTx{Tx: tx}
		over, err := models.OpenSQL(t.Context(), audit.PostgreSQL.String(), counted)
		if err != nil {
			t.Fatal(err)
		}
		events := more
		for i := range n {
			events = append(events, anEvent(func(e *audit.Event) { e.ID = fmt.Sprintf("%s of %d: %d", batch, n, i) }))
		}
		var refused *audit.EventsError
		if _, err := audit.RecordAll(t.Context(), over, events); err != nil && !(len(more) > 0 && errors.As(err, &refused)) {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		return counted.statements
	}
	same := func(t *testing.T, batch string, more ...audit.Event) {
		t.Helper()
		if few, many := statements(t, batch, 2, more...), statements(t, batch, 200, more...); few != many {
			t.Errorf("2 events take %d statements, and 200 take %d", few, many)
		}
	}
	t.Run("new", func(t *testing.T) { same(t, "new") })
	t.Run("repeated", func(t *testing.T) { same(t, "new") })
	t.Run("of another event", func(t *testing.T) {
		same(t, "refused", anEvent(func(e *audit.Event) { e.ID, e.EntityID = "new of 2: 0", "another" }))
	})
	t.Run("of no organization", func(t *testing.T) {
		same(t, "lost", anEvent(func(e *audit.Event) { e.Organization = "nobody" }))
	})
	t.Run("logging off", func(t *testing.T) {
		set(t, db, "UPDATE audit_organizations SET logging_enabled = ?", false)
		same(t, "off")
	})
}

// One event is one statement; the first of an organization asks for its ID. On Citus each asks for that.
func TestOneEventTakesOneStatement(t *testing.T) {
	db := databasetest.Postgres(t).Write
	slug := ensure(t, db, audit.Organization{Slug: "one-statement", ExternalID: "one statement"})
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	tx, err := pool.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	counted := &countedTx{Tx: tx}
	for _, name := range []func(*audit.Event){
		func(e *audit.Event) { e.Organization = slug },
		func(e *audit.Event) { e.Organization, e.ExternalID = "", "one statement" },
	} {
		for n, want := range []int{2, 1, 1, 1} {
			counted.statements = 0
			e := anEvent(name, func(e *audit.Event) { e.EntityID = fmt.Sprint("svc-", n) })
			if n == 2 {
				e.EntityID, e.EntityName, e.Outcome, e.NativeAction, e.Actor.Type = "", "", audit.OutcomeDenied, "svc:Probe", audit.ActorService
			}
			receipts, err := audit.PostgreSQL.RecordAll(t.Context(), counted, []audit.Event{e})
			if databasetest.OnCitus() {
				want = 2
			}
			if n == 3 {
				_, err = audit.PostgreSQL.Record(t.Context(), counted, e)
				want *= 2
			}
			if err != nil || !receipts[0].Stored || counted.statements != want {
				t.Errorf("event %d takes %d statements, %v", n, counted.statements, err)
			}
		}
	}
}

var _ gorm.TxCommitter = (*countedTx)(nil)
