package database_test

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// filled is a SQLite database with 36 MB in its log, more than where that begins anew.
func filled(t *testing.T, log *slog.Logger) (db *database.DB, path string) {
	path = databasetest.SQLiteFile(t)
	db, err := database.Open(t.Context(), "sqlite:"+path, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := db.Write.Exec("CREATE TABLE filler AS SELECT zeroblob(36000000) AS content").Error; err != nil {
		t.Fatal(err)
	}
	return db, path
}

func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("not after 20 seconds: %s", what)
		}
	}
}

func TestTheLogOfSQLiteIsMovedWhileSomebodyWrites(t *testing.T) {
	db, path := filled(t, slog.New(slog.DiscardHandler))
	tx := db.Write.Begin()
	if err := tx.Exec("DELETE FROM filler").Error; err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "what was committed is in the file", func() bool {
		file, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return file.Size() > 36_000_000
	})
	if err := tx.Rollback().Error; err != nil {
		t.Fatal(err)
	}
}

func TestTheLogOfSQLiteBeginsAnewWhileSomebodyAlwaysWrites(t *testing.T) {
	// Between two who write a checkpoint may be the last to move something by chance: it must say so.
	var said safeBuffer
	db, _ := filled(t, slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug})))
	var writing sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer writing.Wait()
	defer stop()
	writing.Go(func() {
		for ctx.Err() == nil {
			if err := db.Write.Exec("INSERT OR REPLACE INTO audit_meta (key, value) VALUES ('again', zeroblob(40000))").Error; err != nil {
				t.Error(err)
			}
		}
	})
	waitUntil(t, "the log is short again", func() bool {
		var busy, pages, moved int
		err := db.Read.Raw("PRAGMA wal_checkpoint(NOOP)").Row().Scan(&busy, &pages, &moved)
		if err != nil && !database.IsBusy(err) { // it is just being moved
			t.Fatal(err)
		}
		return err == nil && pages < 1000 && strings.Contains(said.String(), "SQLite's log begins anew")
	})
}
