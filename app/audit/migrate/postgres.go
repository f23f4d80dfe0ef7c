package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/auditlogs/auditlogs/app/audit"
)

const (
	// lockID is the advisory lock of migrations: an application that migrates its own schema with goose is not kept
	// waiting.
	lockID = 7305524612370941793
	// connections are what migrations need at once: one for themselves, one that holds the lock, and one to see
	// whom they wait for.
	connections = 3
	// patience is how long a migration is tried for whose locks others hold, all pauses together.
	patience = 5 * time.Minute
	// longestPause is between two attempts, and between two lines that say the same.
	longestPause = 10 * time.Second
)

// upPostgres runs the migrations, one host at a time. Each gives up within a moment where somebody holds a lock that
// it needs, since whoever records would wait behind it, and is tried again.
func upPostgres(ctx context.Context, db *sql.DB, provider *goose.Provider, citusAsked bool) error {
	citus, err := findCitus(ctx, db, citusAsked)
	if err != nil {
		return err
	}
	there, ours, err := versions(ctx, db, audit.PostgreSQL, provider)
	if err != nil {
		return err
	}
	if there >= ours {
		tables, err := citus.undistributed(ctx, db)
		if err != nil {
			return err
		}
		moved, err := haveMoved(ctx, db)
		if err != nil || len(tables) == 0 && !moved {
			return err
		}
	}
	if err := checkSchema(ctx, db); err != nil {
		return err
	}
	if most := db.Stats().MaxOpenConnections; 0 < most && most < connections {
		db.SetMaxOpenConns(connections)
		defer db.SetMaxOpenConns(most)
	}
	lock, err := takeLock(ctx, db)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Rollback() }() // it has changed nothing
	if err := checkPool(ctx, db); err != nil {
		return err
	}
	var waited time.Duration
	for pause := time.Second; ; pause = min(2*pause, longestPause) {
		by, err := watch(ctx, db, func() error {
			if there < ours {
				if _, err := provider.Up(ctx); err != nil {
					return err
				}
			}
			if err := continueTransactions(ctx, db); err != nil {
				return err
			}
			tables, err := citus.undistributed(ctx, db)
			if err != nil || len(tables) == 0 {
				return err
			}
			return distribute(ctx, db, tables)
		})
		if !mayPass(err) {
			return err
		}
		if waited += pause; waited > patience {
			return fmt.Errorf("%w: the tables are in use by %s", err, by)
		}
		slog.WarnContext(ctx, "audit: the migration tries again: the tables are in use by "+by.String(), "pause", pause)
		if by.autovacuum && endAutovacuum(ctx, db, by.table) == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: the tables are in use by %s", ctx.Err(), by)
		case <-time.After(pause):
		}
	}
}

// haveMoved reports whether the tables have come from another cluster. Who may not ask is not the one to do anything
// about it.
func haveMoved(ctx context.Context, db *sql.DB) (moved bool, err error) {
	err = db.QueryRowContext(ctx, "SELECT (SELECT value FROM audit_meta WHERE key = 'cluster') IS DISTINCT FROM (SELECT system_identifier::text FROM pg_control_system())").Scan(&moved)
	var coded interface{ SQLState() string }
	if errors.As(err, &coded) && coded.SQLState() == "42501" { // insufficient_privilege
		return false, nil
	}
	return moved, err
}

// continueTransactions lets the numbers of transactions in tables that have come from another cluster go on: see
// models/following.
func continueTransactions(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err = tx.ExecContext(ctx, "SET LOCAL lock_timeout = '200ms'"); err == nil {
		_, err = tx.ExecContext(ctx, "SELECT audit_continue_transactions()")
	}
	if err != nil {
		return fmt.Errorf("continue the numbers of transactions: %w", err)
	}
	return tx.Commit()
}

// checkPool finds a pool below db, of which db does not know, that has no other connections beside that of the lock.
func checkPool(ctx context.Context, db *sql.DB) error {
	ctx, cancel := context.WithTimeout(ctx, longestPause)
	defer cancel()
	for range connections - 1 {
		c, err := db.Conn(ctx)
		if err != nil {
			return fmt.Errorf("migrations need %d connections at once, and the pool has fewer: %w", connections, err)
		}
		defer c.Close()
	}
	return nil
}

// mayPass reports whether PostgreSQL refused a migration for what others did at the same time.
func mayPass(err error) bool {
	var coded interface{ SQLState() string }
	return errors.As(err, &coded) && slices.Contains([]string{
		"55P03", // lock_not_available
		"40P01", // deadlock_detected
		"40001", // serialization_failure
	}, coded.SQLState())
}

// checkSchema finds where the tables would be made in a schema that is not there, or beside those of a log that is.
func checkSchema(ctx context.Context, db *sql.DB) error {
	var path, current, there sql.NullString
	err := db.QueryRowContext(ctx, `SELECT current_setting('search_path'), current_schema(),
	(SELECT n.nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = to_regclass('`+versionTable+`'))`).
		Scan(&path, &current, &there)
	switch {
	case err != nil:
		return err
	case !current.Valid:
		return fmt.Errorf("there is no schema to make the tables in: of search_path (%s) the role may use none", path.String)
	case there.Valid && there != current:
		return fmt.Errorf("the tables are in schema %q and new ones would be made in %q: search_path has to begin with the former",
			there.String, current.String)
	}
	return nil
}

// takeLock returns a transaction that holds the lock until it ends: the lock of a session could be left on a
// connection of a pooler's. It waits for as long as another migration is under way.
func takeLock(ctx context.Context, db *sql.DB) (*sql.Tx, error) {
	for pause := time.Second; ; pause = min(2*pause, longestPause) {
		tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
		if err != nil {
			return nil, err
		}
		var taken bool
		err = tx.QueryRowContext(ctx, fmt.Sprintf("SELECT pg_try_advisory_xact_lock(%d)", lockID)).Scan(&taken)
		if err == nil && taken {
			if err = keepIdle(ctx, tx); err == nil {
				return tx, nil
			}
		}
		if err = errors.Join(err, tx.Rollback()); err != nil {
			return nil, err
		}
		by := migrating(ctx, db)
		slog.WarnContext(ctx, "audit: the migration waits for another that is under way, by "+by.String(), "pause", pause)
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: another migration is under way, by %s", ctx.Err(), by)
		case <-time.After(pause):
		}
	}
}

// keepIdle sees to it that a transaction may do nothing for as long as it takes. Building an index waits for every
// snapshot that is older, and that of the last query is kept until there is another statement: SET has none.
func keepIdle(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "SELECT set_config('transaction_timeout', '0', true) WHERE current_setting('transaction_timeout', true) <> ''") // from PostgreSQL 17 on
	if err == nil {
		_, err = tx.ExecContext(ctx, "SET LOCAL idle_in_transaction_session_timeout = 0")
	}
	return err
}

// endAutovacuum has PostgreSQL cancel an autovacuum of the table, as it does once somebody has waited for it for a
// second (deadlock_timeout). Unlike what a migration waits for, this lock is in nobody's way who records.
func endAutovacuum(ctx context.Context, db *sql.DB, table string) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err = tx.ExecContext(ctx, "SET LOCAL lock_timeout = '10s'"); err == nil {
		_, err = tx.ExecContext(ctx, "LOCK TABLE "+table+" IN SHARE UPDATE EXCLUSIVE MODE")
	}
	return err
}
