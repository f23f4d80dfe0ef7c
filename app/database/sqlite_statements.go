package database

import (
	"context"
	"database/sql/driver"
	"strings"

	"modernc.org/sqlite"
)

// keepingStatements makes connections that keep the statements they have prepared: preparing the one that
// records an event takes as long as running it. database/sql keeps them for whoever holds a *sql.Stmt, which
// nobody in a transaction of the one writing connection can have made beforehand; and GORM's way of doing so
// takes longer than preparing them anew.
type keepingStatements struct{ driver.Connector }

// keptStatements is how many statements a connection keeps, a few kilobytes each.
const keptStatements = 48

func (c keepingStatements) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &keepingConn{conn.(sqliteConn), map[string]*keptStatement{}}, nil
}

// keepingConn is a connection; database/sql lets one goroutine at a time use it.
type keepingConn struct {
	sqliteConn
	kept map[string]*keptStatement
}

type keptStatement struct {
	sqliteStatement
	read bool // its rows are being read
}

// What the driver's connections, statements and rows can do.
type (
	sqliteConn interface {
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
	sqliteStatement interface {
		driver.Stmt
		driver.StmtExecContext
		driver.StmtQueryContext
	}
	sqliteRows interface {
		driver.Rows
		driver.RowsColumnTypeDatabaseTypeName
		driver.RowsColumnTypeLength
		driver.RowsColumnTypeNullable
		driver.RowsColumnTypePrecisionScale
		driver.RowsColumnTypeScanType
	}
)

func (c *keepingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if statement := c.statement(ctx, query); statement != nil {
		return statement.ExecContext(ctx, args)
	}
	return c.sqliteConn.ExecContext(ctx, query, args)
}

func (c *keepingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	statement := c.statement(ctx, query)
	if statement == nil {
		return c.sqliteConn.QueryContext(ctx, query, args)
	}
	rows, err := statement.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	statement.read = true
	return keptRows{rows.(sqliteRows), statement}, nil
}

type keptRows struct {
	sqliteRows
	statement *keptStatement
}

func (r keptRows) Close() error {
	r.statement.read = false
	return r.sqliteRows.Close()
}

// statement is the one kept for query, prepared now where there is none. It is nil where the connection is to
// run query the usual way: it is not kept, cannot be prepared, or its rows are being read.
func (c *keepingConn) statement(ctx context.Context, query string) *keptStatement {
	statement, found := c.kept[query]
	if !found && worthKeeping(query) {
		prepared, err := c.PrepareContext(ctx, query)
		if err != nil {
			return nil
		}
		if len(c.kept) >= keptStatements {
			c.forget()
		}
		statement = &keptStatement{sqliteStatement: prepared.(sqliteStatement)}
		c.kept[query] = statement
	}
	if statement == nil || statement.read {
		return nil
	}
	return statement
}

// forget gives up all statements but those whose rows are being read.
func (c *keepingConn) forget() {
	for query, statement := range c.kept {
		if !statement.read {
			_ = statement.Close()
			delete(c.kept, query)
		}
	}
}

func (c *keepingConn) Close() error {
	c.forget()
	return c.sqliteConn.Close()
}

// worthKeeping reports whether a statement reads or changes rows: one that changes the schema or a setting
// is seldom run twice, and several statements in one text cannot be prepared together.
func worthKeeping(query string) bool {
	verb, _, _ := strings.Cut(strings.TrimLeft(query, " \t\n"), " ")
	switch verb {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "WITH":
		return !strings.Contains(query, ";")
	default:
		return false
	}
}
