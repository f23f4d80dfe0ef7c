// Package glebarez tests the driver github.com/glebarez/go-sqlite.
package glebarez

import (
	"database/sql"
	"testing"

	gormsqlite "github.com/glebarez/sqlite" // with the driver "sqlite"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/internal/stacks/conformance"
)

func TestDriver(t *testing.T) {
	conformance.Driver{
		Name:      "sqlite",
		Address:   "file:FILE?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_txlock=immediate",
		Deferred:  "file:FILE?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)",
		Impatient: "file:FILE?_pragma=busy_timeout(0)", // without it waits for five seconds
		GORM:      func(db *sql.DB) gorm.Dialector { return &gormsqlite.Dialector{Conn: db} },
	}.Run(t)
}
