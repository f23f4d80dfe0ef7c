package databasetest

import (
	"cmp"
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
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/models/migrations"
)

// Postgres opens a fresh, migrated PostgreSQL database, or one of Citus where TEST_CITUS_URL names its coordinator; it is
// dropped when the test ends.
func Postgres(t testing.TB) *database.DB {
	t.Helper()
	return Open(t, PostgresURL(t))
}

// PostgresURL makes a fresh, migrated PostgreSQL database on the server TEST_DATABASE_URL names, or on the nodes of
// Citus; it is dropped when the test ends.
func PostgresURL(t testing.TB) string {
	t.Helper()
	return migratedURL(t, testServer(t))
}

// PostgresAlone is Postgres without Citus, for tests that look into how PostgreSQL itself goes about something.
func PostgresAlone(t testing.TB) *database.DB {
	t.Helper()
	server, err := connectAlone()
	if err != nil {
		t.Fatalf("PostgreSQL of TEST_DATABASE_URL: %v", err)
	}
	return Open(t, migratedURL(t, server))
}

func migratedURL(t testing.TB, server *postgresServer) string {
	t.Helper()
	template, err := server.migrated()
	if err != nil {
		t.Fatalf("prepare the PostgreSQL database: %v", err)
	}
	return server.create(t, template)
}

// EmptyPostgresURL makes a PostgreSQL database without any tables.
func EmptyPostgresURL(t testing.TB) string {
	t.Helper()
	server := testServer(t)
	template, err := server.empty()
	if err != nil {
		t.Fatalf("prepare the PostgreSQL database: %v", err)
	}
	return server.create(t, template)
}

// postgresServer is the server the tests make their databases on.
type postgresServer struct {
	url *url.URL
	// nodes are the servers that have each database: one, or those of Citus, the coordinator first.
	nodes []node
	// empty and migrated are the names of a database without tables, and of one with the schema and nothing else.
	// Tests get copies.
	empty, migrated func() (string, error)
}

// node is a server, by its address for the nodes of Citus.
type node struct {
	host  string
	port  int
	admin *sql.DB
}

func testServer(t testing.TB) *postgresServer {
	t.Helper()
	if os.Getenv("TEST_CITUS_URL") == "" && os.Getenv("TEST_DATABASE_URL") == "" {
		t.Fatal("this test needs PostgreSQL: run make test or set TEST_DATABASE_URL")
	}
	server, err := connect()
	if err != nil {
		t.Fatalf("PostgreSQL of TEST_DATABASE_URL or TEST_CITUS_URL: %v", err)
	}
	return server
}

// OnCitus reports whether the tests' PostgreSQL is Citus.
func OnCitus() bool { return os.Getenv("TEST_CITUS_URL") != "" }

var (
	connect = sync.OnceValues(func() (*postgresServer, error) {
		return connectTo(cmp.Or(os.Getenv("TEST_CITUS_URL"), os.Getenv("TEST_DATABASE_URL")), OnCitus())
	})
	connectAlone = sync.OnceValues(func() (*postgresServer, error) { return connectTo(os.Getenv("TEST_DATABASE_URL"), false) })
)

func connectTo(server string, citus bool) (*postgresServer, error) {
	address, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	made := &postgresServer{url: address}
	first, err := made.open(address.Host)
	if err != nil {
		return nil, err
	}
	made.empty = func() (string, error) { return "template0", nil }
	made.nodes = []node{{admin: first}}
	if citus {
		made.empty = sync.OnceValues(func() (string, error) { return made.template("citus_empty", made.joinNodes) })
		if made.nodes, err = made.nodesOf(first); err != nil {
			return nil, err
		}
	}
	made.migrated = sync.OnceValues(func() (string, error) {
		fingerprint, err := schemaFingerprint(citus)
		if err != nil {
			return "", err
		}
		return made.template("template_"+fingerprint, func(name string) error {
			if err := made.joinNodes(name); err != nil {
				return err
			}
			return migrate(made.address(name))
		})
	})
	return made, nil
}

func (s *postgresServer) open(host string) (*sql.DB, error) {
	address := *s.url
	address.Host = host
	admin, err := sql.Open("pgx", address.String())
	if err != nil {
		return nil, err
	}
	admin.SetMaxIdleConns(1)
	return admin, admin.Ping()
}

// create copies template to a database that is dropped when the test ends, and gives its address.
func (s *postgresServer) create(t testing.TB, template string) string {
	t.Helper()
	name := "auditlogs_test_" + strings.ToLower(rand.Text()[:12])
	t.Cleanup(func() {
		for _, node := range s.nodes { // the coordinator first, which would connect to the workers again
			var err error
			for range 3 { // Citus may just have connected to look after it
				// The test's context has ended by now.
				if _, err = node.admin.ExecContext(context.Background(), "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err == nil {
					break
				}
			}
			if err != nil {
				t.Errorf("drop a PostgreSQL database: %v", err)
			}
		}
	})
	err := s.each(t.Context(), "CREATE DATABASE %s TEMPLATE %s", name, template)
	if err == nil && len(s.nodes) > 1 { // for triggers that tests make
		_, err = s.nodes[0].admin.ExecContext(t.Context(), "ALTER DATABASE "+name+" SET citus.enable_unsafe_triggers = on")
	}
	if err != nil {
		t.Fatalf("create a PostgreSQL database: %v", err)
	}
	return s.address(name)
}

// each runs a statement with names in it on every node, on the first last.
func (s *postgresServer) each(ctx context.Context, statement string, names ...any) error {
	for _, node := range slices.Backward(s.nodes) {
		if _, err := node.admin.ExecContext(ctx, fmt.Sprintf(statement, names...)); err != nil {
			return err
		}
	}
	return nil
}

// template makes a database that tests copy. All test processes share it; its name changes with what is in it.
func (s *postgresServer) template(name string, fill func(name string) error) (string, error) {
	ctx := context.Background()
	name = "auditlogs_" + name
	conn, err := s.nodes[0].admin.Conn(ctx)
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
	for _, statement := range []string{"DROP DATABASE IF EXISTS %s WITH (FORCE)", "CREATE DATABASE %s TEMPLATE template0"} {
		if err := s.each(ctx, statement, unfinished); err != nil {
			return "", err
		}
	}
	if err := fill(unfinished); err != nil {
		return "", err
	}
	return name, s.rename(ctx, unfinished, name)
}

// address is the server's, with another database.
func (s *postgresServer) address(name string) string {
	address := *s.url
	address.Path = "/" + name
	return address.String()
}

func schemaFingerprint(citus bool) (string, error) {
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
	if citus { // what lies where is in no migration
		_, here, _, _ := runtime.Caller(0)
		content, err := os.ReadFile(filepath.Join(filepath.Dir(here), "../../app/audit/migrate/citus.go"))
		if err != nil {
			return "", err
		}
		hash.Write(content)
	}
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
