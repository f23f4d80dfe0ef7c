package recordingtest

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"testing"

	"github.com/pressly/goose/v3"
	"gorm.io/gorm"
	"gorm.io/gorm/utils/tests"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/client"
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/app/audit/migrate"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models/migrations"
)

// waysOverSQL are the methods of a Dialect that take a transaction.
var waysOverSQL = map[string]func(ctx context.Context, d audit.Dialect, tx *sql.Tx) error{
	"Record": func(ctx context.Context, d audit.Dialect, tx *sql.Tx) error {
		_, err := d.Record(ctx, tx, anEvent())
		return err
	},
	"RecordAll": func(ctx context.Context, d audit.Dialect, tx *sql.Tx) error {
		_, err := d.RecordAll(ctx, tx, []audit.Event{anEvent()})
		return err
	},
	"Backfill": func(ctx context.Context, d audit.Dialect, tx *sql.Tx) error {
		_, err := d.Backfill(ctx, tx, []audit.Event{past("1")})
		return err
	},
	"EnsureOrganization": func(ctx context.Context, d audit.Dialect, tx *sql.Tx) error {
		_, err := d.EnsureOrganization(ctx, tx, audit.Organization{Slug: "acme"})
		return err
	},
}

// expectGORM tries every way to record in db, and EnsureOrganization.
func expectGORM(t *testing.T, db *gorm.DB, want error) {
	t.Helper()
	for name, record := range waysIn {
		if _, err := record(t.Context(), db); !errors.Is(err, want) {
			t.Errorf("%s returns %v, want %v", name, err, want)
		}
	}
	if _, err := audit.EnsureOrganization(t.Context(), db, audit.Organization{Slug: "acme"}); !errors.Is(err, want) {
		t.Errorf("EnsureOrganization returns %v, want %v", err, want)
	}
}

// expectSQL tries every way to record in a transaction of pool, each in one of its own.
func expectSQL(t *testing.T, d audit.Dialect, begin func() *sql.Tx, want error) {
	t.Helper()
	for name, record := range waysOverSQL {
		tx := begin()
		if err := record(t.Context(), d, tx); !errors.Is(err, want) {
			t.Errorf("%s.%s returns %v, want %v", d, name, err, want)
		}
		if tx != nil {
			_ = tx.Rollback()
		}
	}
}

// beginning begins transactions of db.
func beginning(t *testing.T, db *gorm.DB) func() *sql.Tx {
	t.Helper()
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	return func() *sql.Tx {
		tx, err := pool.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}
}

func dialectOf(t *testing.T, db *gorm.DB) audit.Dialect {
	t.Helper()
	dialect, err := audit.DialectOf(db)
	if err != nil {
		t.Fatal(err)
	}
	return dialect
}

func TestThereIsNoDatabaseBehindTheHandle(t *testing.T) {
	unconnected, _ := gorm.Open(tests.DummyDialector{}, &gorm.Config{})
	unconnected.Dialector = aDialect{unconnected.Dialector, "postgres"}
	for name, db := range map[string]*gorm.DB{"nil": nil, "zero": {}, "unconnected": unconnected} {
		t.Run(name, func(t *testing.T) { expectGORM(t, db, audit.ErrNoHandle) })
	}
	for _, d := range []audit.Dialect{audit.PostgreSQL, audit.SQLite} {
		expectSQL(t, d, func() *sql.Tx { return nil }, audit.ErrNoHandle)
		if _, err := d.NewBatcher(nil, audit.BatcherConfig{}); !errors.Is(err, audit.ErrNoHandle) {
			t.Errorf("%s.NewBatcher returns %v", d, err)
		}
		if err := migrate.SQL(t.Context(), nil, d); !errors.Is(err, audit.ErrNoHandle) {
			t.Errorf("migrate.SQL returns %v", err)
		}
	}
	if err := migrate.Up(t.Context(), nil); !errors.Is(err, audit.ErrNoHandle) {
		t.Errorf("migrate.Up returns %v", err)
	}
}

