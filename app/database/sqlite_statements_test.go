package database_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// Connections to SQLite keep statements. Nobody notices, whatever is done with them.
func TestStatementsOfSQLiteAreUsedAgain(t *testing.T) {
	pool, err := databasetest.SQLite(t).Write.DB()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	exec := func(statement string, args ...any) error {
		_, err := conn.ExecContext(t.Context(), statement, args...)
		return err
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const insert, list = "INSERT INTO numbers (n) VALUES (?)", "SELECT * FROM numbers WHERE n < ? ORDER BY n"
	numbers := func(below int) (found []int) {
		t.Helper()
		rows, err := conn.QueryContext(t.Context(), list, below)
		must(err)
		defer rows.Close()
		for rows.Next() {
			var n int
			must(rows.Scan(&n))
			found = append(found, n)
		}
		must(rows.Err())
		return found
	}

	must(exec("CREATE TABLE numbers (n integer PRIMARY KEY)"))
	for n := range 5 {
		must(exec(insert, n))
	}

	t.Run("while its rows are being read", func(t *testing.T) {
		rows, err := conn.QueryContext(t.Context(), list, 3)
		must(err)
		defer rows.Close()
		for outer := 0; rows.Next(); outer++ {
			var n int
			if must(rows.Scan(&n)); n != outer || len(numbers(5)) != 5 {
				t.Errorf("row %d is %d, and within %v", outer, n, numbers(5))
			}
		}
		must(rows.Err())
		columns, err := rows.ColumnTypes()
		if err == nil && columns[0].DatabaseTypeName() != "INTEGER" {
			t.Errorf("the column's type is %q", columns[0].DatabaseTypeName())
		}
	})
	t.Run("by two who prepared it", func(t *testing.T) {
		first, err := conn.PrepareContext(t.Context(), insert)
		must(err)
		second, err := conn.PrepareContext(t.Context(), insert)
		must(err)
		for n, statement := range []*sql.Stmt{first, second, first} {
			_, err := statement.ExecContext(t.Context(), 10+n)
			must(err)
		}
		must(first.Close())
		_, err = second.ExecContext(t.Context(), 20)
		must(err)
		must(second.Close())
		must(exec(insert, 21))
		if found := numbers(100); len(found) != 10 {
			t.Errorf("found %v", found)
		}
	})
	t.Run("after it failed", func(t *testing.T) {
		for range 2 {
			if err := exec(insert, 1); err == nil {
				t.Error("a number was stored twice")
			}
		}
		must(exec(insert, 30))
		if err := exec("SELECT nothing"); err == nil {
			t.Error("a column that is not there was read")
		}
	})
	t.Run("after its caller went away", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := conn.ExecContext(ctx, insert, 31); err == nil {
			t.Error("it ran nevertheless")
		}
		must(exec(insert, 31))
	})
	t.Run("with another schema", func(t *testing.T) {
		must(exec("ALTER TABLE numbers RENAME TO former"))
		if err := exec(insert, 40); err == nil {
			t.Error("the table is gone")
		}
		must(exec("ALTER TABLE former RENAME TO numbers"))
		must(exec(insert, 40))
	})
	t.Run("in a transaction that is undone", func(t *testing.T) {
		before := len(numbers(1000))
		tx, err := conn.BeginTx(t.Context(), nil)
		must(err)
		_, err = tx.ExecContext(t.Context(), insert, 50)
		must(err)
		must(tx.Rollback())
		if after := len(numbers(1000)); after != before {
			t.Errorf("%d numbers, were %d", after, before)
		}
	})
	t.Run("among many others", func(t *testing.T) {
		for n := range 200 {
			must(exec(fmt.Sprintf("INSERT INTO numbers (n) VALUES (%d)", 1000+n)))
			if n%50 == 0 {
				must(exec(insert, 2000+n))
			}
		}
		if found := len(numbers(5000)) - len(numbers(1000)); found != 204 {
			t.Errorf("%d numbers, want 204", found)
		}
	})
}
