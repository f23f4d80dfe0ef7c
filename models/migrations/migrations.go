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

//go:embed sqlite/*.sql postgres/*.sql
var files embed.FS

// versionTable keeps which migrations have run. Like every table here its name begins with
// "audit_", so the schema can share a database with an application and its own migrations.
const versionTable = "audit_schema_version"

// Up brings the schema in db up to date and says how many migrations it ran. dialect is
// "sqlite" or "postgres". On PostgreSQL it takes an advisory lock first, so several hosts may
// call it at once; on SQLite the database file's own lock does the same.
func Up(ctx context.Context, db *sql.DB, dialect string) (int, error) {
	gooseDialect, options := goose.DialectSQLite3, []goose.ProviderOption{}
	if dialect == "postgres" {
		gooseDialect = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return 0, fmt.Errorf("prepare the migration lock: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	folder, err := fs.Sub(files, dialect)
	if err != nil {
		return 0, fmt.Errorf("migrations for %q: %w", dialect, err)
	}
	store, err := database.NewStore(gooseDialect, versionTable)
	if err != nil {
		return 0, fmt.Errorf("migration store: %w", err)
	}
	options = append(options, goose.WithStore(store), goose.WithDisableGlobalRegistry(true))
	provider, err := goose.NewProvider(goose.DialectCustom, db, folder, options...)
	if err != nil {
		return 0, fmt.Errorf("read migrations: %w", err)
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return 0, fmt.Errorf("migrate: %w", err)
	}
	return len(results), nil
}
