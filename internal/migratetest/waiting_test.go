package migratetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

// patience is how long something may take that should happen.
const patience = time.Minute

// told hands on the lines of slog's default logger until the test ends.
func told(t *testing.T) lines {
	lines, before := make(lines, 1000), slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(lines, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return lines
}

type lines chan string

func (l lines) Write(line []byte) (int, error) {
	l <- string(line)
	return len(line), nil
}

// await reads lines until one has all parts.
func (l lines) await(t *testing.T, parts ...string) {
	t.Helper()
	var said []string
	for timeout := time.After(patience); ; {
		select {
		case line := <-l:
			said = append(said, line)
			if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
				return
			}
		case <-timeout:
			t.Fatalf("no line says %q, but:\n%s", parts, strings.Join(said, ""))
		}
	}
}

// older is an empty database with the schema of a version.
func older(t *testing.T, version int64) *database.DB {
	t.Helper()
	db := databasetest.Open(t, databasetest.EmptyPostgresURL(t))
	databasetest.MigrateTo(t, db, version)
	return db
}

// begin begins a transaction that is rolled back when the test ends, and returns its process.
func begin(t *testing.T, db *database.DB) (tx *gorm.DB, process int) {
	t.Helper()
	tx = db.Write.WithContext(t.Context()).Begin()
	t.Cleanup(func() { tx.Rollback() })
	if err := tx.Raw("SELECT pg_backend_pid()").Scan(&process).Error; err != nil {
		t.Fatal(err)
	}
	return tx, process
}

// record adds an entry as a program of version 1 or later does.
func record(t *testing.T, tx *gorm.DB, entity string) {
	t.Helper()
	at := models.MicrosOf(time.Now())
	for table, row := range map[string]map[string]any{
		"audit_entries": {"org_id": 1, "id": models.NewEntryID(at), "occurred_at": at, "recorded_at": at, "action": "service:update",
			"entity_type": "service", "entity_id": entity, "actor_id": "u1", "actor_key": "ada", "actor_name": "Ada"},
		"audit_entities": {"org_id": 1, "month": 1, "entity_type": "service", "entity_id": entity, "id_key": entity, "name_key": ""},
	} {
		if err := tx.Table(table).Create(row).Error; err != nil {
			t.Fatal(err)
		}
	}
}

func migrated(t *testing.T, db *database.DB) <-chan error {
	done := make(chan error, 1)
	go func() { done <- db.Migrate(t.Context()) }()
	return done
}

func expectUnderWay(t *testing.T, migrated <-chan error) {
	t.Helper()
	select {
	case err := <-migrated:
		t.Fatalf("it went past an open transaction: %v", err)
	default:
	}
}

func expectDone(t *testing.T, migrated <-chan error) {
	t.Helper()
	select {
	case err := <-migrated:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("it does not go on although nobody is in its way")
	}
}

func commit(t *testing.T, tx *gorm.DB) {
	t.Helper()
	if err := tx.Commit().Error; err != nil {
		t.Fatal(err)
	}
}

// While somebody's transaction keeps a migration from its lock, others record.
func TestAMigrationSaysWhoIsInItsWay(t *testing.T) {
	db := older(t, 14)
	log := told(t)
	open, process := begin(t, db)
	record(t, open, "open")
	done := migrated(t, db)
	log.await(t, fmt.Sprintf("the tables are in use by process %d of role ", process), "(auditlogs), idle in transaction, its transaction begun at ")
	record(t, db.Write, "meanwhile")
	expectUnderWay(t, done)
	commit(t, open)
	expectDone(t, done)
	record(t, db.Write, "later") // as a program of before does
	var ordered []string
	if err := db.Read.Raw("SELECT entity_id FROM audit_entries ORDER BY xact = 0 DESC, xact, id").Scan(&ordered).Error; err != nil ||
		len(ordered) != 3 || ordered[2] != "later" {
		t.Errorf("in the order of commits: %q, %v", ordered, err)
	}
}

