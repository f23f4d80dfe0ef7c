//go:build unix

package database_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

// replication is a database and a streaming replica of it.
type replication struct {
	primary, standby *databasetest.Server
	address          string // of the database
}

func TestReadReplicas(t *testing.T) {
	primary := databasetest.StartServer(t, "fsync = off")
	address := primary.Database(t)
	r := replication{primary, primary.Standby(t, address, "max_standby_streaming_delay = 0"), address}
	t.Run("answer, and the primary where they cannot", r.testAnswers)
	t.Run("need no rights", r.testRights)
	t.Run("behind a pooler", r.testPooler)
	t.Run("are told from other databases", r.testIdentity)
}

// What is wrong with the way to a replica is said, as it is of the way to the primary.
func (r replication) testPooler(t *testing.T) {
	pooled := databasetest.Pooler(t, r.standby.URL)
	for address, want := range map[string]string{
		pooled: "ALTER ROLE postgres IN DATABASE ",
		pooled + "&default_query_exec_mode=describe_exec": "leave default_query_exec_mode=describe_exec out of the address",
	} {
		var said safeBuffer
		readingFrom(t, r.address, slog.New(slog.NewTextHandler(&said, nil)), address)
		for deadline := time.Now().Add(30 * time.Second); !strings.Contains(said.String(), want); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the log says %s", said.String())
			}
		}
	}
}

func (r replication) testAnswers(t *testing.T) {
	address, standby := r.address, r.standby
	var said safeBuffer
	db := readingFrom(t, address, slog.New(slog.NewTextHandler(&said, nil)), standby.URL)
	store, err := db.Store(nil)
	if err != nil {
		t.Fatal(err)
	}
	visit := func() *gorm.DB {
		ctx, _ := models.WithVisit(t.Context(), "reader", 0)
		return store.LogReader(ctx)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	answeredBy := func(db *gorm.DB) string {
		t.Helper()
		var recovering bool
		must(db.Raw("WITH me AS (SELECT pg_is_in_recovery() AS recovering) SELECT recovering FROM me").Scan(&recovering).Error)
		if recovering {
			return "standby"
		}
		return "primary"
	}
	want := func(db *gorm.DB, who string) {
		t.Helper()
		if got := answeredBy(db); got != who {
			t.Errorf("the %s answers, want the %s", got, who)
		}
	}
	restored := func() {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); answeredBy(visit()) != "standby"; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the standby is not asked: %s", said.String())
			}
		}
	}

	restored()
	if !strings.Contains(said.String(), "the log is read from a replica") {
		t.Errorf("the log says %q", said.String())
	}
	want(store.LogReader(t.Context()), "primary") // nobody's visit
	want(store.Reader(t.Context()), "primary")
	ctx, v := models.WithVisit(t.Context(), "reader", 0)
	want(store.LogReader(ctx), "standby")
	must(store.Transaction(ctx, func(tx *gorm.DB) error { return nil }))
	if want(store.LogReader(ctx), "primary"); !v.Wrote() {
		t.Error("the visit did not notice what it wrote")
	}
	position, err := store.Position(t.Context())
	must(err)
	ctx, _ = models.WithVisit(t.Context(), "reader", position+1<<40)
	want(store.LogReader(ctx), "primary")

	t.Run("values", func(t *testing.T) {
		var row struct {
			ID     models.EntryID
			Text   string
			Absent *string
			Bytes  []byte
			Number int64
		}
		id := models.NewEntryID(1)
		err := visit().Raw(`SELECT CAST(? AS uuid) AS id, CAST(? AS text) AS text, NULL AS absent, CAST('\x00ff' AS bytea) AS bytes, 7 AS number`,
			id, "Zoë").Scan(&row).Error
		if err != nil || row.ID != id || row.Text != "Zoë" || row.Absent != nil || string(row.Bytes) != "\x00\xff" || row.Number != 7 {
			t.Errorf("%+v, %v", row, err)
		}
	})
	t.Run("a mistake is no failure of the standby", func(t *testing.T) {
		if err := visit().Raw("SELECT nothing").Scan(new(int)).Error; err == nil {
			t.Error("no error")
		}
		want(visit(), "standby")
	})
	t.Run("failed within its rows", func(t *testing.T) {
		ctx, _ := models.WithVisit(t.Context(), "reader", 0)
		var numbers []int
		must(store.LogReader(ctx).Raw(`SELECT CASE WHEN pg_is_in_recovery() THEN 1 / (5000 - n) ELSE n END FROM generate_series(1, 6000) AS n`).
			Scan(&numbers).Error)
		if len(numbers) != 6000 || numbers[5999] != 6000 {
			t.Errorf("%d numbers", len(numbers))
		}
		want(store.LogReader(ctx), "primary") // to the end of the visit, and
		want(visit(), "primary")              // for a moment
		restored()
		want(store.LogReader(ctx), "primary")
	})
	t.Run("in the way of what it replays", func(t *testing.T) {
		must(db.Write.Exec("CREATE TABLE in_the_way AS SELECT 1 AS n").Error)
		awaitReplay(t, standby.URL, address)
		answered := make(chan error, 1)
		var n int
		go func() {
			answered <- visit().Raw("SELECT COUNT(*) FROM in_the_way, pg_sleep(CASE WHEN pg_is_in_recovery() THEN 4 ELSE 0 END)").Scan(&n).Error
		}()
		awaitStatement(t, standby.URL, "in_the_way")
		must(db.Write.Exec("TRUNCATE in_the_way").Error)
		if must(<-answered); n != 0 {
			t.Errorf("%d rows, want what the primary has", n)
		}
		if !strings.Contains(said.String(), "conflict with recovery") {
			t.Errorf("the log does not say why: %s", said.String())
		}
		restored()
	})
	t.Run("the reader is gone", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		ctx, _ = models.WithVisit(ctx, "reader", 0)
		if err := store.LogReader(ctx).Raw("SELECT 1 FROM pg_sleep(10)").Scan(new(int)).Error; err == nil {
			t.Error("no error")
		}
		want(visit(), "standby")
	})
}

