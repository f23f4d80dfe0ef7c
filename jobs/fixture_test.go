package jobs

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/handlers/settings"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

const day = 24 * time.Hour

// fixture is a database, a clock that stands still until moved, and a job on both.
type fixture struct {
	t     testing.TB
	db    *database.DB
	store *models.Store
	now   time.Time
	log   logged
}

// logged is what jobs have logged.
type logged struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (l *logged) Write(line []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(line)
}

func (l *logged) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.String()
}

func newFixture(t testing.TB, db *database.DB) *fixture {
	t.Helper()
	f := &fixture{t: t, db: db, now: time.Date(2026, 3, 15, 12, 0, 0, 0, time.UTC)}
	var err error
	if f.store, err = db.Store(func() time.Time { return f.now }); err != nil {
		t.Fatal(err)
	}
	return f
}

// job makes a job that deletes a few rows a batch.
func (f *fixture) job() *Retention {
	f.t.Helper()
	job, err := NewRetention(f.store, settings.Settle, newLog(f), RetentionConfig{BatchSize: 3})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(job.leader.release)
	return job
}

// beforeDeleting calls fn before each statement that deletes entries.
func (f *fixture) beforeDeleting(fn func()) {
	f.t.Helper()
	callbacks := f.db.Write.Callback()
	var err error
	if f.store.Dialect() == "sqlite" {
		err = callbacks.Delete().Before("gorm:delete").Register("fixture:delete", func(*gorm.DB) { fn() })
	} else {
		err = callbacks.Row().Before("gorm:row").Register("fixture:delete", func(tx *gorm.DB) {
			if strings.Contains(tx.Statement.SQL.String(), "audit_delete_in_steps") {
				fn()
			}
		})
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// newLog writes what a job logs into the fixture.
func newLog(f *fixture) *slog.Logger { return slog.New(slog.NewTextHandler(&f.log, nil)) }

// run runs a job once, as the leader.
func (f *fixture) run() error {
	f.t.Helper()
	job := f.job()
	f.lead(job)
	defer job.leader.release()
	return job.runOnce(f.t.Context())
}

func (f *fixture) mustRun() {
	f.t.Helper()
	if err := f.run(); err != nil {
		f.t.Fatalf("run: %v", err)
	}
}

func (f *fixture) lead(job *Retention) {
	f.t.Helper()
	if leads, err := job.leader.lead(f.t.Context()); err != nil || !leads {
		f.t.Fatalf("lead: %v, %v", leads, err)
	}
}

func (f *fixture) transaction(do func(tx *gorm.DB) error) {
	f.t.Helper()
	if err := f.store.Transaction(f.t.Context(), do); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) organization(slug string) models.Organization {
	f.t.Helper()
	f.transaction(func(tx *gorm.DB) error {
		_, err := audit.EnsureOrganization(f.t.Context(), tx, audit.Organization{Slug: slug})
		return err
	})
	return f.reload(slug)
}

func (f *fixture) reload(slug string) models.Organization {
	f.t.Helper()
	return logtest.FindOrganization(f.t, f.store, slug)
}

// record stores n entries that occurred age ago, a second apart, each with an entity of its own. They were
// recorded then: what has expired is not.
func (f *fixture) record(slug string, age time.Duration, n int) {
	f.t.Helper()
	f.transaction(func(tx *gorm.DB) error {
		for i := range n {
			occurred := f.now.Add(-age).Add(time.Duration(i) * time.Second)
			receipt, err := audit.Record(f.t.Context(), models.WithClock(tx, func() time.Time { return occurred }), audit.Event{
				Organization: slug,
				Action:       action.ServiceUpdate,
				EntityID:     fmt.Sprintf("%s-%d", age, i),
				Actor:        audit.Actor{ID: "usr_1", Name: "Ada"},
				OccurredAt:   occurred,
			})
			if err == nil && !receipt.Stored {
				err = errors.New("not stored")
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *fixture) retain(slug string, days int) {
	f.t.Helper()
	org := f.reload(slug)
	f.transaction(func(tx *gorm.DB) error {
		_, _, err := models.ChangeAuditSettings(f.t.Context(), tx, org.ID, models.Actor{ID: "usr_1", Name: "Ada"},
			models.AuditSettings{RetentionDays: days, LoggingEnabled: true}, 0, f.now)
		return err
	})
}

func (f *fixture) close(slug string) {
	f.t.Helper()
	org := f.reload(slug)
	f.transaction(func(tx *gorm.DB) error { return accounts.CloseOrganization(f.t.Context(), tx, org.ID, f.now) })
}

// rows counts the rows an organization has in a table.
func (f *fixture) rows(table string, org models.Organization) int64 {
	f.t.Helper()
	var n int64
	if err := f.store.Writer(f.t.Context()).Table(table).Where("org_id = ?", org.ID).Count(&n).Error; err != nil {
		f.t.Fatal(err)
	}
	return n
}

func (f *fixture) wantEntries(org models.Organization, want int64) {
	f.t.Helper()
	if got := f.rows("audit_entries", org); got != want {
		f.t.Errorf("%s has %d entries, want %d", org.Slug, got, want)
	}
}

func (f *fixture) status(org models.Organization) models.CleanupStatus {
	f.t.Helper()
	status, err := f.store.CleanupStatus(f.t.Context(), org)
	if err != nil {
		f.t.Fatal(err)
	}
	return status
}

// refuseDeletes makes the database fail when an entry of org is deleted.
func (f *fixture) refuseDeletes(org models.Organization) {
	f.t.Helper()
	statements := []string{fmt.Sprintf(`CREATE TRIGGER stuck BEFORE DELETE ON audit_entries WHEN old.org_id = %d
		BEGIN SELECT RAISE(ABORT, 'disk on fire'); END`, org.ID)}
	if f.store.Dialect() == "postgres" {
		statements = []string{
			`CREATE FUNCTION stuck() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'disk on fire'; END $$`,
			fmt.Sprintf(`CREATE TRIGGER stuck BEFORE DELETE ON audit_entries FOR EACH ROW WHEN (old.org_id = %d)
				EXECUTE FUNCTION stuck()`, org.ID),
		}
	}
	for _, statement := range statements {
		if err := f.store.Writer(f.t.Context()).Exec(statement).Error; err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *fixture) allowDeletes() {
	f.t.Helper()
	statement := "DROP TRIGGER stuck"
	if f.store.Dialect() == "postgres" {
		statement = "DROP TRIGGER stuck ON audit_entries"
	}
	if err := f.store.Writer(f.t.Context()).Exec(statement).Error; err != nil {
		f.t.Fatal(err)
	}
}
