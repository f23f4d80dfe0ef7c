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
		var entries []models.Entry
		for i := range 250 {
			entries = append(entries, models.Entry{Action: "service:update", EntityID: fmt.Sprint("svc-", i)})
		}
		insert(t, store, org, entries...)
		end := models.FirstEntryID(models.MicrosOf(now.AddDate(1, 0, 0)))

		rests := 0
		batch := models.CleanupBatch{Limit: 100, Share: 30, Rest: func(_ context.Context, took time.Duration) {
			if rests++; took <= 0 {
				t.Errorf("a share took %s", took)
			}
		}}
		progress, upTo := models.Cleanup{OrgID: org.ID}, models.EntryID{}
		for i, want := range []struct {
			deleted int64
			rests   int
		}{{100, 3}, {200, 6}, {250, 7}} { // of 30, 30, 30 and 10; at last of 30 and 20
			var err error
			if progress, upTo, err = store.DeleteEntriesBetween(t.Context(), progress, upTo, end, batch); err != nil {
				t.Fatal(err)
			}
			var left int64
			if err := db.Read.Model(&models.Entry{}).Where("org_id = ?", org.ID).Count(&left).Error; err != nil {
				t.Fatal(err)
			}
			if progress.Deleted != want.deleted || left != 250-want.deleted || rests != want.rests {
				t.Errorf("batch %d: %d deleted, %d left, %d rests; want %d, %d, %d", i, progress.Deleted, left, rests, want.deleted, 250-want.deleted, want.rests)
			}
			if progress.CleanedTo != upTo || (upTo == end) != (left == 0) {
				t.Errorf("batch %d: gone up to %s, noted %s", i, upTo, progress.CleanedTo)
			}
		}
	})
}
