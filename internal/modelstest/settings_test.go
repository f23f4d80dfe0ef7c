package modelstest

import (
	"slices"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
)

// settingsClock is a store and an organization, under a clock that the test moves.
type settingsClock struct {
	t     *testing.T
	store *models.Store
	orgID int64
	now   time.Time
}

func newSettingsClock(t *testing.T, db *database.DB) *settingsClock {
	t.Helper()
	c := &settingsClock{t: t, now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	var err error
	if c.store, err = db.Store(func() time.Time { return c.now }); err != nil {
		t.Fatal(err)
	}
	err = c.store.Transaction(t.Context(), func(tx *gorm.DB) error {
		org, err := models.CreateOrganization(t.Context(), models.HandleOf(tx), "Acme", "acme", "")
		c.orgID = org.ID
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *settingsClock) day(n int) models.Micros {
	return models.MicrosOf(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n))
}

func (c *settingsClock) set(day, retention int, on bool) (before, after models.Organization) {
	c.t.Helper()
	c.now = c.day(day).Time()
	err := c.store.Transaction(c.t.Context(), func(tx *gorm.DB) (err error) {
		before, after, err = models.ChangeAuditSettings(c.t.Context(), tx, c.orgID, models.Actor{ID: "usr_1", Name: "Ada"},
			models.AuditSettings{RetentionDays: retention, LoggingEnabled: on}, 0, c.now)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return before, after
}

func (c *settingsClock) org() models.Organization {
	c.t.Helper()
	return logtest.FindOrganization(c.t, c.store, "acme")
}

func (c *settingsClock) wantGaps(want ...models.Gap) {
	c.t.Helper()
	gaps, err := c.store.LoggingGaps(c.t.Context(), c.org())
	if err != nil || !slices.Equal(gaps, want) {
		c.t.Errorf("on %s the gaps are %v, want %v (%v)", c.now.Format(time.DateOnly), gaps, want, err)
	}
}

func TestLoggingGapsAreThoseThatReachIntoWhatIsKept(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := newSettingsClock(t, db)
		c.wantGaps()
		c.set(1, 30, true) // a change of retention alone is no gap
		c.set(10, 30, false)
		c.wantGaps(models.Gap{From: c.day(10)})
		c.set(15, 30, true)
		c.set(20, 30, false)
		c.set(20, 30, true) // in the same microsecond: the order of the changes stays
		c.set(25, 20, false)

		instant := models.Gap{From: c.day(20), To: c.day(20) + 1}
		// On day 25 entries since day 5 are kept; those from before day −5 stayed expired.
		c.wantGaps(models.Gap{From: c.day(10), To: c.day(15)}, instant, models.Gap{From: c.day(25)})
		if off, err := c.store.OffSince(t.Context(), c.org()); err != nil || off != c.day(25) {
			t.Errorf("off since %v, want %v (%v)", off, c.day(25), err)
		}
		c.now = c.day(32).Time() // kept since day 12: in the middle of the first gap
		c.wantGaps(models.Gap{From: c.day(10), To: c.day(15)}, instant, models.Gap{From: c.day(25)})
		c.now = c.day(37).Time() // kept since day 17
		c.wantGaps(instant, models.Gap{From: c.day(25)})
		c.now = c.day(300).Time()
		c.wantGaps(models.Gap{From: c.day(25)})
		c.set(300, 20, true)
		if off, err := c.store.OffSince(t.Context(), c.org()); err != nil || off != 0 {
			t.Errorf("off since %v while logging is on (%v)", off, err)
		}
		c.now = c.day(321).Time()
		c.wantGaps()
	})
}

func TestWhatExpiredStaysExpired(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := newSettingsClock(t, db)
		c.set(100, 10, true)
		if kept := c.org().KeptSince(c.now); kept != c.day(90) {
			t.Errorf("lowered, entries since %s are kept, want day 90", kept.Time())
		}
		c.set(101, 365, true)
		if kept := c.org().KeptSince(c.now); kept != c.day(91) {
			t.Errorf("raised, entries since %s are kept, want day 91", kept.Time())
		}
		before, after := c.set(102, 365, true)
		if before != after || after.ExpiredBefore != c.day(91) {
			t.Errorf("saving the same changes %+v to %+v", before, after)
		}
		history, err := c.store.SettingsHistory(t.Context(), c.org(), 10)
		if err != nil || len(history) != 2 || history[0].NewRetentionDays != 365 || history[0].OldRetentionDays != 10 {
			t.Errorf("the history is %+v (%v)", history, err)
		}
	})
}

func TestTheSettingsHistoryCannotBeChanged(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := newSettingsClock(t, db)
		c.set(1, 30, false)
		statements := []string{
			"UPDATE audit_settings_changes SET actor_name = 'nobody'",
			"DELETE FROM audit_settings_changes",
		}
		if c.store.Dialect() == "postgres" {
			statements = append(statements, "TRUNCATE audit_settings_changes")
		}
		for _, statement := range statements {
			if err := c.store.Writer(t.Context()).Exec(statement).Error; err == nil {
				t.Errorf("%s is not refused", statement)
			}
		}
		if history, err := c.store.SettingsHistory(t.Context(), c.org(), 10); err != nil || len(history) != 1 || history[0].ActorName != "Ada" {
			t.Errorf("the history is %+v (%v)", history, err)
		}
	})
}

func TestAuditSettingsRefuseWhatIsOutOfBounds(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		c := newSettingsClock(t, db)
		for _, days := range []int{-1, 0, 366} {
			err := c.store.Transaction(t.Context(), func(tx *gorm.DB) error {
				_, _, err := models.ChangeAuditSettings(t.Context(), tx, c.orgID, models.Actor{ID: "usr_1"},
					models.AuditSettings{RetentionDays: days}, 0, c.now)
				return err
			})
			if err == nil {
				t.Errorf("%d days are accepted", days)
			}
		}
	})
}

func TestSQLiteGivesSpaceBackInSteps(t *testing.T) {
	db := databasetest.SQLite(t)
	c := newSettingsClock(t, db)
	pages := func() (n int) {
		t.Helper()
		if err := db.Write.Raw("PRAGMA page_count").Scan(&n).Error; err != nil {
			t.Fatal(err)
		}
		return n
	}
	err := db.Write.Exec("CREATE TABLE filler (content blob)").Error
	if err == nil {
		err = db.Write.Exec("INSERT INTO filler WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT zeroblob(4000) FROM n").Error
	}
	if err == nil {
		err = db.Write.Exec("DELETE FROM filler").Error
	}
	if err != nil {
		t.Fatal(err)
	}
	full := pages()
	for step := 1; ; step++ {
		before := pages()
		more, err := c.store.GiveBackSpace(t.Context(), 100)
		if err != nil {
			t.Fatal(err)
		}
		if freed := before - pages(); freed > 100+1 {
			t.Fatalf("one step gave back %d pages", freed)
		}
		if !more {
			break
		}
		if step > 100 {
			t.Fatal("it never ends")
		}
	}
	if left := pages(); full < 2000 || left > full-1500 {
		t.Errorf("of %d pages %d are left", full, left)
	}
}
