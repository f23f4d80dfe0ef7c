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
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/models/migrations"
)

// versionTable keeps which migrations have run.
const versionTable = "audit_schema_version"

// Up brings the schema in db up to date. Several hosts may call it at once: on PostgreSQL one waits for the other,
// on SQLite the one that comes second finds the work done. It then does what audit.SaveRegistered does. In a dry
// run of GORM's it does nothing.
//
// Where the address of a SQLite database has no busy timeout it says so in a line of slog's default logger.
//
// On PostgreSQL the tables are made in the first schema of search_path, and all the role has to be allowed is to
// create them there. Where there is something to migrate it uses up to three connections at once, also of a pool
// that is bounded to fewer (one of pgx's below database/sql has to let it have them), and leaves nothing behind in the
// sessions: a pooler may stand in between.
//
// Nobody who records waits for a migration on PostgreSQL: where an open transaction holds a lock that it needs, it
// tries again, for up to five minutes. Building an index waits for the transactions under way, however long that
// takes. Either way a line of slog's default logger names who is in its way.
func Up(ctx context.Context, db *gorm.DB) error {
	pool, dialect, err := open(db)
	if err != nil || db.DryRun {
		return err
	}
	return SQL(ctx, pool, dialect)
}

// SQL brings the schema in db up to date, for services without GORM: see Up. With pgx, db is
// stdlib.OpenDBFromPool(pool).
func SQL(ctx context.Context, db *sql.DB, dialect audit.Dialect) error {
	if db == nil {
		return audit.ErrNoHandle
	}
	return up(ctx, db, dialect, false)
}

func up(ctx context.Context, db *sql.DB, dialect audit.Dialect, citus bool) error {
	provider, err := newProvider(db, dialect)
	switch {
	case err != nil:
	case dialect == audit.PostgreSQL:
		err = upPostgres(ctx, db, provider, citus)
	default:
		err = upSQLite(ctx, db, provider)
	}
	if err != nil {
		return fmt.Errorf("audit: migrate: %w", err)
	}
	return dialect.SaveRegistered(ctx, db)
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
	return versions(ctx, pool, dialect, provider)
}

func versions(ctx context.Context, db *sql.DB, dialect audit.Dialect, provider *goose.Provider) (there, ours int64, err error) {
	sources := provider.ListSources() // in order
	ours = sources[len(sources)-1].Version
	exists := "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = '" + versionTable + "'"
	if dialect == audit.PostgreSQL {
		exists = "SELECT COUNT(to_regclass('" + versionTable + "'))"
	}
	var tables int
	if err := db.QueryRowContext(ctx, exists).Scan(&tables); err != nil || tables == 0 {
		return 0, ours, err
	}
	err = db.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM "+versionTable).Scan(&there)
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
	if dialect == audit.PostgreSQL {
		gooseDialect = goose.DialectPostgres
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
	return goose.NewProvider("", db, folder, goose.WithDisableGlobalRegistry(true), goose.WithStore(store))
}
