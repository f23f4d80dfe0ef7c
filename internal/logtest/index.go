package logtest

import (
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/following"
	"github.com/auditlogs/auditlogs/models/metadata"
)

// Index hands the index of metadata entries that it has not read yet, at most so many: size of them at a time, as the
// follower does.
func Index(t testing.TB, store *models.Store, size, most int) {
	t.Helper()
	log := following.New(store)
	place, err := log.Join(t.Context(), metadata.ConsumerName, "")
	if err != nil {
		t.Fatal(err)
	}
	for most > 0 {
		batch, err := log.Read(t.Context(), place, following.Needs{Metadata: true}, min(size, most))
		if err != nil {
			t.Fatal(err)
		}
		if len(batch.Entries) == 0 {
			return
		}
		add, err := metadata.Prepare(t.Context(), store, batch.Entries)
		if err != nil {
			t.Fatal(err)
		}
		err = store.Transaction(t.Context(), func(tx *gorm.DB) error {
			if _, err := following.Advance(tx, metadata.ConsumerName, place, batch.Next); err != nil {
				return err
			}
			return add(tx)
		})
		if err != nil {
			t.Fatal(err)
		}
		place = batch.Next
		most -= len(batch.Entries)
	}
}
