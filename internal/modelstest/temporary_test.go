package modelstest

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

type sqliteCode int

func (c sqliteCode) Error() string { return "SQLite" }
func (c sqliteCode) Code() int     { return int(c) }

func TestAClosedConnectionIsTemporary(t *testing.T) {
	conn, err := pgx.Connect(t.Context(), databasetest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "SELECT 1"); !models.Temporary(fmt.Errorf("insert: %w", err)) {
		t.Errorf("%v is not temporary", err)
	}
}

func TestPassing(t *testing.T) {
	for _, err := range []error{
		driver.ErrBadConn,
		context.DeadlineExceeded,
		&net.OpError{Op: "dial", Err: errors.New("connection refused")},
		&pgconn.PgError{Code: "40P01"},
		&pgconn.PgError{Code: "57P03"},
		&pgconn.PgError{Code: "25006"},
		sqliteCode(5),
		sqliteCode(5 | 2<<8),
		errors.New("database is locked"),
	} {
		if !models.Temporary(fmt.Errorf("insert: %w", err)) {
			t.Errorf("%v does not pass", err)
		}
	}
	for _, err := range []error{
		nil,
		context.Canceled,
		errors.New("sql: database is closed"),
		&pgconn.PgError{Code: "22021"},
		&pgconn.PgError{Code: "42P01"},
		sqliteCode(19),
		sqliteCode(8),
	} {
		if models.Temporary(err) {
			t.Errorf("%v passes", err)
		}
	}
}
