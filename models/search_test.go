package models_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/app/database/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

func TestASearchThatFindsManyResourcesInALogOfManyKinds(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := newStore(t, db)
		org := newOrganization(t, store, "acme")
		var entries []models.Entry
		for i := range 450 {
			entries = append(entries, models.Entry{
				Action:   fmt.Sprintf("type%d:verb%d", i%30, i%120),
				EntityID: fmt.Sprintf("gateway-%03d", i),
				ActorID:  fmt.Sprintf("u%d", i%3),
			})
		}
		insert(t, store, org, entries...)
		for _, sort := range []models.Sort{models.SortTimestamp, models.SortAction, models.SortUser} {
			q := models.EntryQuery{Search: "gateway", Actors: []string{"u0", "u1"}, Sort: sort, Limit: 1000}
			page, err := store.Entries(t.Context(), org, q)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Entries) != 300 {
				t.Errorf("sorted by %s: %d entries, want 300", sort, len(page.Entries))
			}
		}
	})
}

func TestASearchOfMoreWordsThanAnybodyTypes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := newStore(t, db)
		org := newOrganization(t, store, "acme")
		insert(t, store, org,
			models.Entry{Action: "service:update", EntityID: "gateway"},
			models.Entry{Action: "service:delete", EntityID: "gateway"},
			models.Entry{Action: "service:update", EntityID: "database"})
		for search, want := range map[string]int{
			strings.Repeat("gateway ", 70) + "update":            1, // the last word is found in the action only
			strings.Repeat("service ", 70) + "update":            2,
			strings.Repeat("service ", 70) + "gateway":           2,
			strings.Repeat("service ", 70) + "gateway elsewhere": 0,
		} {
			page, err := store.Entries(t.Context(), org, models.EntryQuery{Search: search, Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Entries) != want {
				t.Errorf("%.20s… and so on finds %d entries, want %d", search, len(page.Entries), want)
			}
		}
	})
}
