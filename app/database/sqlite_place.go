package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/auditlogs/auditlogs/models"
)

// sqlitePlace is where the file of a SQLite database was opened. A file that is deleted or replaced while it is open
// goes on taking changes, and all of them are lost once it is closed. So nothing is stored in it any more. What it
// holds can still be read: its connections are kept, and nobody opens another file in its place, which has been
// through none of what a start makes sure of.
type sqlitePlace struct {
	path string
	file *sqliteFile
}

// check returns an error, which is models.ErrFileGone, unless the file is still there.
func (p sqlitePlace) check() error {
	there, err := os.Stat(p.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: there is no %s any more", models.ErrFileGone, p.path)
	case err != nil:
		return fmt.Errorf("%w: %w", models.ErrFileGone, err)
	case !os.SameFile(there, p.file.info):
		return fmt.Errorf("%w: %s is another file now", models.ErrFileGone, p.path)
	default:
		return nil
	}
}

// placedFile makes connections to the file in its place, and to no other: the first to another one would take the
// write-ahead log beside it for that file's, and the last one of it remove the log. Those that write store nothing once
// the file is gone.
type placedFile struct {
	keepingStatements
	place  sqlitePlace
	writes bool
}

func (c placedFile) Connect(ctx context.Context) (driver.Conn, error) {
	if err := c.place.check(); err != nil {
		return nil, err
	}
	conn, err := c.keepingStatements.Connect(ctx)
	if err != nil || !c.writes {
		return conn, err
	}
	return &placedConn{keepingConn: conn.(*keepingConn), place: c.place}, nil
}

type placedConn struct {
	*keepingConn
	place         sqlitePlace
	inTransaction bool
}

func (c *placedConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	tx, err := c.keepingConn.BeginTx(ctx, options)
	if err != nil {
		return nil, err
	}
	c.inTransaction = true
	return placedTx{tx, c}, nil
}

type placedTx struct {
	driver.Tx
	conn *placedConn
}

func (t placedTx) Commit() error {
	if err := t.conn.place.check(); err != nil {
		return errors.Join(err, t.Rollback())
	}
	t.conn.inTransaction = false
	return t.Tx.Commit()
}

func (t placedTx) Rollback() error {
	t.conn.inTransaction = false
	return t.Tx.Rollback()
}

func (c *placedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.checkAlone(); err != nil {
		return nil, err
	}
	return c.keepingConn.ExecContext(ctx, query, args)
}

func (c *placedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.checkAlone(); err != nil {
		return nil, err
	}
	return c.keepingConn.QueryContext(ctx, query, args)
}

// checkAlone checks for a statement that is a transaction of its own.
func (c *placedConn) checkAlone() error {
	if c.inTransaction {
		return nil
	}
	return c.place.check()
}
