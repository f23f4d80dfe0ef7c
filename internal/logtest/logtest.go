// Package logtest gives tests of the log a store whose clock stands still, organizations, and entries.
package logtest

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

// Now is the moment that the clock of Store shows.
var Now = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

// Store returns the store on db, at the moment Now.
func Store(t testing.TB, db *database.DB) *models.Store {
	t.Helper()
	store, err := db.Store(func() time.Time { return Now })
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// Organization makes an organization of that slug, which is its name in capitals.
func Organization(t testing.TB, store *models.Store, slug string) (org models.Organization) {
	t.Helper()
	err := store.Transaction(t.Context(), func(tx *gorm.DB) (err error) {
		org, err = models.CreateOrganization(t.Context(), models.HandleOf(tx), strings.ToUpper(slug), slug, "")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return org
}

// FindOrganization returns the organization of that slug, as it is now.
func FindOrganization(t testing.TB, store *models.Store, slug string) models.Organization {
	t.Helper()
	org, err := models.OrganizationByRef(t.Context(), store.Reader(t.Context()), models.OrganizationRef{Slug: slug})
	if err != nil {
		t.Fatal(err)
	}
	return org
}

// Insert stores entries in org, with what the caller left out made up, and returns them as stored.
func Insert(t testing.TB, store *models.Store, org models.Organization, entries ...models.Entry) []models.Entry {
	t.Helper()
	err := store.Transaction(t.Context(), func(tx *gorm.DB) error {
		for i := range entries {
			e := &entries[i]
			e.OrgID = org.ID
			e.OccurredAt = cmp.Or(e.OccurredAt, models.MicrosOf(store.Now()))
			e.RecordedAt = cmp.Or(e.RecordedAt, e.OccurredAt)
			e.Action = cmp.Or(e.Action, "service:update")
			e.EntityType = cmp.Or(e.EntityType, strings.Split(e.Action, ":")[0])
			e.EntityID = cmp.Or(e.EntityID, "svc-1")
			e.ActorID = cmp.Or(e.ActorID, "u1")
			e.ActorName = cmp.Or(e.ActorName, e.ActorID)
			e.ActorKey = models.Fold(e.ActorName)
			e.ID = models.NewEntryID(e.OccurredAt)
			result, err := models.InsertEntry(t.Context(), models.HandleOf(tx), models.NewEntry{Organization: models.OrganizationRef{Slug: org.Slug}, Entry: *e})
			if err != nil || result.Outcome != models.Inserted {
				return fmt.Errorf("outcome %d: %w", result.Outcome, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}
