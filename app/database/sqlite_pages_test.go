package database_test

import (
	"context"
	"database/sql"
	"testing"

	"modernc.org/sqlite"

	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// What a connection reads again and again stays in memory, however much others have read.
func TestConnectionsToSQLiteSharePages(t *testing.T) {
	db := databasetest.SQLite(t)
	// A row is a page, and there are more of them than all connections may keep.
	err := db.Write.Exec(`CREATE TABLE pages (id integer PRIMARY KEY, content blob)`).Error
	if err == nil {
		err = db.Write.Exec(`INSERT INTO pages (content) WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 6000)
			SELECT zeroblob(3000) FROM n`).Error
	}
	if err != nil {
		t.Fatal(err)
	}
	pool, err := db.Read.DB()
	if err != nil {
		t.Fatal(err)
	}
	connect := func() *sql.Conn {
		conn, err := pool.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	first, second, third := connect(), connect(), connect()
	for range 2 {
		for _, conn := range []*sql.Conn{first, second, first} {
			readPages(t, conn, 1, 6000)
		}
	}
	for _, conn := range []*sql.Conn{third, second, first} {
		readPages(t, conn, 100, 300)
		before := pagesMissed(t, conn)
		readPages(t, conn, 100, 300)
		if missed := pagesMissed(t, conn) - before; missed > 10 {
			t.Errorf("of 200 pages that a connection had just read it read %d anew", missed)
		}
	}
}

func readPages(t *testing.T, conn *sql.Conn, from, to int) {
	t.Helper()
	var bytes int
	err := conn.QueryRowContext(context.Background(), "SELECT sum(length(hex(content))) FROM pages WHERE id BETWEEN ? AND ?", from, to).Scan(&bytes)
	if err != nil {
		t.Fatal(err)
	}
}

// pagesMissed is how many pages a connection has read from its file.
func pagesMissed(t *testing.T, conn *sql.Conn) (pages int) {
	t.Helper()
	err := conn.Raw(func(driverConn any) (err error) {
		pages, _, err = driverConn.(sqlite.DBStatus).Status(sqlite.DBStatusCacheMiss, false)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}
