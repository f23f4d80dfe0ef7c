package databasetest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/models/migrations"
)

// Postgres opens a fresh, migrated PostgreSQL database; it is dropped when the test ends.
func Postgres(t testing.TB) *database.DB {
	t.Helper()
	return Open(t, PostgresURL(t))
}

// PostgresURL makes a fresh, migrated PostgreSQL database on the server TEST_DATABASE_URL names;
// it is dropped when the test ends.
func PostgresURL(t testing.TB) string {
	t.Helper()
	server := testServer(t)
	template, err := server.migrated()
	if err != nil {
		t.Fatalf("prepare the PostgreSQL database: %v", err)
	}
	return server.create(t, template)
}

// EmptyPostgresURL makes a PostgreSQL database without any tables.
func EmptyPostgresURL(t testing.TB) string {
	t.Helper()
	return testServer(t).create(t, "template0")
}

// postgresServer is the server the tests make their databases on.
type postgresServer struct {
	url   *url.URL
	admin *sql.DB
	// migrated is the name of a database with the schema and nothing else. Tests get copies.
	migrated func() (string, error)
}

func testServer(t testing.TB) *postgresServer {
	t.Helper()
	address := os.Getenv("TEST_DATABASE_URL")
	if address == "" {
		t.Fatal("this test needs PostgreSQL: run make test or set TEST_DATABASE_URL")
	}
	server, err := connect()
	if err != nil {
		t.Fatalf("PostgreSQL of TEST_DATABASE_URL: %v", err)
	}
	return server
}

var connect = sync.OnceValues(func() (*postgresServer, error) {
	address, err := url.Parse(os.Getenv("TEST_DATABASE_URL"))
	if err != nil {
		return nil, err
	}
	admin, err := sql.Open("pgx", address.String())
	if err != nil {
		return nil, err
	}
	admin.SetMaxIdleConns(1)
	server := &postgresServer{url: address, admin: admin}
	server.migrated = sync.OnceValues(server.migrateOnce)
	return server, admin.Ping()
})

// create copies template to a database that is dropped when the test ends, and gives its address.
func (s *postgresServer) create(t testing.TB, template string) string {
	t.Helper()
	name := "auditlogs_test_" + strings.ToLower(rand.Text()[:12])
	if _, err := s.admin.ExecContext(t.Context(), fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, template)); err != nil {
		t.Fatalf("create a PostgreSQL database: %v", err)
	}
	t.Cleanup(func() {
		// The test's context has ended by now.
		if _, err := s.admin.ExecContext(context.Background(), fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name)); err != nil {
			t.Errorf("drop a PostgreSQL database: %v", err)
		}
	})
	return s.address(name)
}

// migrateOnce makes the database that tests copy. All test processes share it; its name changes
// with the schema.
func (s *postgresServer) migrateOnce() (string, error) {
	ctx := context.Background()
	fingerprint, err := schemaFingerprint()
	if err != nil {
		return "", err
	}
	name := "auditlogs_template_" + fingerprint

	conn, err := s.admin.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock(hashtext('auditlogs databasetest'))"); err != nil {
		return "", err
	}
	defer func() { _, _ = conn.ExecContext(ctx, "SELECT pg_advisory_unlock_all()") }()

	var exists bool
	if err := conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil || exists {
		return name, err
	}
	// Under another name until it is complete: a process that dies midway leaves no half template.
	unfinished := name + "_unfinished"
	if _, err := conn.ExecContext(ctx, "DROP DATABASE IF EXISTS "+unfinished); err != nil {
		return "", err
	}
	if _, err := conn.ExecContext(ctx, "CREATE DATABASE "+unfinished+" TEMPLATE template0"); err != nil {
		return "", err
	}
	if err := migrate(s.address(unfinished)); err != nil {
		return "", err
	}
	_, err = conn.ExecContext(ctx, fmt.Sprintf("ALTER DATABASE %s RENAME TO %s", unfinished, name))
	return name, err
}

// address is the server's, with another database.
func (s *postgresServer) address(name string) string {
	address := *s.url
	address.Path = "/" + name
	return address.String()
}

func schemaFingerprint() (string, error) {
	hash := sha256.New()
	err := fs.WalkDir(migrations.Files, "postgres", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := migrations.Files.ReadFile(path)
		hash.Write([]byte(path))
		hash.Write(content)
		return err
	})
	return hex.EncodeToString(hash.Sum(nil))[:12], err
}

func migrate(url string) error {
	db, err := database.Open(context.Background(), url, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if err := db.Migrate(context.Background()); err != nil {
		_ = db.Close()
		return err
	}
	return db.Close()
}
