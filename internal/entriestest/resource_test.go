package entriestest

import (
	"slices"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/history"
)

func TestNamesAResourceHad(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := newStore(t, db)
		org, other := logtest.Organization(t, store.Store, "acme"), logtest.Organization(t, store.Store, "other")
		ago := func(d time.Duration) models.Micros { return models.MicrosOf(now.Add(-d)) }
		logtest.Insert(t, store.Store, org,
			models.Entry{EntityName: "expired", OccurredAt: ago(91 * 24 * time.Hour)},
			models.Entry{EntityName: "first", OccurredAt: ago(72 * time.Hour)},
			models.Entry{EntityName: "second", OccurredAt: ago(48 * time.Hour)},
			models.Entry{EntityName: "first", OccurredAt: ago(24 * time.Hour)},
			models.Entry{EntityName: "third", OccurredAt: ago(time.Hour)},
			models.Entry{EntityName: "", OccurredAt: ago(time.Minute)},
			models.Entry{ActorID: "bot-1", ActorName: "Fixer", ActorType: event.ActorAgent, OccurredAt: ago(2 * time.Hour)},
			models.Entry{EntityName: "another ID", EntityID: "svc-2"},
			models.Entry{EntityName: "another type", EntityType: "project"},
		)
		logtest.Insert(t, store.Store, other, models.Entry{EntityName: "foreign"})

		resource, err := history.LatelyOf(t.Context(), store, org, history.Subject{EntityType: "service", EntityID: "svc-1"})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := resource.Names, []string{"third", "first", "second"}; !slices.Equal(got, want) {
			t.Errorf("names are %q, want %q", got, want)
		}
		if agent := (models.Actor{ID: "bot-1", Name: "Fixer", Type: event.ActorAgent}); !slices.Contains(resource.Actors, agent) {
			t.Errorf("actors are %+v, want %+v among them", resource.Actors, agent)
		}
	})
}
