// Package ncruces tests the driver github.com/ncruces/go-sqlite3.
package ncruces

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	gormsqlite "github.com/glebarez/sqlite"
	"github.com/ncruces/go-sqlite3"
	_ "github.com/ncruces/go-sqlite3/driver" // the driver "sqlite3"
	"github.com/ncruces/go-sqlite3/ext/fts5"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/migrate"
	"github.com/auditlogs/auditlogs/internal/stacks/conformance"
)

func TestDriver(t *testing.T) {
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(t.TempDir(), "service.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := migrate.SQL(t.Context(), db, audit.SQLite); !errors.Is(err, audit.ErrNoFTS5) {
		t.Errorf("without the extension migrate.SQL returns %v", err)
	}

	sqlite3.AutoExtension(fts5.Register)
	conformance.Driver{
		Name:      "sqlite3",
		Address:   "file:FILE?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_txlock=immediate",
		Deferred:  "file:FILE?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_txlock=deferred",
		Impatient: "file:FILE?_pragma=busy_timeout(0)&_txlock=deferred", // without any _pragma it waits for a minute
		GORM:      func(db *sql.DB) gorm.Dialector { return &gormsqlite.Dialector{Conn: db} },
	}.Run(t)
}
