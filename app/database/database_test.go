package database_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

var quiet = slog.New(slog.DiscardHandler)

func TestOpenCreatesTheFileForItsUserOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new folder", "log #1 50%.db")
	databasetest.Open(t, "sqlite:"+path)
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700 | os.ModeDir} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), want)
		}
	}
}

func TestSQLiteIsOpenedToSurviveACrash(t *testing.T) {
	db := databasetest.Open(t, "sqlite:"+filepath.Join(t.TempDir(), "log.db"))
	for name, pool := range map[string]*gorm.DB{"write": db.Write, "read": db.Read} {
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "auto_vacuum": "2", "busy_timeout": "10000",
		} {
			var got string
			if err := pool.Raw("PRAGMA " + pragma).Scan(&got).Error; err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("%s pool: %s = %s, want %s", name, pragma, got, want)
			}
		}
	}
}

// As when two processes turn a new file to its write-ahead log at the same time: SQLite waits by itself only
// while the file is empty.
func TestANewFileOfSQLiteThatIsBeingWrittenIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	pool, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec("CREATE TABLE begun (id)"); err != nil {
		t.Fatal(err)
	}
	other, err := pool.Begin()
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan error)
	go func() {
		db, err := database.Open(t.Context(), "sqlite:"+path, quiet)
		if err == nil {
			err = db.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Fatalf("it is not waited for: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	if err := other.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Errorf("after the other one has ended: %v", err)
	}
}

// Connections are made when they are needed.
func TestNobodyWhoReadsSQLiteWaitsForOneWhoWrites(t *testing.T) {
	db := databasetest.SQLite(t)
	err := db.Write.Transaction(func(tx *gorm.DB) error {
		if err := tx.Exec("INSERT INTO audit_meta (key, value) VALUES ('a', 'b')").Error; err != nil {
			return err
		}
		pool, err := db.Read.DB()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		for range pool.Stats().MaxOpenConnections {
			conn, err := pool.Conn(ctx)
			if err != nil {
				return err
			}
			defer conn.Close()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheReadPoolOfSQLiteRefusesToWrite(t *testing.T) {
	db := databasetest.SQLite(t)
	if err := db.Read.Exec("INSERT INTO audit_meta (key, value) VALUES ('a', 'b')").Error; err == nil {
		t.Error("the read pool wrote a row")
	}
}

func TestQuestionsAreAnsweredWhileATransactionWrites(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		err := db.Write.Transaction(func(tx *gorm.DB) error {
			if err := tx.Exec("INSERT INTO audit_meta (key, value) VALUES ('a', 'b')").Error; err != nil {
				return err
			}
			var rows int64
			if err := db.Read.Table("audit_meta").Where("key = 'a'").Count(&rows).Error; err != nil {
				return err
			}
			if rows != 0 {
				t.Errorf("a question sees %d uncommitted rows", rows)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestADuplicateIsTheSameErrorOnBothDatabases(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		for _, statement := range []string{
			"INSERT INTO audit_meta (key, value) VALUES ('a', 'b')",                                                                         // primary key
			"INSERT INTO audit_users (id, email, email_key, name, password_hash, created_at) VALUES (" + "'%d', 'a@b', 'a@b', 'A', 'x', 1)", // unique
		} {
			for i := range 2 {
				err := db.Write.Exec(strings.ReplaceAll(statement, "%d", string(rune('1'+i)))).Error
				if i == 0 && err != nil {
					t.Fatal(err)
				}
				if i == 1 && !errors.Is(err, gorm.ErrDuplicatedKey) {
					t.Errorf("%s\nanswers %v, want gorm.ErrDuplicatedKey", statement, err)
				}
			}
		}
	})
}

func TestABadAddressIsOneClearLine(t *testing.T) {
	folder := t.TempDir()
	text := filepath.Join(folder, "notes.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("This is not a database. ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ url, want string }{
		"nothing":            {"", "sqlite:data/auditlogs.db"},
		"a path alone":       {"data/auditlogs.db", "must begin with sqlite:"},
		"another database":   {"mysql://root:s3cr3t-pw@localhost/x", `"mysql" databases are not supported`},
		"no path":            {"sqlite:", "needs the path of a file"},
		"in memory":          {"sqlite::memory:", "needs the path of a file"},
		"a folder":           {"sqlite:" + folder, "is a directory"},
		"not a database":     {"sqlite:" + text, "file is not a database"},
		"a file as folder":   {"sqlite:" + text + "/x.db", "not a directory"},
		"no host":            {"postgres:///x", "not a PostgreSQL address"},
		"a bad port":         {"postgres://u:s3cr3t-pw@h:port/x", "not a PostgreSQL address"},
		"password unescaped": {"postgres://u:s3cr3t-pw/x@h/x", "not a PostgreSQL address"},
		"a bad sslmode":      {"postgres://u:s3cr3t-pw@h/x?sslmode=perhaps", "sslmode"},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := database.Open(t.Context(), tc.url, quiet)
			if err == nil {
				_ = db.Close()
				t.Fatal("it opened")
			}
			expectOneLine(t, err, tc.want)
		})
	}
}

func TestPostgresAnswersAtOnceWhatWaitingDoesNotCure(t *testing.T) {
	good := databasetest.PostgresURL(t)
	for name, tc := range map[string]struct {
		change func(url string) string
		want   string
	}{
		"unknown database": {func(url string) string { return replacePath(url, "/no_such_database") }, "does not exist"},
		"wrong password":   {func(url string) string { return replaceUser(url, "postgres:s3cr3t-pw") }, "password authentication failed"},
		"unknown user":     {func(url string) string { return replaceUser(url, "nobody_here:s3cr3t-pw") }, "authentication failed"},
	} {
		t.Run(name, func(t *testing.T) {
			started := time.Now()
			db, err := database.Open(t.Context(), tc.change(good), quiet)
			if err == nil {
				_ = db.Close()
				t.Fatal("it opened")
			}
			expectOneLine(t, err, tc.want)
			if took := time.Since(started); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestPostgresIsWaitedFor(t *testing.T) {
	var out safeBuffer
	ctx, cancel := context.WithCancel(t.Context())
	log := slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		cancel() // it says that it waits: enough
		return out.Write(p)
	}), nil))
	db, err := database.Open(ctx, "postgres://u:s3cr3t-pw@127.0.0.1:1/x", log)
	if err == nil {
		_ = db.Close()
		t.Fatal("it opened")
	}
	if !strings.Contains(out.String(), "waiting up to 30 s for PostgreSQL at 127.0.0.1:1") {
		t.Errorf("the log does not say that it waits: %s", out.String())
	}
	expectOneLine(t, err, "")
}

func TestMigrationsMayRunAtOnce(t *testing.T) {
	for name, url := range map[string]string{
		"sqlite":   "sqlite:" + filepath.Join(t.TempDir(), "test.db"),
		"postgres": databasetest.EmptyPostgresURL(t),
	} {
		t.Run(name, func(t *testing.T) {
			// Each with pools of its own, as separate processes would have.
			var group sync.WaitGroup
			for range 5 {
				db := databasetest.Open(t, url)
				group.Go(func() {
					if err := db.Migrate(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			var versions int64
			err := databasetest.Open(t, url).Read.Table("audit_schema_version").Where("version_id = 1").Count(&versions).Error
			if err != nil || versions != 1 {
				t.Errorf("the first migration is noted %d times (%v), want once", versions, err)
			}
		})
	}
}

func TestTestsGetDatabasesOfTheirOwn(t *testing.T) {
	for range 2 {
		databasetest.Each(t, func(t *testing.T, db *database.DB) {
			if err := db.Write.Exec("INSERT INTO audit_meta (key, value) VALUES ('mine', '1')").Error; err != nil {
				t.Error(err)
			}
		})
	}
}

func expectOneLine(t *testing.T, err error, want string) {
	t.Helper()
	text := err.Error()
	if !strings.Contains(text, want) {
		t.Errorf("the error is %q, want it to say %q", text, want)
	}
	if strings.Contains(text, "\n") {
		t.Errorf("the error has several lines: %q", text)
	}
	if strings.Contains(text, "s3cr3t") {
		t.Errorf("the error shows the password: %q", text)
	}
}

func TestPostgresDoesNotCompileStatements(t *testing.T) {
	var jit string
	if err := databasetest.Postgres(t).Read.Raw("SHOW jit").Scan(&jit).Error; err != nil || jit != "off" {
		t.Errorf("jit is %q, %v", jit, err)
	}
}
