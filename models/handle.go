package models

import (
	"context"
	"database/sql"
	"time"

	"gorm.io/gorm"
)

// Statements run SQL, each by itself or all in one transaction. It is all that recording asks of a library; it goes past
// GORM's statement builder, which takes longer than the statement itself.
type Statements interface {
	// Exec runs a statement and returns how many rows it is about.
	Exec(ctx context.Context, query string, args ...any) (rows int64, err error)
	// Query runs a statement that answers with rows. The one after it comes when they are closed.
	Query(ctx context.Context, query string, args ...any) (Rows, error)
}

// Rows are what a query answers with, as *sql.Rows are.
type Rows interface {
	Next() bool
	Scan(into ...any) error
	Err() error
	Close() error
}

// ExecQuerier runs statements as *sql.Tx does.
type ExecQuerier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// OverSQL makes Statements of what runs them as *sql.Tx does.
func OverSQL(run ExecQuerier) Statements { return overSQL{run} }

type overSQL struct{ ExecQuerier }

func (s overSQL) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := s.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (s overSQL) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	rows, err := s.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// Begin runs do in a new transaction, which is committed where do returns nil and rolled back otherwise.
type Begin func(ctx context.Context, do func(run Statements) error) error

// Handle is where something is stored: the caller's transaction, or what begins one, of any library.
type Handle struct {
	dialect dialect
	run     Statements
	begin   Begin // nil: run is in a transaction
	now     func() time.Time
	dryRun  bool
	err     error // why nothing can be stored
}

// NewHandle is over run, which is in the caller's transaction where begin is nil. dialect is "sqlite" or "postgres".
func NewHandle(dialect string, run Statements, begin Begin) Handle {
	h := Handle{run: run, begin: begin, now: time.Now}
	h.dialect, h.err = dialectNamed(dialect)
	return h
}

// HandleOf is over the transaction or pool of a *gorm.DB, by its clock (see WithClock). Where tx has failed before, so
// does all that is done with it: the statements of a transaction that could not begin would run outside of any.
func HandleOf(tx *gorm.DB) Handle {
	h := Handle{now: func() time.Time { return TransactionNow(tx) }, dryRun: tx.DryRun}
	if h.run, h.err = statementsOf(tx); h.err != nil {
		return h
	}
	h.dialect, h.err = dialectOf(tx)
	if _, is := tx.Statement.ConnPool.(gorm.TxCommitter); !is {
		h.begin = func(ctx context.Context, do func(run Statements) error) error {
			return tx.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return do(OverSQL(tx.Statement.ConnPool)) }, TransactionOptions(tx)...)
		}
	}
	return h
}

// TransactionOptions are those of a transaction in which something is stored and nothing else happens: they ask for the
// level that recording is made for.
func TransactionOptions(db *gorm.DB) []*sql.TxOptions {
	d, err := dialectOf(db)
	if err != nil {
		return nil
	}
	return d.isolation()
}

// Dialect is "sqlite" or "postgres".
func (h Handle) Dialect() string { return h.dialect.name() }

// InTransaction reports whether what is done is in the caller's transaction.
func (h Handle) InTransaction() bool { return h.begin == nil }

// DryRun reports whether h is a dry run of GORM's, whose statements do not reach the database.
func (h Handle) DryRun() bool { return h.dryRun }

// Now is the moment of what is done, in UTC.
func (h Handle) Now() time.Time { return h.now().UTC() }

// BeginWriting makes sure that the caller's transaction, where h is one, may write although it reads first.
func (h Handle) BeginWriting(ctx context.Context) error {
	if h.err != nil || h.begin != nil {
		return h.err
	}
	return h.dialect.beginWriting(ctx, h.run)
}

// AddressLacks is what AddressLacks lists, on SQLite.
func (h Handle) AddressLacks(ctx context.Context) []string {
	if h.Dialect() != (sqlite{}).name() {
		return nil
	}
	return AddressLacks(ctx, h.run)
}

// inTransaction runs do in the caller's transaction, or in a new one where there is none.
func (h Handle) inTransaction(ctx context.Context, do func(run Statements) error) error {
	if h.begin == nil {
		return do(h.run)
	}
	return h.begin(ctx, do)
}

// statementsOf is where statements of tx run.
func statementsOf(tx *gorm.DB) (Statements, error) {
	if tx.Error != nil {
		return nil, tx.Error
	}
	return OverSQL(tx.Statement.ConnPool), nil
}

// queryRows hands every row of a query to scan.
func queryRows(ctx context.Context, run Statements, scan func(rows Rows) error, query string, args ...any) error {
	rows, err := run.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
