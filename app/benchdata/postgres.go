package benchdata

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/models"
)

// postgresWriter copies.
type postgresWriter struct {
	conn    *sql.Conn
	indexes []string // statements
}

func newPostgresWriter(ctx context.Context, db *gorm.DB) (*postgresWriter, error) {
	pool, err := db.DB()
	if err != nil {
		return nil, err
	}
	conn, err := pool.Conn(ctx)
	return &postgresWriter{conn: conn}, err
}

func (w *postgresWriter) begin(ctx context.Context) error {
	rows, err := w.conn.QueryContext(ctx, `SELECT indexname, indexdef FROM pg_indexes
WHERE schemaname = current_schema() AND tablename = 'audit_entries' AND indexname <> 'audit_entries_pkey'`)
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
	_, err = w.conn.ExecContext(ctx, "SET maintenance_work_mem = '256MB'")
	return err
}

func (w *postgresWriter) write(ctx context.Context, table string, columns []string, rows [][]any) error {
	for _, row := range rows {
		switch id := row[1].(type) {
		case rowID:
			row[1] = id.postgres()
		case models.EntryID:
			row[1] = [16]byte(id)
		}
	}
	return w.conn.Raw(func(driver any) error {
		_, err := driver.(*stdlib.Conn).Conn().CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromRows(rows))
		return err
	})
}

// end leaves the tables as autovacuum would in time.
func (w *postgresWriter) end(ctx context.Context) error {
	for _, statement := range append(w.indexes, "VACUUM (ANALYZE) audit_entries", "VACUUM (ANALYZE) audit_entities",
		"VACUUM (ANALYZE) audit_actors", "RESET maintenance_work_mem", "CHECKPOINT") {
		if _, err := w.conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

func (w *postgresWriter) close() error { return w.conn.Close() }

// pairs reads rows of two texts.
func pairs(rows *sql.Rows) (first, second []string, err error) {
	defer rows.Close()
	for rows.Next() {
		var a, b string
		if err := rows.Scan(&a, &b); err != nil {
			return nil, nil, err
		}
		first, second = append(first, a), append(second, b)
	}
	return first, second, rows.Err()
}
