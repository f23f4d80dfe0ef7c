package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"time"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/auditlogs/auditlogs/models"
)

// To database/sql the standbys are one database, whose connections are none: each question is asked
// in the pool of the standby that suits the visit, or of the primary. All rows are read before the
// first is handed out, so that the primary can answer as a whole what a standby failed to, in the
// middle of its rows as well: it is stopped, or gives a statement up that is in the way of what it
// replays. The questions are for a page of rows, or a few hundred of an export.

// standbyAnswer is how long a standby may take for one answer.
const standbyAnswer = 5 * time.Second

// ask answers a question.
func (s *standbys) ask(ctx context.Context, query string, args []any) (*wholeRows, error) {
	visit := models.VisitOf(ctx)
	number, ok := visit.Copy(len(s.all), func(i int) (models.Position, bool) { return s.all[i].at() })
	if !ok {
		return readWhole(ctx, s.primary, query, args)
	}
	rows, failed := s.all[number].ask(ctx, query, args)
	if failed == nil || ctx.Err() != nil {
		return rows, failed
	}
	visit.LeaveCopies()
	rows, err := readWhole(ctx, s.primary, query, args)
	if err == nil { // or else the question is to blame
		s.all[number].rest(s.log, failed)
	}
	return rows, err
}

func (one *standby) ask(ctx context.Context, query string, args []any) (*wholeRows, error) {
	ctx, cancel := context.WithTimeout(ctx, standbyAnswer)
	defer cancel()
	return readWhole(ctx, one.pool, query, args)
}

// wholeRows are all rows of an answer.
type wholeRows struct {
	columns []string
	rows    [][]any
}

func readWhole(ctx context.Context, pool *sql.DB, query string, args []any) (*wholeRows, error) {
	rows, err := pool.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	whole := &wholeRows{columns: columns}
	targets := make([]any, len(columns))
	for rows.Next() {
		row := make([]any, len(columns))
		for i := range row {
			targets[i] = &row[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		whole.rows = append(whole.rows, row)
	}
	return whole, rows.Err()
}

func (r *wholeRows) Columns() []string { return r.columns }
func (r *wholeRows) Close() error      { return nil }

func (r *wholeRows) Next(row []driver.Value) error {
	if len(r.rows) == 0 {
		return io.EOF
	}
	for i, value := range r.rows[0] {
		row[i] = value
	}
	r.rows = r.rows[1:]
	return nil
}

type standbyConnector struct{ standbys *standbys }

func (c standbyConnector) Connect(context.Context) (driver.Conn, error) {
	return standbyConn(c), nil
}

func (c standbyConnector) Driver() driver.Driver { return stdlib.GetDefaultDriver() }

type standbyConn struct{ standbys *standbys }

func (c standbyConn) QueryContext(ctx context.Context, query string, named []driver.NamedValue) (driver.Rows, error) {
	args := make([]any, len(named))
	for i := range named {
		args[i] = named[i].Value
	}
	rows, err := c.standbys.ask(ctx, query, args)
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// CheckNamedValue leaves every value to the driver of the pool that is asked.
func (standbyConn) CheckNamedValue(*driver.NamedValue) error { return nil }

func (standbyConn) Close() error { return nil }

var errOnlyQuestions = errors.New("replicas answer questions, and nothing else")

func (standbyConn) Prepare(string) (driver.Stmt, error) { return nil, errOnlyQuestions }
func (standbyConn) Begin() (driver.Tx, error)           { return nil, errOnlyQuestions }