// An index is built beside those who record. It waits for whoever was there before, and nobody waits for it.
func TestBuildingAnIndexSaysForWhomItWaits(t *testing.T) {
	db := older(t, 11)
	log := told(t)
	open, process := begin(t, db)
	record(t, open, "open")
	done := migrated(t, db)
	log.await(t, fmt.Sprintf("the migration waits, and nobody for it, until a transaction ends: that of process %d of role ", process))
	record(t, db.Write, "meanwhile")
	expectUnderWay(t, done)
	commit(t, open)
	expectDone(t, done)
}

// Of a prepared transaction no process is left.
func TestAPreparedTransactionInTheWayIsNamed(t *testing.T) {
	server := databasetest.StartServer(t, "fsync = off", "max_prepared_transactions = 1")
	db := databasetest.Open(t, server.URL)
	databasetest.MigrateTo(t, db, 14)
	log := told(t)
	open, _ := begin(t, db)
	record(t, open, "open")
	if err := open.Exec("PREPARE TRANSACTION 'open'").Error; err != nil {
		t.Fatal(err)
	}
	open.Rollback()
	done := migrated(t, db)
	log.await(t, "the tables are in use by a prepared transaction, see pg_prepared_xacts")
	if err := db.Write.Exec("COMMIT PREPARED 'open'").Error; err != nil {
		t.Fatal(err)
	}
	expectDone(t, done)
}

// PostgreSQL cancels an autovacuum for those only who wait for longer than a migration may.
func TestAMigrationDoesNotWaitForAutovacuum(t *testing.T) {
	server := databasetest.StartServer(t, "fsync = off", "autovacuum_naptime = 10s",
		"autovacuum_vacuum_cost_delay = 100ms", "autovacuum_vacuum_cost_limit = 1") // an hour for the table
	db := databasetest.Open(t, server.URL)
	databasetest.MigrateTo(t, db, 14)
	for _, statement := range []string{
		`INSERT INTO audit_entries (org_id, id, occurred_at, recorded_at, action, entity_type, entity_id, actor_id, actor_key, actor_name, user_agent)
			SELECT 1, gen_random_uuid(), 1, 1, 'service:update', 'service', 'x', 'u1', 'ada', 'Ada', repeat('x', 1500) FROM generate_series(1, 10000)`,
		"DELETE FROM audit_entries",
	} {
		if err := db.Write.Exec(statement).Error; err != nil {
			t.Fatal(err)
		}
	}
	await(t, db, "autovacuum of the entries", `SELECT EXISTS (SELECT FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
		WHERE l.relation = 'audit_entries'::regclass AND a.backend_type = 'autovacuum worker')`)
	log := told(t)
	done := migrated(t, db)
	log.await(t, "the tables are in use by process ", " of the server itself, such as autovacuum")
	expectDone(t, done)
}

func await(t *testing.T, db *database.DB, what, question string) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		var yes bool
		if err := db.Read.Raw(question).Scan(&yes).Error; err != nil {
			t.Fatal(err)
		}
		if yes {
			return
		}
		if time.Since(began) > patience {
			t.Fatalf("not there: %s", what)
		}
	}
}

