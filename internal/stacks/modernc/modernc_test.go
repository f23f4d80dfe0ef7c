// Package modernc tests the driver modernc.org/sqlite, and the libraries that keep rows in SQLite.
package modernc

import (
	"context"
	"database/sql"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/jmoiron/sqlx"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	gormsqlite "gorm.io/driver/sqlite"
	"gorm.io/gorm"
	_ "modernc.org/sqlite"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/internal/stacks/conformance"
)

var driver = conformance.Driver{
	Name:      "sqlite",
	Address:   "file:FILE?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_txlock=immediate",
	Deferred:  "file:FILE?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)",
	Impatient: "file:FILE",
	GORM: func(db *sql.DB) gorm.Dialector {
		return &gormsqlite.Dialector{DriverName: "sqlite", Conn: db}
	},
}

func TestDriver(t *testing.T) { driver.Run(t) }

func open(t *testing.T) *sql.DB {
	t.Helper()
	return driver.Open(t, driver.File(t), driver.Address)
}

func TestSQLX(t *testing.T) {
	db := sqlx.NewDb(open(t), "sqlite")
	conformance.Run(t, conformance.Stack{
		Dialect: audit.SQLite,
		DB:      db.DB,
		Begin: func(ctx context.Context) (conformance.Tx, error) {
			tx, err := db.BeginTxx(ctx, nil)
			return conformance.OfSQL(audit.SQLite, tx), err
		},
		Pools: map[string]conformance.Recorder{"*sqlx.DB": conformance.OverSQL(audit.SQLite, db)},
	})
}

func TestBun(t *testing.T) {
	db := bun.NewDB(open(t), sqlitedialect.New())
	conformance.Run(t, conformance.Stack{
		Dialect: audit.SQLite,
		DB:      db.DB,
		Begin: func(ctx context.Context) (conformance.Tx, error) {
			tx, err := db.BeginTx(ctx, nil)
			return conformance.OfSQL(audit.SQLite, tx), err
		},
		Pools: map[string]conformance.Recorder{"*bun.DB": conformance.OverSQL(audit.SQLite, db)},
	})
}

func TestEnt(t *testing.T) {
	driver := entsql.OpenDB(dialect.SQLite, open(t))
	conformance.Run(t, conformance.Stack{
		Dialect: audit.SQLite,
		DB:      driver.DB(),
		Begin: func(ctx context.Context) (conformance.Tx, error) {
			tx, err := driver.Tx(ctx)
			if err != nil {
				return conformance.Tx{}, err
			}
			return conformance.OfSQL(audit.SQLite, tx.(*entsql.Tx)), nil
		},
	})
}
