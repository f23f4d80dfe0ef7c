package jobs

import (
	"errors"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/handlers/settings"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

// lower asks for a retention that is in force a day later.
func (f *fixture) lower(slug string, days int) {
	f.t.Helper()
	org := f.reload(slug)
	ctx := audit.WithActor(f.t.Context(), audit.Actor{ID: "usr_1", Name: "Ada"})
	f.transaction(func(tx *gorm.DB) error {
		_, _, err := settings.Change(ctx, tx, org.ID, models.AuditSettings{RetentionDays: days, LoggingEnabled: true}, day, f.now)
		return err
	})
}

func TestRetentionDeletesNothingDuringTheGrace(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		org := f.organization("acme")
		f.record("acme", 60*day, 5)
		f.record("acme", 5*day, 2)
		f.lower("acme", 30)
		f.now = f.now.Add(day - time.Second)
		f.mustRun()
		f.wantEntries(org, 8) // with that of lowering it
		f.now = f.now.Add(time.Second)
		f.mustRun()
		f.mustRun()
		f.wantEntries(org, 4) // without five, with that of its effect
		if org := f.reload("acme"); org.RetentionDays != 30 || org.PendingFrom != 0 || org.ExpiredBefore != models.MicrosOf(f.now.Add(-30*day)) {
			t.Errorf("the organization is %+v", org)
		}
		if n := f.rows("audit_settings_changes", org); n != 2 {
			t.Errorf("the settings history has %d lines, want 2", n)
		}
	})
}

func TestRetentionSettlesWhatIsLongDue(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		org := f.organization("acme")
		f.record("acme", 0, 3)
		f.lower("acme", 1)
		f.now = f.now.Add(40 * day) // no server ran
		f.mustRun()
		f.wantEntries(org, 1) // that it took effect, recorded now: the moment itself has expired
		if org := f.reload("acme"); org.RetentionDays != 1 || org.PendingFrom != 0 {
			t.Errorf("the organization is %+v", org)
		}
		if last := f.status(org).Last; last.Error != "" || last.Deleted != 4 {
			t.Errorf("the clean-up is kept as %+v", last)
		}
	})
}

func TestRetentionWaitsForAnUndo(t *testing.T) {
	db := databasetest.Postgres(t) // SQLite has one writer at a time
	f := newFixture(t, db)
	org := f.organization("acme")
	f.record("acme", 60*day, 5)
	f.lower("acme", 30)
	end := f.now.Add(day)

	undo := f.store.Writer(t.Context()).Begin()
	defer undo.Rollback()
	ctx := audit.WithActor(t.Context(), audit.Actor{ID: "usr_2", Name: "Grace"})
	if _, _, err := settings.Undo(ctx, undo, org.ID, end.Add(-time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	f.now = end
	ran := make(chan error, 1)
	go func() { ran <- f.run() }()
	locks := "pg_locks WHERE NOT granted"
	if databasetest.OnCitus() {
		locks = "citus_lock_waits"
	}
	for waiting := 0; waiting == 0; {
		err := f.store.Reader(t.Context()).Raw("SELECT count(*) FROM " + locks).Scan(&waiting).Error
		select {
		case early := <-ran:
			err = errors.Join(errors.New("the clean-up did not wait"), early)
		default:
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := undo.Commit().Error; err != nil {
		t.Fatal(err)
	}
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	f.wantEntries(org, 7)
	if org := f.reload("acme"); org.RetentionDays != 90 || org.PendingFrom != 0 {
		t.Errorf("the organization is %+v", org)
	}
}

func TestAnEffectThatCannotBeRecordedIsShown(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		org := f.organization("acme")
		f.record("acme", 60*day, 5)
		f.lower("acme", 30)
		f.now = f.now.Add(day)
		refuse := func(on bool) {
			statement := "ALTER TABLE audit_settings_changes RENAME COLUMN pending_from TO gone"
			if !on {
				statement = "ALTER TABLE audit_settings_changes RENAME COLUMN gone TO pending_from"
			}
			if err := f.store.Writer(t.Context()).Exec(statement).Error; err != nil {
				t.Fatal(err)
			}
		}
		refuse(true)
		if err := f.run(); err == nil {
			t.Error("the run succeeds")
		}
		f.wantEntries(org, 6)
		if last := f.status(org).Last; last.Error == "" {
			t.Errorf("the clean-up is kept as %+v", last)
		}
		refuse(false)
		f.mustRun()
		f.wantEntries(org, 2)
	})
}