// Of two hosts that migrate one waits for the other, by a lock that lasts no longer than a transaction: that of a
// session would stay behind with a pooler.
func TestHostsMigrateOneAfterTheOther(t *testing.T) {
	db := older(t, 14)
	log := told(t)
	open, _ := begin(t, db)
	record(t, open, "open")
	first := migrated(t, db)
	log.await(t, "the tables are in use by ")
	var holder struct {
		Process          int
		State            string
		Snapshot, Locked bool
	}
	err := db.Read.Raw(`SELECT a.pid AS process, a.state, a.backend_xmin IS NOT NULL AS snapshot,
		EXISTS (SELECT FROM pg_locks AS l WHERE l.pid = a.pid AND l.relation IS NOT NULL) AS locked
		FROM pg_stat_activity AS a JOIN pg_locks AS l ON l.pid = a.pid WHERE a.datname = current_database() AND l.locktype = 'advisory'`).Scan(&holder).Error
	if err != nil || holder.State != "idle in transaction" || holder.Snapshot || holder.Locked {
		t.Errorf("the lock is held by %+v, %v", holder, err)
	}
	second := migrated(t, db)
	log.await(t, fmt.Sprintf("the migration waits for another that is under way, by process %d of role ", holder.Process))
	expectUnderWay(t, second)
	commit(t, open)
	expectDone(t, first)
	expectDone(t, second)
	var locks int64
	if err := db.Read.Raw("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())").
		Scan(&locks).Error; err != nil || locks != 0 {
		t.Errorf("%d locks are left: %v", locks, err)
	}
}

// Whatever a migration changes, and whenever: it gives up at once where a transaction is in its way, or builds an
// index beside it, and in both cases whoever records is not kept waiting.
func TestNoMigrationKeepsThoseWhoRecordWaiting(t *testing.T) {
	versions := databasetest.MigrationsOf(t, databasetest.Postgres(t)).Versions()
	for i, version := range versions[1:] {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			db := older(t, versions[i])
			var tables string
			if err := db.Read.Raw(`SELECT string_agg(tablename, ', ') FROM pg_tables
				WHERE schemaname = 'public' AND tablename <> 'audit_schema_version'`).Scan(&tables).Error; err != nil {
				t.Fatal(err)
			}
			locks := "LOCK TABLE " + tables + " IN ROW EXCLUSIVE MODE" // those of INSERT
			open, _ := begin(t, db)
			if err := open.Exec(locks).Error; err != nil {
				t.Fatal(err)
			}
			var recording sync.WaitGroup
			ctx, stop := context.WithCancel(t.Context())
			recording.Go(func() {
				for ctx.Err() == nil {
					if err := db.Write.Exec("BEGIN; SET LOCAL lock_timeout = '5s'; " + locks + "; COMMIT").Error; err != nil {
						t.Errorf("whoever records waits: %v", err)
						return
					}
					time.Sleep(time.Millisecond)
				}
			})
			defer recording.Wait()
			defer stop()

			done := make(chan error, 1)
			go func() { done <- databasetest.MigrationsOf(t, db).UpTo(t.Context(), version) }()
			for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
				select {
				case err := <-done:
					var refused *pgconn.PgError
					if err != nil && !(errors.As(err, &refused) && refused.Code == "55P03") { // lock_not_available
						t.Error(err)
					}
					return
				default:
				}
				var waits []string
				if err := db.Read.Raw(`SELECT query FROM pg_stat_activity
					WHERE datname = current_database() AND wait_event_type = 'Lock' AND query ~ '^(ALTER|CREATE|DROP)'`).Scan(&waits).Error; err != nil {
					t.Fatal(err)
				}
				if len(waits) > 0 && strings.Contains(waits[0], "INDEX CONCURRENTLY") {
					time.Sleep(100 * time.Millisecond) // others record meanwhile
					commit(t, open)
					expectDone(t, done)
					return
				}
				if time.Since(began) > 10*time.Second {
					t.Fatalf("it waits: %q", waits)
				}
			}
		})
	}
}

// A pool of one connection is enough, and is as it was afterwards.
func TestAPoolOfOneConnectionMigrates(t *testing.T) {
	db := older(t, 9)
	pool, err := db.Write.DB()
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(1)
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if most := pool.Stats().MaxOpenConnections; most != 1 {
		t.Errorf("the pool may have %d connections afterwards", most)
	}
	var patience string
	if err := db.Write.Raw("SHOW lock_timeout").Scan(&patience).Error; err != nil || patience != "0" {
		t.Errorf("statements afterwards wait for a lock for %s: %v", patience, err)
	}
}
