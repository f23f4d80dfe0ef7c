package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/handlers/settings"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accesslog"
	"github.com/auditlogs/auditlogs/models/accounts"
)

func TestRetentionDeletesExactlyTheExpired(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		short, long, closed := f.organization("short"), f.organization("long"), f.organization("closed")
		for _, slug := range []string{"short", "long", "closed"} {
			f.record(slug, 100*day, 7)
			f.record(slug, 90*day, 1) // at the very boundary: kept
			f.record(slug, 31*day, 8)
			f.record(slug, 0, 2)
		}
		f.retain("short", 30)
		f.close("closed")

		f.mustRun()

		f.wantEntries(short, 2)
		f.wantEntries(long, 11)
		f.wantEntries(closed, 11)
		status := f.status(short)
		if status.Last.Deleted != 16 || status.Last.Error != "" || status.Last.SucceededAt != models.MicrosOf(f.now) {
			t.Errorf("the clean-up is kept as %+v, want 16 deleted at %s", status.Last, f.now)
		}
		if status.Job.NextRunAt != models.MicrosOf(f.now.Add(5*time.Minute)) || status.Overdue {
			t.Errorf("the next run is kept as %+v, want 5 minutes later", status.Job)
		}

		f.now = f.now.Add(time.Second)
		f.mustRun()
		f.wantEntries(long, 10) // the one at the boundary has expired
		if last := f.status(long).Last; last.Deleted != 1 {
			t.Errorf("the second clean-up deleted %d entries, want 1", last.Deleted)
		}
	})
}

func TestRetentionDeletesWhatWasRecordedLateBelowTheMark(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		org := f.organization("acme")
		f.record("acme", 100*day, 5)
		f.mustRun()
		f.record("acme", 200*day, 4)
		f.record("acme", 95*day, 4)
		f.mustRun()
		f.wantEntries(org, 0)
		if last := f.status(org).Last; last.Deleted != 8 {
			t.Errorf("the clean-up deleted %d entries, want 8", last.Deleted)
		}
	})
}

func TestRetentionKeepsWhatRaisingKeeps(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		org := f.organization("acme")
		f.record("acme", 60*day, 5)
		f.record("acme", 20*day, 5)
		f.retain("acme", 30)
		f.retain("acme", 365)
		f.mustRun()
		f.wantEntries(org, 5) // the lowered retention let five expire, and they stay expired
		f.now = f.now.Add(300 * day)
		f.mustRun()
		f.wantEntries(org, 5)
		f.now = f.now.Add(46 * day)
		f.mustRun()
		f.wantEntries(org, 0)
	})
}

func TestRetentionDeletesWholeMonthsOfWhatSearchLooksThrough(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		org := f.organization("acme")
		f.record("acme", 150*day, 10) // 16 October: its month has expired
		f.record("acme", 92*day, 10)  // 13 December: expired, its month has not
		f.record("acme", day, 10)
		f.mustRun()
		f.wantEntries(org, 10)
		if got := f.rows("audit_entities", org); got != 20 {
			t.Errorf("%d entities are left, want those of December and March: 20", got)
		}
		if got := f.rows("audit_actors", org); got != 2 {
			t.Errorf("%d actors are left, want those of December and March: 2", got)
		}
	})
}

func TestRetentionGoesOnAfterAFailingOrganization(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		stuck, fine := f.organization("stuck"), f.organization("fine")
		f.record("stuck", 100*day, 5)
		f.record("fine", 100*day, 5)
		f.refuseDeletes(stuck)

		if err := f.run(); err == nil {
			t.Fatal("the run succeeded, want an error")
		}
		f.wantEntries(stuck, 5)
		f.wantEntries(fine, 0)
		status := f.status(stuck)
		if status.Last.Error == "" || status.Last.SucceededAt != 0 || status.Last.Unfinished() {
			t.Errorf("the failure is kept as %+v, want an error", status.Last)
		}
		if strings.Contains(status.Last.Error, "disk on fire") {
			t.Errorf("people are told what the database said: %s", status.Last.Error)
		}
		if !strings.Contains(f.log.String(), "disk on fire") {
			t.Errorf("the log does not tell why: %s", f.log.String())
		}
		if f.status(fine).Last.Error != "" {
			t.Errorf("the other organization has the error %q", f.status(fine).Last.Error)
		}
		if !strings.Contains(status.Job.Error, "1 of 2 organizations") {
			t.Errorf("the job's error is %q, want that 1 of 2 organizations failed", status.Job.Error)
		}
		if soon := models.MicrosOf(f.now.Add(time.Minute)); status.Job.NextRunAt != soon {
			t.Errorf("the next run is at %v, want %v: a minute later", status.Job.NextRunAt.Time(), soon.Time())
		}

		f.allowDeletes()
		f.mustRun()
		f.wantEntries(stuck, 0)
		if last := f.status(stuck).Last; last.Error != "" || last.Deleted != 5 {
			t.Errorf("after the next run the clean-up is kept as %+v", last)
		}
		if job := f.status(stuck).Job; job.Error != "" {
			t.Errorf("the job's error is %q after a run that succeeded", job.Error)
		}
	})
}

