package benchdata

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/models/migrations"
)

// version changes with what a Spec stands for.
const version = "3"

// keptFor is when a kept log is made anew: before its entries expire.
const keptFor = 200 * 24 * time.Hour

// Kept is a filled database that is there for the next run as well. It is read, never written to;
// benchmarks that write work on a copy.
type Kept struct {
	URL  string
	Spec Spec

	copy func(ctx context.Context) (url string, remove func(context.Context) error, err error)
}

// Copy makes a database of its own with the same rows.
func (k Kept) Copy(ctx context.Context) (url string, remove func(context.Context) error, err error) {
	if url, remove, err = k.copy(ctx); err != nil {
		return "", nil, fmt.Errorf("copy a kept database: %w", err)
	}
	return url, remove, nil
}

// KeepSQLite finds or fills a SQLite database in folder. The log ends at spec.Until or, where it was
// filled before, when it did then.
func KeepSQLite(ctx context.Context, folder string, spec Spec, progress func(done int)) (Kept, error) {
	name, err := keptName("sqlite", spec)
	if err != nil {
		return Kept{}, err
	}
	path := filepath.Join(folder, name+".db")
	unfinished := path + ".unfinished"
	copyFrom := func(context.Context) (string, func(context.Context) error, error) {
		temporary, err := os.MkdirTemp(folder, "copy-")
		if err != nil {
			return "", nil, err
		}
		remove := func(context.Context) error { return os.RemoveAll(temporary) }
		copied := filepath.Join(temporary, "bench.db")
		if err := copyFile(copied, path); err != nil {
			_ = os.RemoveAll(temporary)
			return "", nil, err
		}
		return "sqlite:" + copied, remove, nil
	}
	kept := Kept{URL: "sqlite:" + path, Spec: spec, copy: copyFrom}
	if _, err := os.Stat(path); err == nil {
		if kept.Spec.Until, err = filledUntil(ctx, kept.URL); err != nil || time.Since(kept.Spec.Until) < keptFor {
			return kept, err
		}
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return Kept{}, err
	}
	for _, file := range []string{path, unfinished} {
		if err := os.RemoveAll(file); err != nil {
			return Kept{}, err
		}
	}
	kept.Spec = spec
	if err := migrateAndFill(ctx, "sqlite:"+unfinished, spec, progress); err != nil {
		return Kept{}, err
	}
	return kept, os.Rename(unfinished, path)
}

// KeepPostgres finds or fills a database on the PostgreSQL server that an address of any of its
// databases names. The log ends as with KeepSQLite.
func KeepPostgres(ctx context.Context, server string, spec Spec, progress func(done int)) (Kept, error) {
	name, err := keptName("postgres", spec)
	if err != nil {
		return Kept{}, err
	}
	address, err := url.Parse(server)
	if err != nil {
		return Kept{}, err
	}
	of := func(database string) string {
		other := *address
		other.Path = "/" + database
		return other.String()
	}
	run := func(ctx context.Context, statements ...string) error {
		admin, err := sql.Open("pgx", server)
		if err != nil {
			return err
		}
		defer admin.Close()
		for _, statement := range statements {
			if _, err := admin.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	}
	copyFrom := func(ctx context.Context) (string, func(context.Context) error, error) {
		copied := "auditlogs_bench_copy_" + strings.ToLower(rand.Text()[:12])
		remove := func(ctx context.Context) error { return run(ctx, "DROP DATABASE IF EXISTS "+copied+" WITH (FORCE)") }
		return of(copied), remove, run(ctx, "CREATE DATABASE "+copied+" TEMPLATE "+name)
	}
	kept := Kept{URL: of(name), Spec: spec, copy: copyFrom}
	admin, err := sql.Open("pgx", server)
	if err != nil {
		return Kept{}, err
	}
	defer admin.Close()
	var exists bool
	if err := admin.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil {
		return Kept{}, err
	}
	if exists {
		if kept.Spec.Until, err = filledUntil(ctx, kept.URL); err != nil || time.Since(kept.Spec.Until) < keptFor {
			return kept, err
		}
	}
	kept.Spec = spec
	unfinished := name + "_unfinished"
	if err := run(ctx, "DROP DATABASE IF EXISTS "+unfinished, "DROP DATABASE IF EXISTS "+name, "CREATE DATABASE "+unfinished+" TEMPLATE template0"); err != nil {
		return Kept{}, err
	}
	if err := migrateAndFill(ctx, of(unfinished), spec, progress); err != nil {
		return Kept{}, err
	}
	return kept, run(ctx, "ALTER DATABASE "+unfinished+" RENAME TO "+name)
}

// keptName changes with the spec, its end aside, with what this package makes of it, and with the
// schema.
func keptName(dialect string, spec Spec) (string, error) {
	hash := sha256.New()
	_, _ = io.WriteString(hash, version)
	err := fs.WalkDir(migrations.Files, dialect, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := migrations.Files.ReadFile(path)
		_, _ = io.WriteString(hash, path)
		_, _ = hash.Write(content)
		return err
	})
	return fmt.Sprintf("auditlogs_bench_%d_%d_%s", spec.Rows, spec.Seed, hex.EncodeToString(hash.Sum(nil))[:12]), err
}

const untilKey = "benchdata_until"

func migrateAndFill(ctx context.Context, url string, spec Spec, progress func(int)) error {
	db, err := database.Open(ctx, url, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if err = db.Migrate(ctx); err == nil {
		err = Fill(ctx, db, spec, progress)
	}
	if err == nil {
		err = db.Write.WithContext(ctx).Exec("INSERT INTO audit_meta (key, value) VALUES (?, ?)", untilKey, spec.Until.UTC().Format(time.RFC3339Nano)).Error
	}
	if closing := db.Close(); err == nil {
		err = closing
	}
	return err
}

func filledUntil(ctx context.Context, url string) (time.Time, error) {
	db, err := database.Open(ctx, url, slog.New(slog.DiscardHandler))
	if err != nil {
		return time.Time{}, err
	}
	defer db.Close()
	var until string
	if err := db.Read.WithContext(ctx).Raw("SELECT value FROM audit_meta WHERE key = ?", untilKey).Scan(&until).Error; err != nil {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339Nano, until)
}

func copyFile(to, from string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	if err == nil {
		err = target.Sync() // so that what is measured does not wait for it
	}
	if closing := target.Close(); err == nil {
		err = closing
	}
	return err
}
