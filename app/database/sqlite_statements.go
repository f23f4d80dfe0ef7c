package database

import (
	"context"
	"database/sql/driver"
	"strings"

	"modernc.org/sqlite"
)

// keepingStatements makes connections that keep the statements they have prepared: SQLite takes
// longer to prepare most of ours than to run them. database/sql would keep them for whoever holds a
// *sql.Stmt, which those who are in a transaction cannot make beforehand.
type keepingStatements struct{ driver.Connector }

// keptStatements is how many statements a connection keeps, a few kilobytes each.
const keptStatements = 48

func (c keepingStatements) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	whole, ok := conn.(sqliteConn)
	if !ok {
		return conn, nil
	}
	return &keepingConn{sqliteConn: whole, kept: map[string]*keptStatement{}}, nil
}

// sqliteConn is what the driver's connections can do.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
	sqlite.DBStatus
}

// keepingConn is a connection; database/sql lets one goroutine at a time use it.
type keepingConn struct {
	sqliteConn
	kept map[string]*keptStatement
	uses uint64
}

type keptStatement struct {
	sqliteStatement
	inUse    bool
	lastUsed uint64
}

type sqliteStatement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

func (c *keepingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	statement, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if statement == nil {
		return c.sqliteConn.ExecContext(ctx, query, args)
	}
	statement.inUse = true
	defer statement.release()
	return statement.ExecContext(ctx, args)
}

func (c *keepingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	statement, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if statement == nil {
		return c.sqliteConn.QueryContext(ctx, query, args)
	}
	rows, err := statement.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	whole, ok := rows.(sqliteRows)
	if !ok {
		return rows, nil
	}
	statement.inUse = true
	return &keptRows{whole, statement}, nil
}

func (c *keepingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	statement, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	if statement == nil {
		return c.sqliteConn.PrepareContext(ctx, query)
	}
	statement.inUse = true
	return lentStatement{statement}, nil
}

func (c *keepingConn) Close() error {
	for _, statement := range c.kept {
		_ = statement.Close()
	}
	c.kept = nil
	return c.sqliteConn.Close()
}

// statement is the one kept for query, prepared now where there is none; nil where the connection
// is to do it the usual way: what is not kept, and what is under way already.
func (c *keepingConn) statement(ctx context.Context, query string) (*keptStatement, error) {
	statement, ok := c.kept[query]
	if !ok {
		if !worthKeeping(query) {
			return nil, nil
		}
		prepared, err := c.sqliteConn.PrepareContext(ctx, query)
		if err != nil {
			return nil, err
		}
		whole, can := prepared.(sqliteStatement)
		if !can {
			return nil, prepared.Close()
		}
		c.makeRoom()
		statement = &keptStatement{sqliteStatement: whole}
		c.kept[query] = statement
	}
	if statement.inUse {
		return nil, nil
	}
	c.uses++
	statement.lastUsed = c.uses
	return statement, nil
}

// makeRoom gives up the statement that has not been used for longest.
func (c *keepingConn) makeRoom() {
	if len(c.kept) < keptStatements {
		return
	}
	oldest, found := "", false
	for query, statement := range c.kept {
		if !statement.inUse && (!found || statement.lastUsed < c.kept[oldest].lastUsed) {
			oldest, found = query, true
		}
	}
	if found {
		_ = c.kept[oldest].Close()
		delete(c.kept, oldest)
	}
}

// worthKeeping says that a statement reads or changes rows: one that changes the schema or a setting
// is seldom run twice, and several statements in one text cannot be prepared together.
func worthKeeping(query string) bool {
	query = strings.TrimLeft(query, " \t\n")
	verb, _, _ := strings.Cut(query, " ")
	switch verb {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "WITH":
		return !strings.Contains(query, ";")
	default:
		return false
	}
}

func (s *keptStatement) release() { s.inUse = false }

// lentStatement is a kept one that somebody prepared: closing it gives it back.
type lentStatement struct{ *keptStatement }

func (s lentStatement) Close() error {
	s.release()
	return nil
}

// sqliteRows is what the driver's rows can do.
type sqliteRows interface {
	driver.Rows
	driver.RowsColumnTypeDatabaseTypeName
	driver.RowsColumnTypeLength
	driver.RowsColumnTypeNullable
	driver.RowsColumnTypePrecisionScale
	driver.RowsColumnTypeScanType
}

type keptRows struct {
	sqliteRows
	statement *keptStatement
}

func (r *keptRows) Close() error {
	defer r.statement.release()
	return r.sqliteRows.Close()
}
