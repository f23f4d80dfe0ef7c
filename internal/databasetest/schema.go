package databasetest

import (
	"context"
	"io/fs"
	"testing"

	"github.com/pressly/goose/v3"
	gooseStore "github.com/pressly/goose/v3/database"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/models/migrations"
)

// Migrations are those of a database, in their order, by goose alone: without what package migrate does for them.
type Migrations struct{ provider *goose.Provider }

// MigrationsOf gives those of db.
func MigrationsOf(t testing.TB, db *database.DB) Migrations {
	t.Helper()
	folder, err := fs.Sub(migrations.Files, db.Write.Name())
	if err != nil {
		t.Fatal(err)
	}
	dialect := map[string]goose.Dialect{"sqlite": goose.DialectSQLite3, "postgres": goose.DialectPostgres}[db.Write.Name()]
	store, err := gooseStore.NewStore(dialect, "audit_schema_version")
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.Write.DB()
	if err != nil {
		t.Fatal(err)
	}
	provider, err := goose.NewProvider(goose.DialectCustom, pool, folder, goose.WithStore(store), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	return Migrations{provider}
}

// Versions are those that there are.
func (m Migrations) Versions() (versions []int64) {
	for _, source := range m.provider.ListSources() {
		versions = append(versions, source.Version)
	}
	return versions
}

// UpTo runs those that are missing up to a version, each once.
func (m Migrations) UpTo(ctx context.Context, version int64) error {
	_, err := m.provider.UpTo(ctx, version)
	return err
}

// DownTo undoes those behind a version.
func (m Migrations) DownTo(ctx context.Context, version int64) error {
	_, err := m.provider.DownTo(ctx, version)
	return err
}

// MigrateTo makes the schema as it was at a version.
func MigrateTo(t testing.TB, db *database.DB, version int64) {
	t.Helper()
	if err := MigrationsOf(t, db).UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
}
