package jobs

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"time"

	"github.com/auditlogs/auditlogs/models"
)

// leader decides which of the servers on a database does the work.
type leader interface {
	// lead tries to become the leader, or checks that this server still is.
	lead(ctx context.Context) (bool, error)
	// stillLeads only checks.
	stillLeads(ctx context.Context) (bool, error)
	// release lets another server lead.
	release()
}

func newLeader(store *models.Store) (leader, error) {
	if store.Dialect() != "postgres" {
		return soleLeader{}, nil
	}
	pool, err := store.Writer(context.Background()).DB()
	if err != nil {
		return nil, err
	}
	return &postgresLeader{pool: pool}, nil
}

// soleLeader leads always: a SQLite file belongs to one server.
type soleLeader struct{}

func (soleLeader) lead(context.Context) (bool, error)       { return true, nil }
func (soleLeader) stillLeads(context.Context) (bool, error) { return true, nil }
func (soleLeader) release()                                 {}

// postgresLeader leads while its own connection holds an advisory lock. PostgreSQL gives the lock
// free by itself when the connection ends, however the server died.
//
// The connection is kept out of the pool for that alone. Work runs on others: a statement that is
// cancelled may cost its connection, and that must not cost the lock.
type postgresLeader struct {
	pool *sql.DB
	conn *sql.Conn // nil while another server leads
}

// lockID is the lock: a number of ours ("audt"), and the table of this installation, so that two in
// different schemas of one database do not wait for each other.
const lockID = "1635083380, 'audit_jobs'::regclass::oid::int"

func (l *postgresLeader) lead(ctx context.Context) (bool, error) {
	if leads, err := l.stillLeads(ctx); leads || err != nil {
		return leads, err
	}
	conn, err := l.pool.Conn(ctx)
	if err != nil {
		return false, fmt.Errorf("open a connection for the lock: %w", err)
	}
	var locked bool
	if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock("+lockID+")").Scan(&locked); err != nil {
		end(conn)
		return false, fmt.Errorf("take the lock: %w", err)
	}
	if !locked {
		return false, conn.Close() // back to the pool, as it was
	}
	// A server that vanishes without a goodbye is noticed within a minute instead of two hours.
	_, err = conn.ExecContext(ctx, "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3")
	if err != nil {
		end(conn)
		return false, fmt.Errorf("watch the connection of the lock: %w", err)
	}
	l.conn = conn
	return true, nil
}

func (l *postgresLeader) stillLeads(ctx context.Context) (bool, error) {
	if l.conn == nil {
		return false, nil
	}
	// Asking for the lock itself, since a connection may be alive and have lost it: behind a pooler
	// that hands connections around, or when somebody called pg_advisory_unlock_all.
	var held bool
	err := l.conn.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_locks
		WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted
		AND (classid, objid) = (1635083380, 'audit_jobs'::regclass::oid))`).Scan(&held)
	if err != nil || !held {
		l.release()
	}
	if err != nil {
		return false, fmt.Errorf("check the lock: %w", err)
	}
	return held, nil
}

func (l *postgresLeader) release() {
	if l.conn == nil {
		return
	}
	// Without this the lock would be free a moment later, when PostgreSQL notices that the
	// connection has ended. The server may be stopping: its own contexts are over.
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = l.conn.ExecContext(ctx, "SELECT pg_advisory_unlock("+lockID+")")
	end(l.conn)
	l.conn = nil
}

// end closes a connection for good instead of giving it back to the pool: it may hold the lock.
func end(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	_ = conn.Close()
}
