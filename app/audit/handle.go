package audit

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/internal/nilhandle"
	"github.com/auditlogs/auditlogs/models"
)

// ExecQuerier is what the methods of a [Dialect] record in: a *sql.Tx, or the transaction of a library over
// database/sql, such as *sqlx.Tx, bun.Tx and ent's *Tx (generated with the feature sql/execquery). sqlc's DBTX holds
// one of these.
//
// It is a transaction where it has Commit() error. A *sql.DB or *sql.Conn, or what has its BeginTx, is given one of its
// own; whatever else is refused with ErrNoTransaction, as nobody could undo the half of it.
type ExecQuerier = models.ExecQuerier

// Handle leads into a database by a library that is neither GORM nor over database/sql. Package auditpgx has the one of
// pgx; whoever uses another library makes their own.
type Handle struct {
	Dialect Dialect
	// Statements run in the caller's transaction or, where Begin is given, each by itself.
	Statements Statements
	// Begin begins a transaction, runs do in it, and commits it where do returns nil and rolls it back otherwise. It is
	// nil where Statements are in a transaction.
	Begin func(ctx context.Context, do func(Statements) error) error
}

// Statements run SQL, and Rows are what a query answers with. Statements are in the dialect's own words: $1 for the
// first value on PostgreSQL. Values are strings, numbers, booleans, nil and, on SQLite, bytes.
type (
	Statements = models.Statements
	Rows       = models.Rows
)

// Record stores event in the caller's transaction: see the function Record.
func (h Handle) Record(ctx context.Context, event Event) (Receipt, error) {
	return record(ctx, h.handle(), event)
}

// RecordAll stores events, all or none: see the function RecordAll.
func (h Handle) RecordAll(ctx context.Context, events []Event) ([]Receipt, error) {
	return recordAll(ctx, h.handle(), events)
}

// Backfill stores events of the past, all or none: see the function Backfill.
func (h Handle) Backfill(ctx context.Context, events []Event) ([]Receipt, error) {
	return backfill(ctx, h.handle(), events)
}

// EnsureOrganization finds or creates an organization: see the function EnsureOrganization.
func (h Handle) EnsureOrganization(ctx context.Context, organization Organization) (slug string, err error) {
	return ensureOrganization(ctx, h.handle(), organization)
}

// handle is where something is recorded, or why nothing can be.
type handle struct {
	models.Handle
	err error
}

func (h Handle) handle() handle {
	if h.Statements == nil {
		return handle{err: ErrNoHandle}
	}
	return h.Dialect.over(h.Statements, h.Begin)
}

func (d Dialect) over(run Statements, begin models.Begin) handle {
	if d != PostgreSQL && d != SQLite {
		return handle{err: fmt.Errorf("%w: %q is neither PostgreSQL nor SQLite", ErrWrongDialect, d)}
	}
	return handle{Handle: models.NewHandle(d.name, run, begin)}
}

// overSQL is the handle of what database/sql, or a library over it, records in.
func (d Dialect) overSQL(db ExecQuerier) handle {
	if db = pastBun(db); nilhandle.Is(db) {
		return handle{err: ErrNoHandle}
	}
	switch pool := db.(type) {
	case interface{ Commit() error }:
		return d.over(models.OverSQL(db), nil)
	case interface {
		BeginTx(ctx context.Context, options *sql.TxOptions) (*sql.Tx, error)
	}:
		return d.over(models.OverSQL(db), func(ctx context.Context, do func(Statements) error) error {
			tx, err := pool.BeginTx(ctx, d.isolation())
			if err != nil {
				return err
			}
			defer tx.Rollback() // of no effect after Commit
			if err := do(models.OverSQL(tx)); err != nil {
				return err
			}
			return tx.Commit()
		})
	default:
		return handle{err: fmt.Errorf("%w: a %T has no Commit() error, and no BeginTx that returns a *sql.Tx: pass the transaction itself", ErrNoTransaction, db)}
	}
}

// isolation is the level that recording is made for, which a transaction of its own asks for. SQLite knows one.
func (d Dialect) isolation() *sql.TxOptions {
	if d == PostgreSQL {
		return &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	}
	return nil
}

func overGORM(db *gorm.DB) handle {
	if err := checkHandle(db); err != nil {
		return handle{err: err}
	}
	return handle{Handle: models.HandleOf(db)}
}

// pastBun is what a transaction, pool or connection of bun is over. Bun writes values into the text of a statement
// itself, and takes the placeholders of ours for its own.
func pastBun(db ExecQuerier) ExecQuerier {
	value := reflect.Indirect(reflect.ValueOf(db))
	if !value.IsValid() || value.Type().PkgPath() != "github.com/uptrace/bun" {
		return db
	}
	for _, name := range []string{"Tx", "Conn", "DB"} {
		if field := value.FieldByName(name); field.IsValid() {
			return field.Interface().(ExecQuerier)
		}
	}
	return db
}
