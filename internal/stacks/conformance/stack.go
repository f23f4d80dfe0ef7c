// Package conformance is what recording promises, whichever library begins the transaction. It knows no driver: the
// packages beside it have one each, as some of those cannot be in one program.
package conformance

import (
	"context"
	"database/sql"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/auditpgx"
)

// Stack is a library, and the driver below it, that an application keeps its rows with.
type Stack struct {
	Dialect audit.Dialect
	// Begin begins a transaction of the library's.
	Begin func(ctx context.Context) (Tx, error)
	// Pools record outside of a transaction of the caller's. There may be none.
	Pools map[string]Recorder
	// NoDatabase are handles without a database behind them, such as nil ones.
	NoDatabase map[string]Recorder
	// NoTransaction are handles that neither are a transaction nor begin one. There may be none.
	NoTransaction map[string]Recorder
	// DB is the same database, for looking at it.
	DB *sql.DB
}

// Tx is a transaction as an application has it.
type Tx struct {
	Recorder
	// Exec runs a statement of the application's.
	Exec             func(ctx context.Context, query string) error
	Commit, Rollback func(ctx context.Context) error
	// Nested begins a savepoint in the library's own way. nil where it has none: then it is done with SQL.
	Nested func(ctx context.Context) (Tx, error)
}

// Recorder is what package audit does in a handle.
type Recorder interface {
	Record(ctx context.Context, event audit.Event) (audit.Receipt, error)
	RecordAll(ctx context.Context, events []audit.Event) ([]audit.Receipt, error)
	Backfill(ctx context.Context, events []audit.Event) ([]audit.Receipt, error)
	EnsureOrganization(ctx context.Context, organization audit.Organization) (string, error)
}

// OverSQL records in a handle of database/sql, or of a library over it.
func OverSQL(d audit.Dialect, tx audit.ExecQuerier) Recorder { return overSQL{d, tx} }

type overSQL struct {
	d  audit.Dialect
	tx audit.ExecQuerier
}

func (r overSQL) Record(ctx context.Context, event audit.Event) (audit.Receipt, error) {
	return r.d.Record(ctx, r.tx, event)
}

func (r overSQL) RecordAll(ctx context.Context, events []audit.Event) ([]audit.Receipt, error) {
	return r.d.RecordAll(ctx, r.tx, events)
}

func (r overSQL) Backfill(ctx context.Context, events []audit.Event) ([]audit.Receipt, error) {
	return r.d.Backfill(ctx, r.tx, events)
}

func (r overSQL) EnsureOrganization(ctx context.Context, organization audit.Organization) (string, error) {
	return r.d.EnsureOrganization(ctx, r.tx, organization)
}

// OverGORM records in a handle of GORM.
func OverGORM(tx *gorm.DB) Recorder { return overGORM{tx} }

type overGORM struct{ tx *gorm.DB }

func (r overGORM) Record(ctx context.Context, event audit.Event) (audit.Receipt, error) {
	return audit.Record(ctx, r.tx, event)
}

func (r overGORM) RecordAll(ctx context.Context, events []audit.Event) ([]audit.Receipt, error) {
	return audit.RecordAll(ctx, r.tx, events)
}

func (r overGORM) Backfill(ctx context.Context, events []audit.Event) ([]audit.Receipt, error) {
	return audit.Backfill(ctx, r.tx, events)
}

func (r overGORM) EnsureOrganization(ctx context.Context, organization audit.Organization) (string, error) {
	return audit.EnsureOrganization(ctx, r.tx, organization)
}

// OverPgx records in a handle of pgx.
func OverPgx(tx auditpgx.Handle) Recorder { return overPgx{tx} }

type overPgx struct{ tx auditpgx.Handle }

func (r overPgx) Record(ctx context.Context, event audit.Event) (audit.Receipt, error) {
	return auditpgx.Record(ctx, r.tx, event)
}

func (r overPgx) RecordAll(ctx context.Context, events []audit.Event) ([]audit.Receipt, error) {
	return auditpgx.RecordAll(ctx, r.tx, events)
}

func (r overPgx) Backfill(ctx context.Context, events []audit.Event) ([]audit.Receipt, error) {
	return auditpgx.Backfill(ctx, r.tx, events)
}

func (r overPgx) EnsureOrganization(ctx context.Context, organization audit.Organization) (string, error) {
	return auditpgx.EnsureOrganization(ctx, r.tx, organization)
}

// DatabaseSQL is database/sql over a driver.
func DatabaseSQL(d audit.Dialect, db *sql.DB) Stack {
	return Stack{
		Dialect: d,
		DB:      db,
		Begin: func(ctx context.Context) (Tx, error) {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return Tx{}, err
			}
			return ofSQL(d, tx, tx), nil
		},
		Pools:      map[string]Recorder{"*sql.DB": OverSQL(d, db)},
		NoDatabase: map[string]Recorder{"nil": OverSQL(d, nil), "*sql.Tx": OverSQL(d, (*sql.Tx)(nil)), "*sql.DB": OverSQL(d, (*sql.DB)(nil))},
		NoTransaction: map[string]Recorder{
			"without Commit": OverSQL(d, struct{ audit.ExecQuerier }{db}),
		},
	}
}

// OfSQL is a transaction of a library over database/sql.
func OfSQL[T interface {
	audit.ExecQuerier
	Commit() error
	Rollback() error
}](d audit.Dialect, tx T) Tx {
	return ofSQL(d, tx, tx)
}

func ofSQL(d audit.Dialect, run audit.ExecQuerier, end interface {
	Commit() error
	Rollback() error
}) Tx {
	return Tx{
		Recorder: OverSQL(d, run),
		Exec: func(ctx context.Context, query string) error {
			_, err := run.ExecContext(ctx, query)
			return err
		},
		Commit:   func(context.Context) error { return end.Commit() },
		Rollback: func(context.Context) error { return end.Rollback() },
	}
}

// GORM is GORM over a driver.
func GORM(t *testing.T, d audit.Dialect, db *gorm.DB) Stack {
	t.Helper()
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	return Stack{
		Dialect: d,
		DB:      pool,
		Begin: func(ctx context.Context) (Tx, error) {
			tx := db.WithContext(ctx).Begin()
			return ofGORM(tx), tx.Error
		},
		Pools:      map[string]Recorder{"*gorm.DB": OverGORM(db)},
		NoDatabase: map[string]Recorder{"nil": OverGORM(nil), "zero": OverGORM(&gorm.DB{})},
	}
}

func ofGORM(tx *gorm.DB) Tx {
	return Tx{
		Recorder: OverGORM(tx),
		Exec:     func(ctx context.Context, query string) error { return tx.WithContext(ctx).Exec(query).Error },
		Commit:   func(context.Context) error { return tx.Commit().Error },
		Rollback: func(context.Context) error { return tx.Rollback().Error },
	}
}
