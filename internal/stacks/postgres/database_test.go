package postgres

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/migrate"
)

// server is a connection to the server that TEST_DATABASE_URL names, and template a database there with the tables of
// the log.
var (
	server   *sql.DB
	template = "auditlogs_stacks_" + strings.ToLower(rand.Text()[:12])
)

func TestMain(m *testing.M) {
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "this test needs PostgreSQL (make test, or TEST_DATABASE_URL):", err)
		os.Exit(1)
	}
	os.Exit(code)
}

func runTests(m *testing.M) (code int, err error) {
	ctx := context.Background()
	if server, err = sql.Open("pgx", addressOf("")); err != nil {
		return 0, err
	}
	defer server.Close()
	if err := server.PingContext(ctx); err != nil {
		return 0, err
	}
	if _, err := server.ExecContext(ctx, "CREATE DATABASE "+template); err != nil {
		return 0, err
	}
	defer func() { _, _ = server.ExecContext(ctx, "DROP DATABASE "+template+" WITH (FORCE)") }()
	db, err := sql.Open("pgx", addressOf(template))
	if err != nil {
		return 0, err
	}
	if err := migrate.SQL(ctx, db, audit.PostgreSQL); err != nil {
		return 0, err
	}
	if err := db.Close(); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// addressOf is the address of a database of the server.
func addressOf(name string) string {
	address, err := url.Parse(os.Getenv("TEST_DATABASE_URL"))
	if err != nil {
		return err.Error()
	}
	if name != "" {
		address.Path = "/" + name
	}
	return address.String()
}

// database makes a database with the tables of the log; it is dropped when the test ends.
func database(t *testing.T) (address string) {
	t.Helper()
	name := "auditlogs_test_" + strings.ToLower(rand.Text()[:12])
	if _, err := server.ExecContext(t.Context(), "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := server.ExecContext(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return addressOf(name)
}
