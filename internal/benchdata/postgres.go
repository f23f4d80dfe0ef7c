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
WHERE schemaname = current_schema() AND tablename IN ('audit_entries', 'audit_entities', 'audit_actors')
	AND indexname NOT LIKE '%\_pkey'`)
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

func (w *postgresWriter) end(ctx context.Context) error {
	return w.exec(ctx, append(w.indexes, "RESET maintenance_work_mem")...)
}

func (w *postgresWriter) tidy(ctx context.Context) error {
	return w.exec(ctx, "VACUUM (ANALYZE) audit_entries", "VACUUM (ANALYZE) audit_entities", "VACUUM (ANALYZE) audit_actors", "CHECKPOINT")
}

func (w *postgresWriter) exec(ctx context.Context, statements ...string) error {
	for _, statement := range statements {
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
