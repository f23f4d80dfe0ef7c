package models_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/app/database/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

func TestACleanupThatCannotBeginKeepsWhatIsKnown(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := newStore(t, db)
		org := newOrganization(t, store, "acme")
		at := models.MicrosOf(now.Add(-time.Hour))
		before := models.Cleanup{OrgID: org.ID, StartedAt: at, FinishedAt: at + 1, Deleted: 7, SucceededAt: at + 1, CleanedTo: models.FirstEntryID(at)}
		if err := store.SaveCleanup(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		if err := store.SaveCleanupFailure(t.Context(), org.ID, now, "The database did not answer."); err != nil {
			t.Fatal(err)
		}
		want := before
		want.StartedAt, want.FinishedAt, want.Error = models.MicrosOf(now), models.MicrosOf(now), "The database did not answer."
		if status, err := store.CleanupStatus(t.Context(), org); err != nil || status.Last != want {
			t.Errorf("kept %+v, %v; want %+v", status.Last, err, want)
		}
	})
}

func TestABatchDeletesInSharesAndRestsBetweenThem(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := newStore(t, db)
		org := newOrganization(t, store, "acme")
		// One every ten minutes, but for ten days without any, and two hundred at once.
		var entries []models.Entry
		occurred := now.AddDate(0, 0, -30)
		for i := range 1000 {
			switch {
			case i == 300:
				occurred = occurred.AddDate(0, 0, 10)
			case i < 500 || i > 700:
				occurred = occurred.Add(10 * time.Minute)
			}
			entries = append(entries, models.Entry{Action: "service:update", EntityID: fmt.Sprint("svc-", i), OccurredAt: models.MicrosOf(occurred)})
		}
		insert(t, store, org, entries...)
		expired := models.FirstEntryID(entries[900].OccurredAt)
		left := func(where string) (n int64) {
			t.Helper()
			if err := db.Read.Model(&models.Entry{}).Where("org_id = ? AND "+where, org.ID, expired).Count(&n).Error; err != nil {
				t.Fatal(err)
			}
			return n
		}

		shares := 0
		batch := models.CleanupBatch{Limit: 100, Share: 20, Rest: func(_ context.Context, took time.Duration) {
			if shares++; took <= 0 {
				t.Errorf("a share took %s", took)
			}
		}}
		progress, upTo := models.Cleanup{OrgID: org.ID}, models.EntryID{}
		for batches := 0; upTo != expired; batches++ {
			before := progress
			var err error
			if progress, upTo, err = store.DeleteEntriesBetween(t.Context(), progress, upTo, expired, batch); err != nil {
				t.Fatal(err)
			}
			shares++
			// A share may be four times as long as the one before; the two hundred are one.
			if n := progress.Deleted - before.Deleted; n > 100+80 && (n < 200 || n > 200+100+80) || batches > 9 {
				t.Errorf("batch %d deleted %d, want about 100", batches, n)
			}
			if progress.CleanedTo != upTo || progress.Deleted+left("id < ?") != 900 {
				t.Errorf("batch %d: %d deleted, %d expired are left; gone up to %s, noted %s", batches, progress.Deleted, left("id < ?"), upTo, progress.CleanedTo)
			}
		}
		if expired, kept := left("id < ?"), left("id >= ?"); expired != 0 || kept != 100 {
			t.Errorf("%d expired entries are left, and %d others; want 0 and 100", expired, kept)
		}
		if shares < 900/80 {
			t.Errorf("%d shares for 900 entries", shares)
		}
	})
}
