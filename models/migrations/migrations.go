// Package migrations holds the schema of the audit log, one folder of SQL a database.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"
)

// Files are the migrations, in the folders "sqlite" and "postgres".
//
//go:embed sqlite/*.sql postgres/*.sql
var Files embed.FS

// versionTable keeps which migrations have run. Like every table here its name begins with
// "audit_", so the schema can share a database with an application and its own migrations.
const versionTable = "audit_schema_version"

// lockID is the PostgreSQL advisory lock that migrations hold: an application that migrates its own
// schema with goose is not kept waiting.
const lockID = 7305524612370941793

// Up brings the schema in db up to date and says how many migrations it ran. dialect is
// "sqlite" or "postgres". Several hosts may call it at once: on PostgreSQL it takes an advisory
// lock, on SQLite the one that comes second finds the work done.
func Up(ctx context.Context, db *sql.DB, dialect string) (int, error) {
	provider, err := newProvider(db, dialect)
	if err != nil {
		return 0, fmt.Errorf("migrate: %w", err)
	}
	if dialect == "postgres" {
		results, err := provider.Up(ctx)
		if err != nil {
			return len(results), fmt.Errorf("migrate: %w", err)
		}
		return len(results), nil
	}
	// SQLite has no lock to hold from the look at the version to the end of the migration. A
	// migration that failed while the schema moved on was run by somebody else: look again.
	for ran := 0; ; {
		before := version(ctx, provider)
		results, err := provider.Up(ctx)
		ran += len(results)
		if err == nil {
			return ran, nil
		}
		if version(ctx, provider) <= before {
			return ran, fmt.Errorf("migrate: %w", err)
		}
	}
}

// Versions are that of the schema in db, 0 where there is none, and this program's. It changes nothing.
func Versions(ctx context.Context, db *sql.DB, dialect string) (there, ours int64, err error) {
	provider, err := newProvider(db, dialect)
	if err != nil {
		return 0, 0, err
	}
	sources := provider.ListSources() // in order
	ours = sources[len(sources)-1].Version
	exists := "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = '" + versionTable + "'"
	if dialect == "postgres" {
		exists = "SELECT COUNT(to_regclass('" + versionTable + "'))"
	}
	var tables int
	if err := db.QueryRowContext(ctx, exists).Scan(&tables); err != nil || tables == 0 {
		return 0, ours, err
	}
	err = db.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM "+versionTable).Scan(&there)
	return there, ours, err
}

// version is the schema's, or -1 where there is none yet.
func version(ctx context.Context, provider *goose.Provider) int64 {
	current, err := provider.GetDBVersion(ctx)
	if err != nil {
		return -1
	}
	return current
}

func newProvider(db *sql.DB, dialect string) (*goose.Provider, error) {
	gooseDialect := goose.DialectSQLite3
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if dialect == "postgres" {
		gooseDialect = goose.DialectPostgres
		// Try every second, for five minutes.
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(lockID), lock.WithLockTimeout(1, 300))
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	folder, err := fs.Sub(Files, dialect)
	if err != nil {
		return nil, err
	}
	store, err := database.NewStore(gooseDialect, versionTable)
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectCustom, db, folder, append(options, goose.WithStore(store))...)
}
