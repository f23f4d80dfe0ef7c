package models

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
)

// Temporary reports whether err may go away by itself, so that the same transaction is worth trying again:
// the connection was lost or could not be made, the server starts or shuts down or has no resources
// left, the database is locked, transactions got in each other's way, a statement took too long.
// What is wrong with a statement or its values stays.
//
// It knows errors of every driver by what they have in common.
func Temporary(err error) bool {
	if err == nil {
		return false
	}
	if state := sqlState(err); state != "" {
		return passingState(state)
	}
	// SQLite's: modernc.org/sqlite.
	var code interface{ Code() int }
	if errors.As(err, &code) {
		return passingCode(code.Code())
	}
	return connectionLost(err) || errors.Is(err, sql.ErrTxDone) || errors.Is(err, context.DeadlineExceeded) ||
		// mattn/go-sqlite3's type cannot be named without cgo, so its text is all there is.
		strings.Contains(err.Error(), "database is locked") || strings.Contains(err.Error(), "database table is locked")
}

// sqlState is that of PostgreSQL's answer, by pgx or lib/pq; empty where err is none. Of a node that died under it
// Citus says so in a sentence only, under XX000.
func sqlState(err error) string {
	var answer interface{ SQLState() string }
	if !errors.As(err, &answer) {
		return ""
	}
	const connectionFailure = "08006"
	state := answer.SQLState()
	if state == "XX000" && slices.ContainsFunc([]string{"postmaster was shut down", "unexpected postmaster exit",
		"failure on connection marked as essential", "could not commit transaction for shard"},
		func(part string) bool { return strings.Contains(err.Error(), part) }) {
		return connectionFailure
	}
	return state
}

// connectionLost reports whether there is no connection to the database, or none any more.
func connectionLost(err error) bool {
	var unsent interface{ SafeToRetry() bool } // pgx's, such as of a connection that is closed
	if errors.As(err, &unsent) && unsent.SafeToRetry() {
		return true
	}
	var network net.Error
	if errors.As(err, &network) && !errors.Is(err, context.DeadlineExceeded) { // which is one, too
		return true
	}
	for _, lost := range []error{driver.ErrBadConn, sql.ErrConnDone, io.EOF, io.ErrUnexpectedEOF,
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE} {
		if errors.Is(err, lost) {
			return true
		}
	}
	return false
}

// ErrFileGone reports that the file of a SQLite database is no longer where it was opened: what is stored in it
// now would be found by nobody.
var ErrFileGone = errors.New("the file of the database was deleted or replaced")

// Unwritable returns why the database that err comes from takes no changes, in words that anybody may read. It is
// empty where err says no such thing: another statement may succeed.
func Unwritable(err error) string {
	const full, readOnly, failing = "its disk is full", "it is read-only", "its disk fails"
	switch {
	case errors.Is(err, ErrFileGone):
		return "its file was deleted or replaced"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return full
	case errors.Is(err, syscall.EROFS):
		return readOnly
	}
	if state := sqlState(err); state != "" {
		switch {
		case state == "53100":
			return full
		case state == "25006":
			return readOnly
		case strings.HasPrefix(state, "58"):
			return failing
		}
		return ""
	}
	var code interface{ Code() int }
	if errors.As(err, &code) {
		const readOnlyCode, ioError, fullCode, cannotOpen = 8, 10, 13, 14
		switch code.Code() & 0xff {
		case fullCode:
			return full
		case readOnlyCode:
			return readOnly
		case ioError, cannotOpen: // a full disk is the former where SQLite maps a file into memory
			return failing
		}
	}
	return ""
}

// Unavailable reports whether err is of a database that takes no changes, or cannot be reached: whoever asked is not
// to blame, and the same request may succeed later.
func Unavailable(err error) bool {
	if err == nil {
		return false
	}
	if strings.HasPrefix(sqlState(err), "08") {
		return true
	}
	return Unwritable(err) != "" || connectionLost(err)
}

// givenUp reports whether a database has given a transaction up for another one, with which it could not be
// brought into an order, or each of which waited for the other. None of it is kept, and all of it can be tried again.
func givenUp(err error) bool {
	return slices.Contains([]string{"40001", "40P01"}, sqlState(err))
}

// Overloaded reports whether err is of a database that did not answer in time, or has too much to do to answer, or
// restarts: the same request is worth sending again in a moment.
func Overloaded(err error) bool {
	if state := sqlState(err); state != "" {
		return state == "55P03" || slices.Contains([]string{"40", "53", "57"}, state[:min(2, len(state))])
	}
	var code interface{ Code() int }
	if errors.As(err, &code) {
		const busy, locked, interrupted = 5, 6, 9
		return slices.Contains([]int{busy, locked, interrupted}, code.Code()&0xff)
	}
	return errors.Is(err, context.DeadlineExceeded)
}

// passingState judges a SQLSTATE.
func passingState(state string) bool {
	switch {
	case strings.HasPrefix(state, "08"), // the connection failed
		strings.HasPrefix(state, "40"), // serialization failure, deadlock
		strings.HasPrefix(state, "53"), // insufficient resources
		strings.HasPrefix(state, "57"), // cancelled, time-out, shutting down, starting up
		strings.HasPrefix(state, "58"): // an error of the server's own system
		return true
	default:
		return state == "25006" || // read-only: a standby, until it has taken over
			state == "55P03" // a lock was not to be had
	}
}

// passingCode judges a result code of SQLite; the lower 8 bits are the kind.
func passingCode(code int) bool {
	const busy, locked, interrupted, readOnly, ioError, full = 5, 6, 9, 8, 10, 13
	switch code & 0xff {
	case busy, locked, interrupted, ioError, full:
		return true
	default:
		return code&0xff == readOnly && code != readOnly // of a file that is being moved or recovered
	}
}
