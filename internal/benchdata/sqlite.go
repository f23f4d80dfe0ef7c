package benchdata

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/models"
)

// sqliteWriter writes large transactions and does not wait for the disk.
type sqliteWriter struct {
	conn    *sql.Conn
	indexes []string // statements
}

func newSQLiteWriter(ctx context.Context, db *gorm.DB) (*sqliteWriter, error) {
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	conn, err := pool.Conn(ctx)
	return &sqliteWriter{conn: conn}, err
}

func (w *sqliteWriter) begin(ctx context.Context) error {
	rows, err := w.conn.QueryContext(ctx, "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'audit_entries' AND sql IS NOT NULL")
	if err != nil {
		return err
	}
	names, statements, err := pairs(rows)
	if err != nil {
		return err
	}
	w.indexes = statements
	for _, name := range names {
		if _, err := w.conn.ExecContext(ctx, "DROP INDEX "+name); err != nil {
			return err
		}
	}
	return w.exec(ctx, "PRAGMA synchronous = OFF", "PRAGMA cache_size = -262144")
}

func (w *sqliteWriter) write(ctx context.Context, table string, columns []string, rows [][]any) error {
	tx, err := w.conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	statement, err := tx.PrepareContext(ctx, "INSERT INTO "+table+" ("+strings.Join(columns, ", ")+
		") VALUES (?"+strings.Repeat(", ?", len(columns)-1)+")")
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	defer statement.Close()
	for _, row := range rows {
		switch id := row[1].(type) {
		case rowID:
			row[1] = id.sqlite()
		case models.EntryID:
			row[1] = id[:]
		}
		if _, err := statement.ExecContext(ctx, row...); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

func (w *sqliteWriter) end(ctx context.Context) error {
	return w.exec(ctx, append(w.indexes, "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA cache_size = -2000", "PRAGMA synchronous = FULL")...)
}

// tidy has nothing to do: SQLite keeps no statistics unless it is told to.
func (w *sqliteWriter) tidy(context.Context) error { return nil }

func (w *sqliteWriter) exec(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
		if _, err := w.conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

func (w *sqliteWriter) close() error { return w.conn.Close() }
