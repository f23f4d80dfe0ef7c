//go:build cgo && sqlite_fts5

package mattn

import (
	"database/sql"
	"testing"

	gormsqlite "gorm.io/driver/sqlite" // with the driver "sqlite3"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/internal/stacks/conformance"
)

func TestDriver(t *testing.T) {
	conformance.Driver{
		Name:      "sqlite3",
		Address:   "file:FILE?_busy_timeout=10000&_journal_mode=WAL&_txlock=immediate",
		Deferred:  "file:FILE?_busy_timeout=10000&_journal_mode=WAL",
		Impatient: "file:FILE?_busy_timeout=0", // without it waits for five seconds
		GORM:      func(db *sql.DB) gorm.Dialector { return &gormsqlite.Dialector{Conn: db} },
	}.Run(t)
}
