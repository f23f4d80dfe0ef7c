package backup_test

import (
	"archive/zip"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/migrate"
	"github.com/auditlogs/auditlogs/app/backup"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models/accounts"
	"github.com/auditlogs/auditlogs/models/following"
)

// addresses are a database to copy and one to restore into, of each kind.
func addresses(t *testing.T) map[string][2]string {
	return map[string][2]string{
		"sqlite":   {"sqlite:" + databasetest.SQLiteFile(t), "sqlite:" + filepath.Join(t.TempDir(), "new", "log.db")},
		"postgres": {databasetest.PostgresURL(t), databasetest.EmptyPostgresURL(t)},
	}
}

// fill records entries with everything in them, beside an account with a membership and a key.
func fill(t *testing.T, db *database.DB) {
	t.Helper()
	err := db.Write.WithContext(t.Context()).Transaction(func(tx *gorm.DB) error {
		if _, err := audit.EnsureOrganization(t.Context(), tx, audit.Organization{Slug: "acme", ExternalID: "tenant-1"}); err != nil {
			return err
		}
		events := make([]audit.Event, 100)
		for i := range events {
			events[i] = audit.Event{
				Organization: "acme", Action: action.ServiceUpdate, EntityID: fmt.Sprint("svc-", i%7), EntityName: "“A”\t\\N\nб",
				ID: fmt.Sprint("event-", i), NativeAction: "svc.Update",
				Actor:   audit.Actor{Type: audit.ActorAgent, ID: "bot", Name: "Bot", OnBehalfOf: &audit.Principal{ID: "ada", Name: "Ada"}},
				Related: []audit.Resource{{Type: "subnet", ID: "net-1", Role: "subnet"}}, Outcome: audit.OutcomeDenied, Reason: "no",
				Metadata: map[string]any{"n": i, "password": "hunter2"},
			}
		}
		if _, err := audit.RecordAll(t.Context(), tx, events); err != nil {
			return err
		}
		user, err := accounts.CreateUser(t.Context(), tx, "Ada", "ada@example.com", "no password yet")
		if err != nil {
			return err
		}
		var org int64
		if err := tx.Raw("SELECT id FROM audit_organizations").Scan(&org).Error; err != nil {
			return err
		}
		if err := accounts.AddMember(t.Context(), tx, org, user.ID, accounts.RoleAdmin); err != nil {
			return err
		}
		_, _, err = accounts.CreateAPIKey(t.Context(), tx, org, "Build", accounts.ScopeWrite, user.ID, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// backedUp fills the database at address and returns a backup of it.
func backedUp(t *testing.T, address string) (file string) {
	t.Helper()
	db := databasetest.Open(t, address)
	fill(t, db)
	file = filepath.Join(t.TempDir(), "backup")
	if _, err := backup.Write(t.Context(), db, address, file); err != nil {
		t.Fatal(err)
	}
	return file
}

// told is what a log tells: its entries with all that stands beside them, its accounts and keys.
func told(t *testing.T, db *database.DB) string {
	t.Helper()
	var all strings.Builder
	for _, question := range []string{
		"SELECT * FROM audit_organizations ORDER BY id", "SELECT * FROM audit_entries ORDER BY org_id, id",
		"SELECT * FROM audit_related ORDER BY org_id, entry_id, position", "SELECT * FROM audit_on_behalf_of ORDER BY org_id, entry_id",
		"SELECT * FROM audit_native_actions ORDER BY org_id, native_action", "SELECT * FROM audit_event_keys ORDER BY org_id, key_hash",
		"SELECT * FROM audit_entities ORDER BY org_id, entity_id, month", "SELECT * FROM audit_actors ORDER BY org_id, actor_id, month",
		"SELECT * FROM audit_users ORDER BY id", "SELECT * FROM audit_memberships ORDER BY user_id", "SELECT * FROM audit_api_keys ORDER BY id",
	} {
		var rows []map[string]any
		if err := db.Read.WithContext(t.Context()).Raw(question).Scan(&rows).Error; err != nil {
			t.Fatalf("%s: %v", question, err)
		}
		if len(rows) == 0 {
			t.Fatalf("%s: nothing", question)
		}
		for _, row := range rows {
			fmt.Fprintln(&all, row)
		}
	}
	return all.String()
}

func TestABackupRestoresTheLog(t *testing.T) {
	for name, address := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			db := databasetest.Open(t, address[0])
			fill(t, db)
			file := filepath.Join(t.TempDir(), "backup")
			// Somebody is recording, and neither waits for the other.
			open := db.Write.Begin()
			defer open.Rollback()
			if name == "postgres" {
				if _, err := audit.Record(t.Context(), open, audit.Event{Organization: "acme", Action: action.ServiceDelete, EntityID: "svc-open", Actor: audit.System("test")}); err != nil {
					t.Fatal(err)
				}
			} else {
				open.Rollback()
			}
			summary, err := backup.Write(t.Context(), db, address[0], file)
			if err != nil {
				t.Fatal(err)
			}
			open.Rollback()
			if info, err := os.Stat(file); err != nil || summary.Entries != 100 || summary.Bytes != info.Size() || info.Mode().Perm() != 0o600 {
				t.Errorf("summary %+v, file %+v: %v", summary, info, err)
			}
			if _, err := backup.Write(t.Context(), db, address[0], file); !errors.Is(err, fs.ErrExist) {
				t.Errorf("over a file: %v", err)
			}

			if summary, err = backup.Restore(t.Context(), file, address[1], slog.New(slog.DiscardHandler)); err != nil || summary.Entries != 100 {
				t.Fatalf("restored %+v: %v", summary, err)
			}
			restored := databasetest.Open(t, address[1])
			if got, want := told(t, restored), told(t, db); got != want {
				t.Errorf("restored:\n%s\nwant:\n%s", got, want)
			}
			if _, err := backup.Restore(t.Context(), file, address[1], slog.New(slog.DiscardHandler)); err == nil {
				t.Error("a log was restored over another")
			}

			// What is unchangeable is so again, keys go on, and recording goes on.
			if err := restored.Write.Exec("UPDATE audit_entries SET action = 'a:b'").Error; err == nil {
				t.Error("entries can be changed")
			}
			receipt, err := audit.Record(t.Context(), restored.Write, audit.Event{Organization: "acme", Action: action.ServiceDelete, EntityID: "svc-1", Actor: audit.System("test")})
			if err != nil || !receipt.Stored {
				t.Errorf("recording afterwards: %+v, %v", receipt, err)
			}
			if _, err := audit.EnsureOrganization(t.Context(), restored.Write, audit.Organization{Slug: "beta"}); err != nil {
				t.Errorf("a new organization: %v", err)
			}
		})
	}
}

// Another cluster of PostgreSQL has other numbers of transactions, which may be lower.
func TestARestoredLogIsFollowedFromWhereItWas(t *testing.T) {
	for name, address := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			db := databasetest.Open(t, address[0])
			exec := func(statement string) {
				t.Helper()
				if err := db.Write.Exec(statement).Error; err != nil {
					t.Fatal(err)
				}
			}
			if name == "postgres" {
				address[1] = databasetest.StartServer(t).Database(t)
				exec("DO $$ BEGIN FOR i IN 1..20000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$")
			}
			fill(t, db)
			// step reads up to limit entries for the consumer.
			step := func(db *database.DB, limit int) (ids map[string]bool) {
				t.Helper()
				store, err := db.Store(nil)
				if err != nil {
					t.Fatal(err)
				}
				log := following.New(store)
				place, err := log.Join(t.Context(), "consumer", "")
				if err != nil {
					t.Fatal(err)
				}
				batch, err := log.Read(t.Context(), place, following.Needs{}, limit)
				if err != nil {
					t.Fatal(err)
				}
				if moved, err := following.Advance(db.Write, "consumer", place, batch.Next); err != nil || !moved {
					t.Fatalf("moved on %t: %v", moved, err)
				}
				ids = map[string]bool{}
				for _, e := range batch.Entries {
					ids[e.ID.String()] = true
				}
				return ids
			}
			before := step(db, 60)
			file := filepath.Join(t.TempDir(), "backup")
			if _, err := backup.Write(t.Context(), db, address[0], file); err != nil {
				t.Fatal(err)
			}
			if _, err := backup.Restore(t.Context(), file, address[1], slog.New(slog.DiscardHandler)); err != nil {
				t.Fatal(err)
			}
			restored := databasetest.Open(t, address[1])
			if name == "postgres" {
				var lower bool
				err := restored.Write.Raw("SELECT pg_current_xact_id()::text::bigint < (SELECT MIN(xact) FROM audit_entries)").Scan(&lower).Error
				if err != nil || !lower {
					t.Fatalf("its numbers are lower: %t, %v", lower, err)
				}
			}
			event := audit.Event{Organization: "acme", Action: action.ServiceDelete, EntityID: "svc-1", Actor: audit.System("test"),
				Related: []audit.Resource{{Type: "subnet", ID: "net-1"}}}
			receipt, err := audit.Record(t.Context(), restored.Write, event)
			if err != nil || !receipt.Stored {
				t.Fatalf("%+v, %v", receipt, err)
			}
			after := step(restored, 1000)
			for id := range after {
				if before[id] {
					t.Errorf("%s is read once more", id)
				}
			}
			if len(before) != 60 || len(after) != 41 || !after[receipt.EntryID] {
				t.Errorf("%d entries are read before, and %d after", len(before), len(after))
			}
		})
	}
}

