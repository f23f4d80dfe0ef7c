package modelstest

import (
	"fmt"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
)

func TestACleanupThatCannotBeginKeepsWhatIsKnown(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := logtest.Store(t, db)
		org := logtest.Organization(t, store, "acme")
		at := models.MicrosOf(logtest.Now.Add(-time.Hour))
		before := models.Cleanup{OrgID: org.ID, StartedAt: at, FinishedAt: at + 1, Deleted: 7, SucceededAt: at + 1, CleanedTo: models.FirstEntryID(at)}
		if err := store.SaveCleanup(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		if err := store.SaveCleanupFailure(t.Context(), org.ID, logtest.Now, "The database did not answer."); err != nil {
			t.Fatal(err)
		}
		want := before
		want.StartedAt, want.FinishedAt, want.Error = models.MicrosOf(logtest.Now), models.MicrosOf(logtest.Now), "The database did not answer."
		if status, err := store.CleanupStatus(t.Context(), org); err != nil || status.Last != want {
			t.Errorf("kept %+v, %v; want %+v", status.Last, err, want)
		}
	})
}

// insertEverySecond inserts n entries that occurred a second apart, about svc-0, svc-1 and so on.
func insertEverySecond(t *testing.T, store *models.Store, org models.Organization, n int) []models.Entry {
	t.Helper()
	entries := make([]models.Entry, n)
	for i := range entries {
		occurred := models.MicrosOf(logtest.Now.Add(time.Duration(i) * time.Second))
		entries[i] = models.Entry{Action: "service:update", EntityID: fmt.Sprint("svc-", i), OccurredAt: occurred}
	}
	logtest.Insert(t, store, org, entries...)
	return entries
}

// On PostgreSQL a batch is several transactions, of which those before an error stay.
func TestABatchThatFailedGoesOnWhereItWas(t *testing.T) {
	db := databasetest.Postgres(t)
	store := logtest.Store(t, db)
	org := logtest.Organization(t, store, "acme")
	entries := insertEverySecond(t, store, org, 5000)
	exec := func(sql string) {
		t.Helper()
		if err := db.Write.Exec(sql).Error; err != nil {
			t.Fatal(err)
		}
	}
	kept := func() (cleanup models.Cleanup) {
		t.Helper()
		if err := db.Read.Take(&cleanup, "org_id = ?", org.ID).Error; err != nil {
			t.Fatal(err)
		}
		return cleanup
	}
	before := models.FirstEntryID(entries[4500].OccurredAt)
	expired := store.ExpiredEntries(models.Cleanup{OrgID: org.ID}, models.EntryID{}, before)

	exec(`CREATE TRIGGER refuse BEFORE DELETE ON audit_entries FOR EACH ROW WHEN (OLD.entity_id = 'svc-2500')
		EXECUTE FUNCTION audit_refuse_change()`)
	if _, err := expired.DeleteBatch(t.Context(), 4000); err == nil {
		t.Fatal("the batch does not fail")
	}
	got := kept()
	var left int64
	if err := db.Read.Model(&models.Entry{}).Where("org_id = ?", org.ID).Count(&left).Error; err != nil {
		t.Fatal(err)
	}
	if got.Deleted < 1500 || got.Deleted > 2500 || got.Deleted+left != 5000 || got.CleanedTo.Occurred().After(entries[2500].OccurredAt.Time()) {
		t.Errorf("after the error %d are deleted, up to %s, and %d left; want about 2,000 deleted", got.Deleted, got.CleanedTo.Occurred(), left)
	}

	exec("DROP TRIGGER refuse ON audit_entries")
	for more := true; more; {
		var err error
		if more, err = expired.DeleteBatch(t.Context(), 4000); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.SaveCleanup(t.Context(), expired.Cleanup()); err != nil {
		t.Fatal(err)
	}
	if got := kept(); got.Deleted != 4500 || got.CleanedTo != before {
		t.Errorf("in the end %d are deleted, up to %s; want 4,500 up to %s", got.Deleted, got.CleanedTo, before)
	}
}

func TestABatchDeletesAboutAsManyAsItShould(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := logtest.Store(t, db)
		org := logtest.Organization(t, store, "acme")
		// One every ten minutes, but for ten days without any, and two hundred at once.
		var entries []models.Entry
		occurred := logtest.Now.AddDate(0, 0, -30)
		for i := range 1000 {
			switch {
			case i == 300:
				occurred = occurred.AddDate(0, 0, 10)
			case i < 500 || i > 700:
				occurred = occurred.Add(10 * time.Minute)
			}
			entries = append(entries, models.Entry{Action: "service:update", EntityID: fmt.Sprint("svc-", i), OccurredAt: models.MicrosOf(occurred)})
		}
		logtest.Insert(t, store, org, entries...)
		before := models.FirstEntryID(entries[900].OccurredAt)
		left := func(where string) (n int64) {
			t.Helper()
			if err := db.Read.Model(&models.Entry{}).Where("org_id = ? AND "+where, org.ID, before).Count(&n).Error; err != nil {
				t.Fatal(err)
			}
			return n
		}

		expired := store.ExpiredEntries(models.Cleanup{OrgID: org.ID}, models.EntryID{}, before)
		batches, thick, deleted := 0, 0, int64(0)
		for more := true; more; batches++ {
			var err error
			if more, err = expired.DeleteBatch(t.Context(), 50); err != nil {
				t.Fatal(err)
			}
			progress := expired.Cleanup()
			n := progress.Deleted - deleted
			deleted = progress.Deleted
			switch {
			case db.Write.Name() == "postgres" && n > 80 && n < 200+80:
				thick++ // the two hundred are one statement, however few it expects
			case n > 80 || n > 50 && db.Write.Name() == "sqlite" || n < 25 && more:
				t.Errorf("batch %d deleted %d, want about 50", batches, n)
			}
			if deleted+left("id < ?") != 900 {
				t.Errorf("batch %d: %d deleted, %d expired are left", batches, deleted, left("id < ?"))
			}
			var behind int64
			if err := db.Read.Model(&models.Entry{}).Where("org_id = ? AND id <= ?", org.ID, progress.CleanedTo).Count(&behind).Error; err != nil || behind != 0 {
				t.Errorf("batch %d: %d entries are left up to %s, %v", batches, behind, progress.CleanedTo, err)
			}
			var kept models.Cleanup
			if err := db.Read.Take(&kept, "org_id = ?", org.ID).Error; err != nil ||
				n > 0 && kept != asRow(progress) {
				t.Errorf("batch %d: kept %+v, %v; want %+v", batches, kept, err, progress)
			}
		}
		if expired, kept := left("id < ?"), left("id >= ?"); expired != 0 || kept != 100 {
			t.Errorf("%d expired entries are left, and %d others; want 0 and 100", expired, kept)
		}
		if batches < 8 || batches > 25 || thick > 1 {
			t.Errorf("%d batches for 900 entries, %d of them for the two hundred", batches, thick)
		}
		if to := expired.Cleanup().CleanedTo; to != before {
			t.Errorf("cleaned to %s, want %s", to, before)
		}
	})
}

// asRow is a clean-up with what its row holds, and nothing else.
func asRow(c models.Cleanup) models.Cleanup {
	return models.Cleanup{
		OrgID: c.OrgID, StartedAt: c.StartedAt, FinishedAt: c.FinishedAt, Deleted: c.Deleted,
		SucceededAt: c.SucceededAt, Error: c.Error, CleanedTo: c.CleanedTo,
	}
}
