//go:build cgo && !sqlite_fts5

package mattn

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3"
	_ "modernc.org/sqlite"          // the driver "sqlite", which has FTS5

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/migrate"
)

func open(t *testing.T, driver, file string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestWithoutFTS5TheTablesCannotBeMade(t *testing.T) {
	db := open(t, "sqlite3", filepath.Join(t.TempDir(), "service.db"))
	if err := migrate.SQL(t.Context(), db, audit.SQLite); !errors.Is(err, audit.ErrNoFTS5) {
		t.Errorf("migrate.SQL returns %v", err)
	}
}

func TestWithoutFTS5NothingIsRecordedInTablesOfAnotherProgram(t *testing.T) {
	file := filepath.Join(t.TempDir(), "service.db")
	if err := migrate.SQL(t.Context(), open(t, "sqlite", file), audit.SQLite); err != nil {
		t.Fatal(err)
	}
	db := open(t, "sqlite3", file)
	if _, err := audit.SQLite.EnsureOrganization(t.Context(), db, audit.Organization{Slug: "acme"}); err != nil {
		t.Fatal(err)
	}
	_, err := audit.SQLite.Record(t.Context(), db, audit.Event{
		Organization: "acme", Action: action.ServiceUpdate, EntityID: "svc-42", Actor: audit.System("test"),
	})
	if !errors.Is(err, audit.ErrNoFTS5) {
		t.Errorf("Record returns %v", err)
	}
}
