package audit

import (
	"context"
	"database/sql"
	"fmt"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/models"
)

// Dialect records in transactions of database/sql and the libraries over it, whatever their driver: see ExecQuerier.
//
//	tx, err := db.BeginTx(ctx, nil)
//	…
//	_, err = tx.ExecContext(ctx, "DELETE FROM services WHERE id = $1", service.ID)
//	…
//	_, err = audit.PostgreSQL.Record(ctx, tx, audit.Event{
//		Organization: "acme",
//		Action:       action.ServiceDelete,
//		EntityID:     service.ID,
//	})
//	…
//	err = tx.Commit()
//
// Its methods do the same, and return the same errors, as the functions of this package that
// take a *gorm.DB.
type Dialect struct{ name string }

// The databases the log can be kept in.
var (
	// PostgreSQL is version 13 or later, through pgx or lib/pq.
	PostgreSQL = Dialect{"postgres"}
	// SQLite is version 3.35 or later, with the FTS5 extension: modernc.org/sqlite and glebarez/go-sqlite have it,
	// mattn/go-sqlite3 with the build tag sqlite_fts5, and ncruces/go-sqlite3 with its ext/fts5.
	SQLite = Dialect{"sqlite"}
)

// String is "postgres" or "sqlite".
func (d Dialect) String() string { return d.name }

// Record stores event in tx, the caller's transaction: see the function Record.
func (d Dialect) Record(ctx context.Context, tx ExecQuerier, event Event) (Receipt, error) {
	return record(ctx, d.overSQL(tx), event)
}

// RecordAll stores events in tx, all or none: see the function RecordAll.
func (d Dialect) RecordAll(ctx context.Context, tx ExecQuerier, events []Event) ([]Receipt, error) {
	return recordAll(ctx, d.overSQL(tx), events)
}

// Backfill stores events of the past in tx, all or none: see the function Backfill.
func (d Dialect) Backfill(ctx context.Context, tx ExecQuerier, events []Event) ([]Receipt, error) {
	return backfill(ctx, d.overSQL(tx), events)
}

// EnsureOrganization finds or creates an organization in tx: see the function EnsureOrganization.
func (d Dialect) EnsureOrganization(ctx context.Context, tx ExecQuerier, organization Organization) (slug string, err error) {
	return ensureOrganization(ctx, d.overSQL(tx), organization)
}

// DialectOf returns that of db, whatever its driver; or ErrNoHandle or ErrWrongDialect.
func DialectOf(db *gorm.DB) (Dialect, error) {
	if db == nil || db.Config == nil || db.Statement == nil || db.Dialector == nil {
		return Dialect{}, ErrNoHandle
	}
	for _, dialect := range []Dialect{PostgreSQL, SQLite} {
		if db.Name() == dialect.name {
			return dialect, nil
		}
	}
	return Dialect{}, fmt.Errorf("%w: %q is neither PostgreSQL nor SQLite", ErrWrongDialect, db.Name())
}

// within calls a function of this package with a *gorm.DB over pool.
func within[Result any](ctx context.Context, d Dialect, pool *sql.DB, call func(db *gorm.DB) (Result, error)) (result Result, err error) {
	if pool == nil {
		return result, ErrNoHandle
	}
	db, err := models.OpenSQL(ctx, d.name, pool)
	if err != nil {
		return result, fmt.Errorf("%w: %w", ErrWrongDialect, err)
	}
	return call(db)
}