// Of a damaged file nothing is restored, and nothing is in the way of the whole one.
func TestADamagedBackupIsRefused(t *testing.T) {
	for name, address := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			file := backedUp(t, address[0])
			whole, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, damaged := range [][]byte{whole[:len(whole)/2], []byte("SELECT 1"), damage(whole)} {
				if err := os.WriteFile(file, damaged, 0o600); err != nil {
					t.Fatal(err)
				}
				if _, err := backup.Restore(t.Context(), file, address[1], slog.New(slog.DiscardHandler)); err == nil {
					t.Fatal("restored of a damaged file")
				} else {
					t.Log(err)
				}
			}
			if err := os.WriteFile(file, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := backup.Restore(t.Context(), file, address[1], slog.New(slog.DiscardHandler)); err != nil {
				t.Errorf("of the whole file: %v", err)
			}
		})
	}
}

// damage overwrites a stretch in the middle.
func damage(whole []byte) []byte {
	damaged := append([]byte{}, whole...)
	for i := len(damaged) / 3; i < len(damaged)/3+4096 && i < len(damaged); i++ {
		damaged[i] ^= 0x55
	}
	return damaged
}

// A backup that was stopped leaves nothing, and nothing that the next one would stumble over.
func TestAStoppedBackupLeavesNothing(t *testing.T) {
	for name, address := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			db := databasetest.Open(t, address[0])
			fill(t, db)
			folder := t.TempDir()
			file := filepath.Join(folder, "backup")
			if err := os.WriteFile(file+".part", []byte("of one that was killed"), 0o600); err != nil {
				t.Fatal(err)
			}
			stopped, stop := context.WithTimeout(t.Context(), time.Minute)
			stop()
			if _, err := backup.Write(stopped, db, address[0], file); err == nil {
				t.Fatal("it was not stopped")
			}
			left, err := os.ReadDir(folder)
			if err != nil || len(left) != 0 {
				t.Errorf("left: %v, %v", left, err)
			}
			if _, err := backup.Write(t.Context(), db, address[0], file); err != nil {
				t.Error(err)
			}
		})
	}
}

