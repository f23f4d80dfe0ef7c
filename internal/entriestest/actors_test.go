package entriestest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/actors"
	"github.com/auditlogs/auditlogs/models/entries"
)

func ids(actors []models.Actor) []string {
	var list []string
	for _, actor := range actors {
		list = append(list, actor.ID)
	}
	return list
}

func TestActors(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := newStore(t, db)
		org := logtest.Organization(t, store.Store, "acme")
		at := func(days int) models.Micros { return models.MicrosOf(now.AddDate(0, 0, -days)) }
		logtest.Insert(t, store.Store, org,
			models.Entry{ActorID: "u1", ActorName: "Old Name", ActorEmail: "one@example.com", OccurredAt: at(80)},
			models.Entry{ActorID: "u2", ActorName: "Émile", ActorEmail: "two@example.com", OccurredAt: at(50)},
			models.Entry{ActorID: "u1", ActorName: "New Name", ActorEmail: "one@example.com", OccurredAt: at(3)},
			models.Entry{ActorID: "system", ActorName: "system", OccurredAt: at(2)},
			models.Entry{ActorID: "gone", ActorName: "Long Gone", OccurredAt: at(200)},
			models.Entry{ActorID: "just", ActorName: "Just Gone", OccurredAt: at(90) - 1})
		ctx := t.Context()

		latest, _, err := actors.Latest(ctx, store.Store, org, 20)
		if err != nil || !slices.Equal(ids(latest), []string{"system", "u1", "u2"}) || latest[1].Name != "New Name" {
			t.Errorf("latest: %v, %v", latest, err)
		}
		for text, want := range map[string][]string{
			"NAME": {"u1"}, "émi": {"u2"}, "EXAMPLE.COM": {"u1", "u2"}, "u2": {"u2"}, "%": nil, "gone": nil,
		} {
			found, _, err := actors.Find(ctx, store.Store, org, text, 10)
			if err != nil || !slices.Equal(ids(found), want) {
				t.Errorf("find %q: %v, %v; want %v", text, found, err, want)
			}
		}
		known, err := actors.ByID(ctx, store.Store, org, []string{"u2", "nobody", "just", "u1"})
		if err != nil || !slices.Equal(ids(known), []string{"u2", "u1"}) || known[1].Name != "New Name" {
			t.Errorf("by ID: %v, %v", known, err)
		}
	})
}

// Actors are told apart by their type, and those are found as well who only had others act for them.
func TestActorsHaveTheirType(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := newStore(t, db)
		org := logtest.Organization(t, store.Store, "acme")
		for i, actor := range []audit.Actor{
			{ID: "ada", Name: "Ada Lovelace"},
			{Type: audit.ActorService, ID: "ci", Name: "CI"},
			{Type: audit.ActorAgent, ID: "bot", Name: "Deploy bot", OnBehalfOf: &audit.Principal{ID: "grace", Name: "Grace", Email: "g@example.com"}},
			{Type: audit.ActorAgent, ID: "bot", Name: "Deploy bot", OnBehalfOf: &audit.Principal{ID: "grace", Name: "Grace Hopper", Email: "g@example.com"}},
			{Type: audit.ActorAgent, ID: "bot", Name: "Deploy bot", OnBehalfOf: &audit.Principal{Type: audit.ActorService, ID: "ci", Name: "CI"}},
			audit.System("cron"), audit.Anonymous(),
		} {
			event := audit.Event{Organization: "acme", Action: "service:update", EntityID: "svc-1", Actor: actor, OccurredAt: now.Add(time.Duration(i-100) * time.Minute)}
			if _, err := audit.Record(t.Context(), store.Writer(t.Context()), event); err != nil {
				t.Fatal(err)
			}
		}
		said := func(actors []models.Actor) (all []string) {
			for _, a := range actors {
				all = append(all, string(a.Type)+" "+a.ID+" "+a.Name)
			}
			return all
		}
		latest, more, err := actors.Latest(t.Context(), store.Store, org, 20)
		want := []string{"anonymous anonymous anonymous", " system system", "agent bot Deploy bot", "service ci CI", " ada Ada Lovelace", " grace Grace Hopper"}
		if err != nil || more || !slices.Equal(said(latest), want) {
			t.Errorf("latest: %q, %t, %v", said(latest), more, err)
		}
		for text, want := range map[string][]string{"grace": {" grace Grace Hopper"}, "G@EXAMPLE": {" grace Grace Hopper"}, "ci": {"service ci CI"}, "bot": {"agent bot Deploy bot"}} {
			found, _, err := actors.Find(t.Context(), store.Store, org, text, 10)
			if err != nil || !slices.Equal(said(found), want) {
				t.Errorf("find %q: %q, %v; want %q", text, said(found), err, want)
			}
		}
	})
}

