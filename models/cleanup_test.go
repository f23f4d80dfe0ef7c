package models_test

import (
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