// aDialect is a dialect of GORM's under another name.
type aDialect struct {
	gorm.Dialector
	name string
}

func (d aDialect) Name() string { return d.name }

func TestTheDatabaseIsOfAnotherKind(t *testing.T) {
	sqlite := databasetest.SQLite(t).Write
	mysql := sqlite.Session(&gorm.Session{})
	mysql.Dialector = aDialect{mysql.Dialector, "mysql"}
	expectGORM(t, mysql, audit.ErrWrongDialect)
	if err := migrate.Up(t.Context(), mysql); !errors.Is(err, audit.ErrWrongDialect) {
		t.Errorf("migrate.Up returns %v", err)
	}
	begin := beginning(t, sqlite)
	for name, record := range waysOverSQL {
		tx := begin()
		want := audit.ErrWrongDialect
		if name == "EnsureOrganization" {
			want = nil // its statements are those of both
		}
		if err := record(t.Context(), audit.PostgreSQL, tx); !errors.Is(err, want) {
			t.Errorf("%s of PostgreSQL's in SQLite returns %v, want %v", name, err, want)
		}
		_ = tx.Rollback()
	}
	expectSQL(t, audit.Dialect{}, beginning(t, sqlite), audit.ErrWrongDialect)
	expectSQL(t, audit.SQLite, beginning(t, databasetest.Postgres(t).Write), audit.ErrWrongDialect)
}

func TestATransactionThatIsOverRecordsNothing(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		begin := beginning(t, db.Write)
		expectSQL(t, dialectOf(t, db.Write), func() *sql.Tx {
			tx := begin()
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			return tx
		}, audit.ErrHandleClosed)
		tx := db.Write.Begin()
		if err := tx.Rollback().Error; err != nil {
			t.Fatal(err)
		}
		if _, err := audit.Record(t.Context(), tx, anEvent()); !errors.Is(err, audit.ErrHandleClosed) {
			t.Errorf("Record returns %v", err)
		}
		db.Close()
		expectGORM(t, db.Write, audit.ErrHandleClosed)
		if _, err := audit.Record(t.Context(), db.Write.Begin(), anEvent()); !errors.Is(err, audit.ErrHandleFailed) {
			t.Errorf("in a transaction that could not begin Record returns %v", err)
		}
	})
}

func TestAnAbortedTransactionRecordsNothing(t *testing.T) {
	db := databasetest.Postgres(t).Write
	begin := beginning(t, db)
	expectSQL(t, audit.PostgreSQL, func() *sql.Tx {
		tx := begin()
		if _, err := tx.ExecContext(t.Context(), "SELECT 1/0"); err == nil {
			t.Fatal("1/0 is something")
		}
		return tx
	}, audit.ErrHandleFailed)
}

// Every version of the schema but the last: where something can be recorded in it, that is fine.
func TestTheTablesAreMissingOrTooOld(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + t.TempDir() + "/audit.db" },
		"postgres": func(t *testing.T) string { return databasetest.EmptyPostgresURL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			db := databasetest.Open(t, open(t)).Write
			expectGORM(t, db, audit.ErrNotMigrated)
			expectSQL(t, dialectOf(t, db), beginning(t, db), audit.ErrNotMigrated)
			pool, err := db.DB()
			if err != nil {
				t.Fatal(err)
			}
			folder, err := fs.Sub(migrations.Files, name)
			if err != nil {
				t.Fatal(err)
			}
			dialect := map[string]goose.Dialect{"sqlite": goose.DialectSQLite3, "postgres": goose.DialectPostgres}[name]
			provider, err := goose.NewProvider(dialect, pool, folder, goose.WithDisableGlobalRegistry(true))
			if err != nil {
				t.Fatal(err)
			}
			recorded := false
			for _, source := range provider.ListSources() {
				if _, err := provider.UpTo(t.Context(), source.Version); err != nil {
					t.Fatal(err)
				}
				if _, err := audit.EnsureOrganization(t.Context(), db, audit.Organization{Slug: "acme"}); err != nil && !errors.Is(err, audit.ErrNotMigrated) {
					t.Errorf("version %d: EnsureOrganization returns %v", source.Version, err)
				}
				for way, record := range waysIn {
					_, err := record(t.Context(), db)
					if recorded = err == nil; err != nil && !errors.Is(err, audit.ErrNotMigrated) {
						t.Errorf("version %d: %s returns %v", source.Version, way, err)
					}
				}
			}
			if !recorded {
				t.Error("nothing is recorded in the last version")
			}
		})
	}
}