func TestKindsAreThoseThatCanBeSeen(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := newStore(t, db)
		org := logtest.Organization(t, store.Store, "acme")
		if kinds, err := store.Kinds(t.Context(), org); err != nil || len(kinds) != 0 {
			t.Errorf("empty log: %v, %v", kinds, err)
		}
		logtest.Insert(t, store.Store, org,
			models.Entry{Action: "service:update"}, models.Entry{Action: "service:create"},
			models.Entry{Action: "service:update", EntityType: "api"}, models.Entry{Action: "b:c"},
			models.Entry{Action: "old:gone", OccurredAt: models.MicrosOf(now.AddDate(0, 0, -91))})
		want := []entries.Kind{{EntityType: "api", Action: "service:update"}, {EntityType: "b", Action: "b:c"}, {EntityType: "service", Action: "service:create"}, {EntityType: "service", Action: "service:update"}}
		if kinds, err := store.Kinds(t.Context(), org); err != nil || !slices.Equal(kinds, want) {
			t.Errorf("kinds: %v, %v; want %v", kinds, err, want)
		}
	})
}

func TestCountBefore(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := newStore(t, db)
		org := logtest.Organization(t, store.Store, "acme")
		for days := range 100 {
			logtest.Insert(t, store.Store, org, models.Entry{OccurredAt: models.MicrosOf(now.AddDate(0, 0, -days).Add(-time.Minute))})
		}
		for atMost, want := range map[int]int{1000: 60, 10: 10} {
			count, err := store.CountBefore(t.Context(), org, models.MicrosOf(now.AddDate(0, 0, -30)), atMost)
			if err != nil || count != want {
				t.Errorf("at most %d: %d, %v; want %d", atMost, count, err, want)
			}
		}
	})
}

func TestEntryIDsSortAsTimeDoes(t *testing.T) {
	var before models.EntryID
	for i := range 5000 {
		at := models.MicrosOf(now) + models.Micros(i/3)
		id := models.NewEntryID(at)
		first, next := models.FirstEntryID(at), models.FirstEntryID(at+1)
		if id.String() <= before.String() || id.String() < first.String() || id.String() >= next.String() {
			t.Fatalf("ID %s out of order: %s is before it, its moment runs from %s to %s", id, before, first, next)
		}
		if models.MicrosOf(id.Occurred()) != at {
			t.Fatalf("ID %s carries %s, want %s", id, id.Occurred(), at.Time())
		}
		parsed, err := models.ParseEntryID(id.String())
		if err != nil || parsed != id {
			t.Fatalf("%s parses to %s, %v", id, parsed, err)
		}
		before = id
	}
	for _, malformed := range []string{"", "x", "019ec0a3-7b80-7000-8dc8-4b5f6547ede", "{019ec0a3-7b80-7000-8dc8-4b5f6547ede6}", fmt.Sprint(1)} {
		if id, err := models.ParseEntryID(malformed); err == nil {
			t.Errorf("%q parses to %s", malformed, id)
		}
	}
}
