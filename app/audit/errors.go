package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event"
)

// What is wrong with the database, or the handle to it, rather than with the event. All but ErrNotMigrated, ErrNoFTS5 and
// ErrBusy, and ErrWrongDialect without GORM, are found before a statement reaches the database.
var (
	// ErrNoHandle reports that the transaction or pool is nil, or that gorm.Open failed to connect it.
	ErrNoHandle = errors.New("audit: there is no database behind the handle")
	// ErrHandleFailed reports a *gorm.DB whose Error is set, or a transaction that PostgreSQL has aborted: it could
	// not begin, or something before has failed in it.
	ErrHandleFailed = errors.New("audit: the transaction has failed before")
	// ErrHandleClosed reports a transaction that has been committed or rolled back, or a pool that has been closed.
	ErrHandleClosed = errors.New("audit: the transaction or pool is closed")
	// ErrWrongDialect reports a database that is neither PostgreSQL nor SQLite; or, without GORM, a Dialect that is not
	// that of its database, which only shows in how the database takes the statement.
	ErrWrongDialect = errors.New("audit: the database is of another kind")
	// ErrNotMigrated reports that the tables are not there, or older than this package. It is what the statement fails
	// with: no other one is spent on looking.
	ErrNotMigrated = errors.New("audit: the tables are missing or too old: run migrate.Up first")
	// ErrNoTransaction reports a handle that is no transaction where Strict asks for one; or that neither is one nor
	// begins one.
	ErrNoTransaction = errors.New("audit: the handle is no transaction")
	// ErrNoFTS5 reports a SQLite without full-text search: that of mattn/go-sqlite3 in a program that is built without
	// the tag sqlite_fts5, or that of ncruces/go-sqlite3 without its extension.
	ErrNoFTS5 = errors.New("audit: this SQLite has no full-text search (FTS5): build mattn/go-sqlite3 with -tags sqlite_fts5, " +
		"call sqlite3.AutoExtension(fts5.Register) of ncruces/go-sqlite3, or use another driver")
	// ErrBusy reports that SQLite would not wait, or not any longer, for another connection that writes. It says what
	// the address lacks: see docs/stacks.md.
	ErrBusy = errors.New("audit: another connection writes to the SQLite database")
)

// checkHandle refuses a handle that nothing can be recorded in.
func checkHandle(db *gorm.DB) error {
	_, err := DialectOf(db)
	switch {
	case err != nil:
		return err
	case db.Error != nil:
		return fmt.Errorf("%w: %w", ErrHandleFailed, db.Error)
	case db.Statement.ConnPool == nil && !db.DryRun:
		return ErrNoHandle
	}
	return nil
}

// check refuses a handle that nothing can be recorded in, or that is no transaction where Strict asks for one.
func (h handle) check(ctx context.Context) error {
	switch {
	case h.err != nil:
		return h.err
	case event.IsStrict(ctx) && !h.InTransaction():
		return ErrNoTransaction
	}
	return nil
}

func isTransaction(db *gorm.DB) bool {
	_, is := db.Statement.ConnPool.(gorm.TxCommitter)
	return is
}

// databaseError wraps an error of the database in h, together with that of this package which it amounts to.
func (h handle) databaseError(ctx context.Context, err error) error {
	err = databaseError(h.Dialect(), err)
	if !errors.Is(err, ErrBusy) {
		return err
	}
	lacks := h.AddressLacks(context.WithoutCancel(ctx))
	if h.InTransaction() { // one that had begun to write would not have met anybody
		lacks = append(lacks, "_txlock=immediate")
	}
	if len(lacks) == 0 {
		return err
	}
	return fmt.Errorf("%w (the database's address lacks %s)", err, strings.Join(lacks, ", "))
}

func databaseError(dialect string, err error) error {
	if known := knownError(dialect, err); known != nil {
		return fmt.Errorf("%w: %w", known, err)
	}
	return fmt.Errorf("audit: %w", err)
}

// knownError knows errors of every driver by what they have in common, as models.Temporary does.
func knownError(dialect string, err error) error {
	text := err.Error()
	says := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(text, part) })
	}
	var postgres interface{ SQLState() string }
	isPostgreSQL := errors.As(err, &postgres)
	switch {
	case errors.Is(err, sql.ErrTxDone), says("sql: database is closed"), // database/sql has no value for the latter
		says("tx is closed", "closed pool"): // pgx's, which this package does not know
		return ErrHandleClosed
	case isPostgreSQL && dialect != PostgreSQL.name,
		!isPostgreSQL && dialect == PostgreSQL.name && says("unrecognized token", "syntax error", "no such function"):
		return ErrWrongDialect
	case isPostgreSQL && postgres.SQLState() == "25P02": // in_failed_sql_transaction
		return ErrHandleFailed
	case isPostgreSQL && slices.Contains([]string{"42P01", "42703", "42P10"}, postgres.SQLState()), // no such table, column, constraint
		!isPostgreSQL && says("no such table: audit_", "no such column: ", "has no column named ", "ON CONFLICT clause does not match"):
		return ErrNotMigrated
	case dialect == SQLite.name && says("no such module: fts5"):
		return ErrNoFTS5
	case dialect == SQLite.name && says("database is locked"):
		return ErrBusy
	}
	return nil
}
