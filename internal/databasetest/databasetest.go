// Package databasetest gives tests a fresh, migrated database, of the same kinds and opened the
// same way as in production.
package databasetest

import (
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/auditlogs/auditlogs/app/database"
)

// Each runs test twice, as a subtest on SQLite and as one on PostgreSQL, each with a database of
// its own.
func Each(t *testing.T, test func(t *testing.T, db *database.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, Postgres(t)) })
}

// SQLite opens a fresh, migrated SQLite database; it is closed and removed when the test ends.
func SQLite(t testing.TB) *database.DB {
	t.Helper()
	db := Open(t, "sqlite:"+SQLiteFile(t))
	// A test's rows need not survive a crash of the machine: waiting for the disk is most of the time
	// a test would take.
	if err := db.Write.Exec("PRAGMA synchronous = OFF").Error; err != nil {
		t.Fatal(err)
	}
	return db
}

// SQLiteFile makes a fresh, migrated SQLite database; it is removed when the test ends.
func SQLiteFile(t testing.TB) (path string) {
	t.Helper()
	migrated, err := migratedFile()
	if err != nil {
		t.Fatalf("prepare the SQLite database: %v", err)
	}
	path = filepath.Join(t.TempDir(), "test.db")
	if err := os.WriteFile(path, migrated, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// migratedFile is a database file with the schema and nothing else. Tests get copies of it.
var migratedFile = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "databasetest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "migrated.db")
	if err := migrate("sqlite:" + path); err != nil {
		return nil, err
	}
	return os.ReadFile(path) // closing the last connection has moved the log into the file
})

// Open opens a database that exists and closes it when the test ends.
func Open(t testing.TB, url string) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), url, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close the database: %v", err)
		}
	})
	return db
}