func TestABatcherBlamesNoEventWhereThereAreNoTables(t *testing.T) {
	db := databasetest.Open(t, "sqlite:"+t.TempDir()+"/audit.db").Write
	batcher := newBatcher(t, db, audit.BatcherConfig{})
	if _, err := batcher.Record(t.Context(), anEvent()); !errors.Is(err, audit.ErrNotMigrated) {
		t.Errorf("Record returns %v", err)
	}
	if want := (audit.BatcherStats{Failed: 1}); batcher.Stats() != want {
		t.Errorf("counted %+v, want %+v", batcher.Stats(), want)
	}
}

func TestStrictContextsAskForATransaction(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		ctx := audit.Strict(t.Context())
		for name, record := range waysIn {
			if _, err := record(ctx, db.Write); name != "Batcher" && !errors.Is(err, audit.ErrNoTransaction) || name == "Batcher" && err != nil {
				t.Errorf("%s without a transaction returns %v", name, err)
			}
			err := db.Write.Transaction(func(tx *gorm.DB) error {
				_, err := record(ctx, tx)
				return err
			})
			if name != "Batcher" && err != nil {
				t.Errorf("%s in a transaction returns %v", name, err)
			}
		}
		begin, dialect := beginning(t, db.Write), dialectOf(t, db.Write)
		for name, record := range waysOverSQL {
			tx := begin()
			if err := record(ctx, dialect, tx); err != nil {
				t.Errorf("%s over database/sql returns %v", name, err)
			}
			_ = tx.Rollback()
		}
	})
}

func TestStrictContextsAskForRegisteredActions(t *testing.T) {
	db := databasetest.SQLite(t).Write
	ensure(t, db, audit.Organization{Slug: "acme"})
	batcher := newBatcher(t, db, audit.BatcherConfig{})
	remote, err := client.New(client.Config{URL: "https://audit.example.com", Key: "alk_test"})
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close(t.Context())
	ctx := audit.Strict(t.Context())
	misspelt := anEvent(func(e *audit.Event) { e.Action = "service:updaet" })
	refusals := map[string]error{"Validate": event.Validate(ctx, misspelt)}
	_, refusals["Batcher"] = batcher.Record(ctx, misspelt)
	_, refusals["Client"] = remote.Record(ctx, misspelt)
	err = db.Transaction(func(tx *gorm.DB) error {
		_, refusals["Record"] = audit.Record(ctx, tx, misspelt)
		_, refusals["RecordAll"] = audit.RecordAll(ctx, tx, []audit.Event{misspelt})
		_, err := audit.Record(t.Context(), tx, misspelt)
		return err
	})
	if err != nil {
		t.Errorf("without Strict: %v", err)
	}
	for name, err := range refusals {
		var refused *fault.Field
		if !errors.Is(err, audit.ErrUnregisteredAction) || !errors.As(err, &refused) || refused.Field != "action" {
			t.Errorf("%s returns %v", name, err)
		}
	}
	registered := action.Action("invoice:pay")
	action.Register(registered)
	for _, known := range []action.Action{action.ServiceUpdate, registered} {
		if err := event.Validate(ctx, anEvent(func(e *audit.Event) { e.Action = known })); err != nil {
			t.Errorf("%s: %v", known, err)
		}
	}
}