func (r replication) testIdentity(t *testing.T) {
	address, primary, standby := r.address, r.primary, r.standby
	other := primary.Database(t)
	awaitReplay(t, standby.URL, address)
	for name, tc := range map[string]struct{ address, want string }{
		"another database":   {primary.URL, "read database 1: holds no log"},
		"another log":        {other, "read database 1: is another database"},
		"the primary":        {address, "read database 1: is none: it takes changes itself"},
		"nobody":             {"postgres://u:s3cr3t-pw@127.0.0.1:1/x", "read database 1: does not answer"},
		"a wrong password":   {replaceUser(standby.URL, "postgres:s3cr3t-pw"), "read database 1: does not answer"},
		"a standby of it":    {standby.URL, ""},
		"another one's copy": {replacePath(standby.URL, "/template1"), "read database 1: holds no log"},
	} {
		t.Run(name, func(t *testing.T) {
			var said safeBuffer
			db := readingFrom(t, address, slog.New(slog.NewTextHandler(&said, nil)), tc.address)
			problems := strings.Join(db.ReadProblems(), "\n")
			if !strings.HasPrefix(problems, tc.want) || tc.want == "" && problems != "" {
				t.Errorf("it says %q, want %q", problems, tc.want)
			}
			if strings.Count(said.String(), "\n") != 1 || strings.Contains(said.String(), "s3cr3t") {
				t.Errorf("the log says %q, want one line without the password", said.String())
			}
		})
	}

	// An older schema: the primary was migrated, and the standby has not replayed it yet.
	exec(t, standby.URL, "SELECT pg_wal_replay_pause()")
	exec(t, address, "INSERT INTO audit_schema_version (version_id, is_applied) VALUES (1000, true)")
	db := readingFrom(t, address, quiet, standby.URL)
	if problems := db.ReadProblems(); len(problems) != 1 || !strings.Contains(problems[0], "has an older schema") {
		t.Errorf("it says %q", problems)
	}
	exec(t, standby.URL, "SELECT pg_wal_replay_resume()")
	for deadline := time.Now().Add(20 * time.Second); len(db.ReadProblems()) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it still says %q", db.ReadProblems())
		}
	}
}

// Everybody may read what recognizes a replica, not only a superuser.
func (r replication) testRights(t *testing.T) {
	exec(t, r.address, "CREATE ROLE reader LOGIN PASSWORD 'reader'")
	exec(t, r.address, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
	db := readingFrom(t, r.address, quiet, replaceUser(r.standby.URL, "reader:reader"))
	for deadline := time.Now().Add(20 * time.Second); len(db.ReadProblems()) > 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it says %q", db.ReadProblems())
		}
	}
}

func TestAddressesOfReplicasThatCannotBeMeant(t *testing.T) {
	for _, address := range []string{"", "sqlite:data/log.db", "db2.internal", "mysql://u:s3cr3t-pw@h/x", "postgres://u:s3cr3t-pw@h:port/x"} {
		err := databasetest.Postgres(t).ReadLogFrom(t.Context(), []string{address}, quiet)
		if err == nil {
			t.Errorf("%q is taken", address)
			continue
		}
		expectOneLine(t, err, "address 1: not a PostgreSQL address")
	}
}

// readingFrom opens a database whose log is read from a replica.
func readingFrom(t *testing.T, address string, log *slog.Logger, replica string) *database.DB {
	t.Helper()
	db := databasetest.Open(t, address)
	if err := db.ReadLogFrom(t.Context(), []string{replica}, log); err != nil {
		t.Fatal(err)
	}
	return db
}

func exec(t *testing.T, address, sql string) {
	t.Helper()
	if err := databasetest.Open(t, address).Write.Exec(sql).Error; err != nil {
		t.Fatal(err)
	}
}

// awaitReplay waits until a standby shows all that the primary has now.
func awaitReplay(t *testing.T, standby, primary string) {
	t.Helper()
	var position int64
	err := databasetest.Open(t, primary).Read.Raw("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint").Scan(&position).Error
	if err != nil {
		t.Fatal(err)
	}
	await(t, standby, "SELECT pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0') >= ?", position)
}

// awaitStatement waits until a server is at a statement that names something.
func awaitStatement(t *testing.T, address, name string) {
	t.Helper()
	await(t, address, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE state = 'active' AND wait_event = 'PgSleep' AND query LIKE ?)",
		"%"+name+"%")
}

func await(t *testing.T, address, question string, args ...any) {
	t.Helper()
	db := databasetest.Open(t, address)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		var yes bool
		if err := db.Read.Raw(question, args...).Scan(&yes).Error; err != nil || time.Now().After(deadline) {
			t.Fatalf("%s: %v, %v", question, yes, err)
		}
		if yes {
			return
		}
	}
}
