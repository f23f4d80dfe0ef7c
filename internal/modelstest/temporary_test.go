package modelstest

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"syscall"
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

func TestADatabaseThatTakesNoChanges(t *testing.T) {
	for _, tc := range []struct {
		err error
		why string // why it takes none; empty where it cannot be reached
	}{
		{&pgconn.PgError{Code: "53100"}, "its disk is full"},
		{&pgconn.PgError{Code: "25006"}, "it is read-only"},
		{&pgconn.PgError{Code: "58030"}, "its disk fails"},
		{&pgconn.PgError{Code: "08006"}, ""},
		{&pgconn.PgError{Code: "XX000", Message: "postmaster was shut down, exiting"}, ""}, // Citus
		{sqliteCode(13), "its disk is full"},
		{sqliteCode(8), "it is read-only"},
		{sqliteCode(8 | 4<<8), "it is read-only"},
		{sqliteCode(10 | 3<<8), "its disk fails"},
		{sqliteCode(14), "its disk fails"},
		{&fs.PathError{Op: "write", Err: syscall.ENOSPC}, "its disk is full"},
		{models.ErrFileGone, "its file was deleted or replaced"},
		{&net.OpError{Op: "dial", Err: errors.New("connection refused")}, ""},
		{driver.ErrBadConn, ""},
		{io.ErrUnexpectedEOF, ""},
	} {
		err := fmt.Errorf("insert: %w", tc.err)
		if why := models.Unwritable(err); why != tc.why || !models.Unavailable(err) {
			t.Errorf("%v: it says %q, want %q; unavailable: %t", tc.err, why, tc.why, models.Unavailable(err))
		}
	}
	for _, err := range []error{
		nil,
		context.Canceled,
		context.DeadlineExceeded,
		&pgconn.PgError{Code: "22021"},
		&pgconn.PgError{Code: "53300"},
		sqliteCode(5),
		sqliteCode(19),
	} {
		if models.Unwritable(err) != "" || models.Unavailable(err) {
			t.Errorf("%v is taken for a database that takes no changes", err)
		}
	}
}

func TestPassing(t *testing.T) {
	for _, err := range []error{
		driver.ErrBadConn,
		context.DeadlineExceeded,
		&net.OpError{Op: "dial", Err: errors.New("connection refused")},
		&pgconn.PgError{Code: "40P01"},
		&pgconn.PgError{Code: "57P03"},
		&pgconn.PgError{Code: "XX000", Message: "could not commit transaction for shard 102008 on at least one active node"},
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
		&pgconn.PgError{Code: "XX000"},
		sqliteCode(19),
		sqliteCode(8),
	} {
		if models.Temporary(err) {
			t.Errorf("%v passes", err)
		}
	}
}