func TestRetentionSurvivesAPanic(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		broken, fine := f.organization("broken"), f.organization("fine")
		f.record("broken", 100*day, 5)
		f.record("fine", 100*day, 5)
		panicked := false
		f.beforeDeleting(func() {
			if !panicked {
				panicked = true
				panic("out of luck")
			}
		})
		if err := f.run(); !errors.Is(err, organizationsFailed{1, 2}) {
			t.Fatalf("the run ends with %v, want one organization failed", err)
		}
		f.wantEntries(fine, 0)
		if last := f.status(broken).Last; !strings.Contains(last.Error, "mistake in the program") {
			t.Errorf("the panic is kept as %q", last.Error)
		}
	})
}

func TestRetentionResumesWhereItWasCutOff(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		org := f.organization("acme")
		f.record("acme", 100*day, 10)
		f.record("acme", day, 2)

		// The server stops as the third batch begins.
		ctx, stop := context.WithCancel(t.Context())
		batches := 0
		f.beforeDeleting(func() {
			if batches++; batches == 3 {
				stop()
			}
		})
		job := f.job()
		f.lead(job)
		started := f.now
		if err := job.runOnce(ctx); err == nil {
			t.Fatal("the run was not cut off")
		}
		job.leader.release()
		deleted := 12 - f.rows("audit_entries", org)
		if db.Write.Name() == "sqlite" && deleted != 6 || deleted < 4 || deleted > 9 {
			t.Errorf("two batches deleted %d, want 3 each; on PostgreSQL about 3", deleted)
		}
		last := f.status(org).Last
		if !last.Unfinished() || last.Deleted != deleted || last.Error != "" || last.CleanedTo.IsZero() {
			t.Errorf("the cut-off run is kept as %+v, want %d deleted so far", last, deleted)
		}

		f.now = f.now.Add(time.Minute)
		f.mustRun()
		f.wantEntries(org, 2)
		last = f.status(org).Last
		if last.Deleted != 10 || last.StartedAt != models.MicrosOf(started) || last.Unfinished() {
			t.Errorf("the resumed run is kept as %+v, want 10 deleted since %s", last, started)
		}
	})
}

func TestRetentionLeavesNothingOfAnOrganizationThatIsGone(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		org := f.organization("acme")
		f.record("acme", 10*day, 10)
		f.retain("acme", 30)
		f.transaction(func(tx *gorm.DB) error {
			_, err := audit.Record(t.Context(), tx, audit.Event{Organization: "acme", Action: action.ServiceUpdate, NativeAction: "svc.Update",
				EntityID: "svc-1", Related: []audit.Resource{{Type: "subnet", ID: "sn-1"}}, OccurredAt: f.now.Add(-10 * day),
				Actor: audit.Actor{Type: audit.ActorAgent, ID: "bot", OnBehalfOf: &audit.Principal{ID: "usr_1"}}})
			return err
		})
		if f.rows("audit_related", org) != 1 || f.rows("audit_on_behalf_of", org) != 1 || f.rows("audit_native_actions", org) != 1 {
			t.Fatal("nothing of an entry is stored beside it")
		}
		f.transaction(func(tx *gorm.DB) error {
			_, err := models.SetResourceLink(t.Context(), tx, org.ID, "service", "https://example.com/{id}")
			if err == nil {
				err = tx.Create(&accounts.Membership{OrgID: org.ID, UserID: "usr_1", Role: accounts.RoleAdmin}).Error
			}
			return err
		})
		f.close("acme")

		f.now = f.now.Add(29 * day)
		f.mustRun()
		f.wantEntries(org, 0)
		if n := f.rows("audit_related", org) + f.rows("audit_on_behalf_of", org); n != 0 {
			t.Errorf("%d parts of entries are left", n)
		}
		if f.rows("audit_memberships", org) != 1 {
			t.Error("its admin cannot read on, though it is not gone yet")
		}
		f.now = f.now.Add(2 * day)
		f.mustRun()
		if f.rows("audit_entities", org)+f.rows("audit_actors", org)+f.rows("audit_native_actions", org) != 0 || f.rows("audit_memberships", org) != 1 {
			t.Error("after its last entry expired more is left than who may read its settings history, or less")
		}
		f.now = f.now.Add(365 * day)
		f.mustRun()
		for _, table := range []string{"audit_entries", "audit_entities", "audit_actors", "audit_resource_links", "audit_memberships"} {
			if n := f.rows(table, org); n != 0 {
				t.Errorf("%s has %d rows left", table, n)
			}
		}
		if f.rows("audit_settings_changes", org) != 1 {
			t.Error("its settings history is gone")
		}
		f.reload("acme") // its slug is still taken
	})
}