// PostgreSQL puts rows where there is room: what a clean-up has left comes back in another order.
func TestABackupRestoresWhatACleanUpHasLeft(t *testing.T) {
	address := addresses(t)["postgres"]
	db := databasetest.Open(t, address[0])
	fill(t, db)
	sizes := rand.New(rand.NewPCG(1, 2))
	for range 10 {
		events := make([]audit.Event, 500)
		for i := range events {
			content := make([]byte, sizes.IntN(700)) // too short and too random to be compressed
			for j := range content {
				content[j] = byte(sizes.Uint32())
			}
			events[i] = audit.Event{Organization: "acme", Action: action.ServiceUpdate, EntityID: "svc-1", Actor: audit.System("test"),
				Metadata: map[string]any{"content": hex.EncodeToString(content)}}
		}
		err := db.Write.Transaction(func(tx *gorm.DB) error {
			_, err := audit.RecordAll(t.Context(), tx, events)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Write.Exec("DELETE FROM audit_entries WHERE length(metadata) % 3 > 0").Error; err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "backup")
	written, err := backup.Write(t.Context(), db, address[0], file)
	if err != nil {
		t.Fatal(err)
	}
	restored, err := backup.Restore(t.Context(), file, address[1], slog.New(slog.DiscardHandler))
	if err != nil || restored != written {
		t.Fatalf("restored %+v of %+v: %v", restored, written, err)
	}
	inOrder := func(address string) (ids string) {
		rows := databasetest.Open(t, address).Read.Raw("SELECT string_agg(id::text, ',' ORDER BY ctid) FROM audit_entries").Scan(&ids)
		if rows.Error != nil {
			t.Fatal(rows.Error)
		}
		return ids
	}
	if inOrder(address[0]) == inOrder(address[1]) {
		t.Fatal("the rows came back in the order in which they were: this tests nothing")
	}
}

// Beside the log an application has tables of its own, and its role a schema that search_path names first.
func TestABackupIsOfTheTablesOfTheLog(t *testing.T) {
	address := addresses(t)["postgres"]
	for _, of := range address {
		statements := "CREATE TABLE audit_trail (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY); CREATE SCHEMA mine"
		if err := databasetest.Open(t, of).Write.Exec(statements).Error; err != nil {
			t.Fatal(err)
		}
	}
	db := databasetest.Open(t, address[0])
	fill(t, db)
	file := filepath.Join(t.TempDir(), "backup")
	mine := databasetest.Open(t, address[0]+"&search_path=mine,public")
	if summary, err := backup.Write(t.Context(), mine, address[0], file); err != nil || summary.Entries != 100 {
		t.Fatalf("written %+v: %v", summary, err)
	}
	if summary, err := backup.Restore(t.Context(), file, address[1], slog.New(slog.DiscardHandler)); err != nil || summary.Entries != 100 {
		t.Fatalf("restored %+v: %v", summary, err)
	}
	if got, want := told(t, databasetest.Open(t, address[1])), told(t, db); got != want {
		t.Errorf("restored:\n%s\nwant:\n%s", got, want)
	}
}

// No table is left out.
func TestABackupIsOfEveryTable(t *testing.T) {
	address := addresses(t)["postgres"][0]
	db := databasetest.Open(t, address)
	var want []string
	err := db.Read.Raw("SELECT tablename || '.copy' FROM pg_tables WHERE tablename LIKE 'audit\\_%' AND tablename <> 'audit_schema_version' ORDER BY 1").Scan(&want).Error
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "backup")
	if _, err := backup.Write(t.Context(), db, address, file); err != nil {
		t.Fatal(err)
	}
	archive, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	var got []string
	for _, part := range archive.File {
		got = append(got, part.Name)
	}
	slices.Sort(got)
	if got = slices.DeleteFunc(got, func(name string) bool { return name == "contents.json" }); len(want) < 20 || !slices.Equal(got, want) {
		t.Errorf("the archive holds %q, want %q", got, want)
	}
}

// An organization that is made while the restore begins is not mixed with those of the file, let alone deleted.
func TestARestoreKeepsOutOfALogThatBeginsMeanwhile(t *testing.T) {
	address := addresses(t)["postgres"]
	file := backedUp(t, address[0])
	other := databasetest.PostgresURL(t)
	used := databasetest.Open(t, other)
	if err := used.Write.Exec("ALTER SEQUENCE audit_organizations_id_seq RESTART WITH 77").Error; err != nil {
		t.Fatal(err)
	}
	begun := used.Write.Begin()
	defer begun.Rollback()
	if _, err := audit.EnsureOrganization(t.Context(), begun, audit.Organization{Slug: "beta"}); err != nil {
		t.Fatal(err)
	}
	restored := make(chan error, 1)
	go func() {
		_, err := backup.Restore(t.Context(), file, other, slog.New(slog.DiscardHandler))
		restored <- err
	}()
	for waits := false; !waits && len(restored) == 0; time.Sleep(10 * time.Millisecond) {
		if err := used.Read.Raw("SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'audit_organizations'::regclass AND NOT granted)").Scan(&waits).Error; err != nil {
			t.Fatal(err)
		}
	}
	if err := begun.Commit().Error; err != nil {
		t.Fatal(err)
	}
	if err := <-restored; err == nil || !strings.Contains(err.Error(), "holds a log already") {
		t.Errorf("restored: %v", err)
	}
	var slugs string
	if err := used.Read.Raw("SELECT string_agg(slug, ',') FROM audit_organizations").Scan(&slugs).Error; err != nil || slugs != "beta" {
		t.Errorf("organizations: %s, %v", slugs, err)
	}
}

// Neither what a restore left that was killed nor what belonged to another file gets into the new one.
func TestARestoreTakesNothingFromWhatIsThere(t *testing.T) {
	address := addresses(t)["sqlite"][0]
	file := backedUp(t, address)
	folder := t.TempDir()
	path, elsewhere := filepath.Join(folder, "log.db"), filepath.Join(folder, "elsewhere")
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, beside := range []string{"", "-wal", "-journal"} {
		write(path+beside, "of another")
		if _, err := backup.Restore(t.Context(), file, "sqlite:"+path, slog.New(slog.DiscardHandler)); !errors.Is(err, fs.ErrExist) {
			t.Errorf("beside a file log.db%s: %v", beside, err)
		}
		if err := os.Remove(path + beside); err != nil {
			t.Fatal(err)
		}
	}
	write(elsewhere, "of somebody")
	if err := os.Symlink(elsewhere, path+".part"); err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Restore(t.Context(), file, "sqlite:"+path, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(elsewhere); err != nil || string(content) != "of somebody" {
		t.Errorf("the file that a link led to: %d bytes, %v", len(content), err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("the database: %+v, %v", info, err)
	}
}

// A restore that was killed while it made the tables is begun again.
func TestARestoreGoesOnWhereOneWasKilled(t *testing.T) {
	address := addresses(t)["postgres"]
	file := backedUp(t, address[0])
	databasetest.MigrateTo(t, databasetest.Open(t, address[1]), 7)
	if _, err := backup.Restore(t.Context(), file, address[1], slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	// But a log of an earlier version is left as it is.
	used := databasetest.EmptyPostgresURL(t)
	earlier := databasetest.Open(t, used)
	databasetest.MigrateTo(t, earlier, 7)
	if err := earlier.Write.Exec("INSERT INTO audit_organizations (slug, name, created_at) VALUES ('beta', 'Beta', 1)").Error; err != nil {
		t.Fatal(err)
	}
	if _, err := backup.Restore(t.Context(), file, used, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "holds a log already") {
		t.Errorf("over a log of an earlier version: %v", err)
	}
	if there, _, err := migrate.Versions(t.Context(), earlier.Write); there != 7 || err != nil {
		t.Errorf("the earlier version has become %d, %v", there, err)
	}
}
