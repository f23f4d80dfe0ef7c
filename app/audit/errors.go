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

// What is wrong with the database, or the handle to it, rather than with the event. All but ErrNotMigrated, and
// ErrWrongDialect with database/sql, are found before a statement reaches the database.
var (
	// ErrNoHandle reports that the *gorm.DB, *sql.Tx or *sql.DB is nil, or that gorm.Open failed to connect it.
	ErrNoHandle = errors.New("audit: there is no database behind the handle")
	// ErrHandleFailed reports a *gorm.DB whose Error is set, or a transaction that PostgreSQL has aborted: it could
	// not begin, or something before has failed in it.
	ErrHandleFailed = errors.New("audit: the transaction has failed before")
	// ErrHandleClosed reports a transaction that has been committed or rolled back, or a pool that has been closed.
	ErrHandleClosed = errors.New("audit: the transaction or pool is closed")
	// ErrWrongDialect reports a database that is neither PostgreSQL nor SQLite; or, with database/sql, a Dialect that
	// is not that of its database, which only shows in how the database takes the statement.
	ErrWrongDialect = errors.New("audit: the database is of another kind")
	// ErrNotMigrated reports that the tables are not there, or older than this package. It is what the statement fails
	// with: no other one is spent on looking.
	ErrNotMigrated = errors.New("audit: the tables are missing or too old: run migrate.Up first")
	// ErrNoTransaction reports a handle that is no transaction where Strict asks for one.
	ErrNoTransaction = errors.New("audit: the handle is no transaction")
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

// checkTransaction is checkHandle for a handle that should be a transaction.
func checkTransaction(ctx context.Context, tx *gorm.DB) error {
	if err := checkHandle(tx); err != nil {
		return err
	}
	if event.IsStrict(ctx) && !isTransaction(tx) {
		return ErrNoTransaction
	}
	return nil
}

func isTransaction(db *gorm.DB) bool {
	_, is := db.Statement.ConnPool.(gorm.TxCommitter)
	return is
}

// databaseError wraps an error of the database in db, together with that of this package which it amounts to.
func databaseError(db *gorm.DB, err error) error {
	if known := knownError(db.Name(), err); known != nil {
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
	case errors.Is(err, sql.ErrTxDone), says("sql: database is closed"): // database/sql has no value for the latter
		return ErrHandleClosed
	case isPostgreSQL && dialect != PostgreSQL.name,
		!isPostgreSQL && dialect == PostgreSQL.name && says("unrecognized token", "syntax error", "no such function"):
		return ErrWrongDialect
	case isPostgreSQL && postgres.SQLState() == "25P02": // in_failed_sql_transaction
		return ErrHandleFailed
	case isPostgreSQL && slices.Contains([]string{"42P01", "42703", "42P10"}, postgres.SQLState()), // no such table, column, constraint
		!isPostgreSQL && says("no such table: audit_", "no such column: ", "has no column named ", "ON CONFLICT clause does not match"):
		return ErrNotMigrated
	}
	return nil
}