func TestTheAccessLogIsDeletedByItsOwnRetention(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		acme, gone := f.organization("acme"), f.organization("gone")
		f.retain("acme", 1)
		start := f.now
		log := accesslog.New(f.store, newLog(f))
		for i := range 20 { // the first ten have expired
			f.now = start.AddDate(0, 0, -410+i)
			for _, org := range []models.Organization{acme, gone} {
				log.Note(org.ID, accesslog.Reader{ID: "usr_1", Name: "Ada"}, accesslog.KindView, "/", "")
			}
		}
		f.now = start
		if err := log.Write(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.close("gone")
		f.mustRun()
		for _, org := range []models.Organization{acme, gone} {
			if n := f.rows("audit_access_log", org); n != 10 {
				t.Errorf("%d rows of %s are left, want 10", n, org.Slug)
			}
		}
	})
}

func TestRetentionDeletesExpiredAccess(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		for i := range 10 {
			expires := models.MicrosOf(f.now.Add(time.Duration(i-4) * time.Hour)) // five have expired
			hash := fmt.Sprint("hash-", i)
			for _, insert := range []string{
				`INSERT INTO audit_sessions (data, token_hash, created_at, seen_at, expires_at) VALUES ('', ?, 0, 0, ?)`,
				`INSERT INTO audit_invitations (org_id, token_hash, role, invited_by, created_at, expires_at) VALUES (1, ?, 'member', '', 0, ?)`,
				`INSERT INTO audit_password_resets (user_id, token_hash, created_at, expires_at) VALUES ('', ?, 0, ?)`,
			} {
				if err := f.store.Writer(t.Context()).Exec(insert, []byte(hash), expires).Error; err != nil {
					t.Fatal(err)
				}
			}
		}
		f.mustRun()
		for _, table := range []string{"audit_sessions", "audit_invitations", "audit_password_resets"} {
			var n int64
			if err := f.store.Writer(t.Context()).Table(table).Count(&n).Error; err != nil || n != 5 {
				t.Errorf("%s has %d rows left, want 5 (%v)", table, n, err)
			}
		}
	})
}

func TestRetentionForgetsExpiredKeys(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		org := f.organization("acme")
		f.transaction(func(tx *gorm.DB) error {
			for i := range 8 { // batches of three
				lasts := day
				if i == 7 {
					lasts = 2 * day
				}
				key := accounts.IdempotencyKey{OrgID: org.ID, Hash: [32]byte{byte(i)}}
				if _, err := accounts.ClaimIdempotencyKey(t.Context(), tx, key, lasts); err != nil {
					return err
				}
				_, err := audit.Record(t.Context(), tx, audit.Event{
					ID: fmt.Sprint(i), Organization: "acme", Action: action.ServiceUpdate, EntityID: "svc-1", Actor: audit.System("test"),
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
		f.mustRun()
		if events, requests := f.rows("audit_event_keys", org), f.rows("audit_idempotency_keys", org); events != 8 || requests != 8 {
			t.Errorf("%d keys of events and %d of requests are left before their time", events, requests)
		}
		f.now = f.now.Add(day)
		f.mustRun()
		if events, requests := f.rows("audit_event_keys", org), f.rows("audit_idempotency_keys", org); events != 0 || requests != 1 {
			t.Errorf("%d keys of events and %d of requests are left, want 0 and 1", events, requests)
		}
	})
}

func TestRetentionThatDoesNotRunIsNoticed(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		org := f.organization("acme")
		if f.status(org).Overdue {
			t.Error("where no job is known it is overdue")
		}
		f.job().announce(t.Context())
		if f.now = f.now.Add(90 * time.Second); f.status(org).Overdue {
			t.Error("a job is not given the time to begin")
		}
		f.now = f.now.Add(time.Second)
		if !f.status(org).Overdue {
			t.Error("a job that never ran is not noticed")
		}
		f.mustRun()
		if f.status(org).Overdue {
			t.Error("it is overdue right after a run")
		}
		f.now = f.now.Add(6*time.Minute + 31*time.Second)
		if !f.status(org).Overdue {
			t.Error("a job that stopped is not noticed")
		}
	})
}

func TestRetentionRunsAtStartAndStopsClean(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		org := f.organization("acme")
		f.record("acme", 100*day, 5)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		// The last thing a run does is to keep the state of the job.
		err := db.Write.Callback().Create().After("gorm:create").Register("done", func(tx *gorm.DB) {
			if job, ok := tx.Statement.Model.(*models.Job); ok && job.FinishedAt != 0 {
				stop()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		f.job().Run(ctx) // returns only when all has ended
		f.wantEntries(org, 0)
	})
}

func TestRetentionConfigIsChecked(t *testing.T) {
	f := newFixture(t, databasetest.SQLite(t))
	for _, config := range []RetentionConfig{
		{Interval: -time.Minute},
		{Interval: time.Millisecond},
		{BatchSize: -1},
		{BatchTimeout: -1},
		{BatchTime: -1},
		{BatchTime: time.Second, BatchTimeout: time.Millisecond},
		{LeaderCheck: -1},
		{Interval: time.Minute, LeaderCheck: time.Hour},
	} {
		if _, err := NewRetention(f.store, settings.Settle, slog.New(slog.DiscardHandler), config); err == nil {
			t.Errorf("%+v is accepted", config)
		}
	}
}
