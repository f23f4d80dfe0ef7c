package database

import (
	"context"
	"database/sql/driver"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// writableOnly drops the connections of a pool once one of them turns out to be read-only. They may lead to a server
// that is no longer the primary, and a session keeps the default_transaction_read_only that a database or a role had
// when it began, however it is set later.
type writableOnly struct{ refused atomic.Int64 } // when a change was refused last, in nanoseconds since 1970

// readOnlyRest is how long a connection is kept all the same: while the database is read-only, those who read it
// would make theirs anew each time somebody else is refused a change.
const readOnlyRest = time.Second

// beginning is what is known of a connection since it was made.
type beginning struct {
	at       int64 // in nanoseconds since 1970
	readOnly bool
}

// beginningKey is where a connection keeps its beginning.
const beginningKey = "auditlogs_beginning"

// begin asks a new connection whether it is read-only, once another one was.
func (w *writableOnly) begin(ctx context.Context, conn *pgx.Conn) error {
	begun := beginning{at: time.Now().UnixNano()}
	if w.refused.Load() > 0 {
		results, err := conn.PgConn().Exec(ctx, "SHOW transaction_read_only").ReadAll()
		if err != nil {
			return err
		}
		begun.readOnly = string(results[0].Rows[0][0]) == "on"
	}
	conn.PgConn().CustomData()[beginningKey] = begun
	return nil
}

// onError has pgx close the connection that refused a change.
func (w *writableOnly) onError(otherwise pgconn.PgErrorHandler) pgconn.PgErrorHandler {
	return func(conn *pgconn.PgConn, err *pgconn.PgError) bool {
		if err.Code != "25006" { // read_only_sql_transaction
			return otherwise == nil || otherwise(conn, err)
		}
		w.refused.Store(time.Now().UnixNano())
		return false
	}
}

// reset drops a connection that is read-only, or of before the last refusal, when it is to be used again.
func (w *writableOnly) reset(_ context.Context, conn *pgx.Conn) error {
	begun, _ := conn.PgConn().CustomData()[beginningKey].(beginning)
	if (begun.readOnly || begun.at < w.refused.Load()) && time.Now().UnixNano()-begun.at >= int64(readOnlyRest) {
		return driver.ErrBadConn
	}
	return nil
}
