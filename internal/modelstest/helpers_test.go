package modelstest

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/models"
)

// now is the moment all tests of the log play at.
var now = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

func newStore(t *testing.T, db *database.DB) *models.Store {
	t.Helper()
	store, err := db.Store(func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func newOrganization(t *testing.T, store *models.Store, slug string) models.Organization {
	t.Helper()
	var org models.Organization
	err := store.Transaction(t.Context(), func(tx *gorm.DB) (err error) {
		org, err = models.CreateOrganization(t.Context(), tx, strings.ToUpper(slug), slug, "")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return org
}

// insert stores entries in org, with what the caller left out made up.
func insert(t *testing.T, store *models.Store, org models.Organization, stored ...models.Entry) []models.Entry {
	t.Helper()
	err := store.Transaction(t.Context(), func(tx *gorm.DB) error {
		for i := range stored {
			e := &stored[i]
			e.OrgID = org.ID
			e.OccurredAt = cmp.Or(e.OccurredAt, models.MicrosOf(now))
			e.RecordedAt = cmp.Or(e.RecordedAt, e.OccurredAt)
			e.Action = cmp.Or(e.Action, "service:update")
			e.EntityType = cmp.Or(e.EntityType, strings.Split(e.Action, ":")[0])
			e.EntityID = cmp.Or(e.EntityID, "svc-1")
			e.ActorID = cmp.Or(e.ActorID, "u1")
			e.ActorName = cmp.Or(e.ActorName, e.ActorID)
			e.ActorKey = models.Fold(e.ActorName)
			e.ID = models.NewEntryID(e.OccurredAt)
			result, err := models.InsertEntry(t.Context(), tx, models.NewEntry{Organization: models.OrganizationRef{Slug: org.Slug}, Entry: *e})
			if err != nil || result.Outcome != models.Inserted {
				return fmt.Errorf("outcome %d: %w", result.Outcome, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return stored
}
