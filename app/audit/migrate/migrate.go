// Package migrate creates and updates the tables of the audit log. All their names begin with "audit_", so
// they can share a database with an application and its own migrations.
//
//	err := migrate.Up(ctx, db) // at every start, from as many hosts as there are
//
// An operator who prefers to do it before a new version starts runs "auditlogs migrate".
package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/models/migrations"
)

// versionTable keeps which migrations have run.
const versionTable = "audit_schema_version"

// lockID is the PostgreSQL advisory lock that migrations hold: an application that migrates its own
// schema with goose is not kept waiting.
const lockID = 7305524612370941793

// Up brings the schema in db up to date. Several hosts may call it at once: on PostgreSQL it takes an advisory
// lock, on SQLite the one that comes second finds the work done. It then does what audit.SaveRegistered does.
// In a dry run of GORM's it does nothing.
//
// Where the address of a SQLite database has no busy timeout it says so in a line of slog's default logger.
//
// On PostgreSQL nobody who records waits for a migration: where an open transaction holds a lock that it needs, it
// tries again, for up to five minutes, and names that transaction in a line of slog's default logger.
func Up(ctx context.Context, db *gorm.DB) error {
	pool, dialect, err := open(db)
	if err != nil || db.DryRun {
		return err
	}
	return SQL(ctx, pool, dialect)
}

// patience is how long a migration is tried for whose locks others hold, and the longest pause between two attempts.
const patience, longestPause = 5 * time.Minute, 10 * time.Second

// SQL brings the schema in db up to date, for services without GORM: see Up. With pgx, db is
// stdlib.OpenDBFromPool(pool).
func SQL(ctx context.Context, db *sql.DB, dialect audit.Dialect) error {
	if db == nil {
		return audit.ErrNoHandle
	}
	provider, err := newProvider(db, dialect)
	if err != nil {
		return fmt.Errorf("audit: migrate: %w", err)
	}
	if dialect == audit.SQLite {
		warnOfAddress(ctx, db)
	}
	deadline, pause := time.Now().Add(patience), time.Second/2
	for {
		before := version(ctx, provider)
		_, err := provider.Up(ctx)
		switch {
		case err == nil:
			return dialect.SaveRegistered(ctx, db)
		case dialect == audit.SQLite && version(ctx, provider) > before:
			// It has no lock to hold from the look at the version to the end of the migration: one that failed
			// while the schema moved on was run by somebody else.
			continue
		case dialect == audit.SQLite:
			return fmt.Errorf("audit: migrate: %w", known(err))
		case !lockTimedOut(err):
			return fmt.Errorf("audit: migrate: %w", err)
		}
		// Whoever records would wait behind a migration that waits for its lock: it gives up at once, and comes again.
		blocker := oldestUser(ctx, db)
		if pause = min(2*pause, longestPause); time.Now().Add(pause).After(deadline) {
			return fmt.Errorf("audit: migrate: %w: the tables are in use, %s", err, blocker)
		}
		slog.WarnContext(ctx, "audit: the migration tries again: the tables are in use, "+blocker, "pause", pause)
		select {
		case <-ctx.Done():
			return fmt.Errorf("audit: migrate: %w: the tables are in use, %s", ctx.Err(), blocker)
		case <-time.After(pause):
		}
	}
}

// lockTimedOut reports whether PostgreSQL has given up waiting for a lock.
func lockTimedOut(err error) bool {
	var coded interface{ SQLState() string }
	return errors.As(err, &coded) && coded.SQLState() == "55P03" // lock_not_available
}

// oldestUser names the longest of the transactions that hold a lock on what a migration changes.
func oldestUser(ctx context.Context, db *sql.DB) string {
	var who string
	err := db.QueryRowContext(ctx, `
SELECT concat('longest by process ', a.pid, ' of role ', a.usename, nullif(concat(' (', nullif(a.application_name, ''), ')'), ' ()'),
	', ', coalesce(a.state, 'active'), ', its transaction begun at ' || date_trunc('second', a.xact_start))
FROM pg_stat_activity AS a
WHERE a.pid <> pg_backend_pid() AND a.pid IN (SELECT pid FROM pg_locks WHERE granted AND relation IN (
	to_regclass('audit_entries'), to_regclass('audit_actors'), to_regclass('audit_api_keys'), to_regclass('audit_log')))
ORDER BY a.xact_start LIMIT 1`).Scan(&who)
	if err != nil { // it has just ended
		return "for a moment"
	}
	return who
}

// Versions returns that of the schema in db, 0 where there is none, and this program's. It changes nothing.
func Versions(ctx context.Context, db *gorm.DB) (there, ours int64, err error) {
	pool, dialect, err := open(db)
	if err != nil {
		return 0, 0, err
	}
	provider, err := newProvider(pool, dialect)
	if err != nil {
		return 0, 0, err
	}
	sources := provider.ListSources() // in order
	ours = sources[len(sources)-1].Version
	exists := "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = '" + versionTable + "'"
	if dialect == audit.PostgreSQL {
		exists = "SELECT COUNT(to_regclass('" + versionTable + "'))"
	}
	var tables int
	if err := pool.QueryRowContext(ctx, exists).Scan(&tables); err != nil || tables == 0 {
		return 0, ours, err
	}
	err = pool.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM "+versionTable).Scan(&there)
	return there, ours, err
}

func open(db *gorm.DB) (*sql.DB, audit.Dialect, error) {
	dialect, err := audit.DialectOf(db)
	if err != nil {
		return nil, dialect, err
	}
	pool, err := db.DB()
	if err != nil {
		return nil, dialect, fmt.Errorf("audit: migrate: %w", err)
	}
	return pool, dialect, nil
}

// version is the schema's, or -1 where there is none yet.
func version(ctx context.Context, provider *goose.Provider) int64 {
	current, err := provider.GetDBVersion(ctx)
	if err != nil {
		return -1
	}
	return current
}

func newProvider(db *sql.DB, dialect audit.Dialect) (*goose.Provider, error) {
	gooseDialect := goose.DialectSQLite3
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if dialect == audit.PostgreSQL {
		gooseDialect = goose.DialectPostgres
		// Try every second, for five minutes.
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(lockID), lock.WithLockTimeout(1, 300))
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	folder, err := fs.Sub(migrations.Files, dialect.String())
	if err != nil {
		return nil, err
	}
	store, err := database.NewStore(gooseDialect, versionTable)
	if err != nil {
		return nil, err
	}
	// Without a dialect: the store has one.
	return goose.NewProvider("", db, folder, append(options, goose.WithStore(store))...)
}
