package recordingtest

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

type replicated struct {
	Replicas int               `json:"replicas"`
	Labels   map[string]string `json:"labels,omitempty"`
	DSN      *string           `json:"dsn" audit:"secret"`
}

func TestRecordedChanges(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		dsn := "hunter2"
		changes := audit.Changes(replicated{Replicas: 2}, replicated{Replicas: 5, DSN: &dsn, Labels: map[string]string{"API_KEY": "hunter2"}})
		_, err := audit.Record(t.Context(), db.Write, anEvent(func(e *audit.Event) {
			e.Metadata = map[string]any{"changes": changes, "changed_fields": slices.Sorted(maps.Keys(changes))}
		}))
		if err != nil {
			t.Fatal(err)
		}
		if want := `{"changed_fields":["dsn","labels.API_KEY","replicas"],"changes":{` +
			`"dsn":{"after":"[masked]","before":null},"labels.API_KEY":{"after":"[masked]"},"replicas":{"after":5,"before":2}}}`; entries(t, db.Write)[0].Metadata != want {
			t.Errorf("stored %s", entries(t, db.Write)[0].Metadata)
		}
	})
}

func TestAnActorWithoutANameIsCalledByWhatFits(t *testing.T) {
	for name, tc := range map[string]struct {
		actor audit.Actor
		want  string
	}{
		"e-mail":      {audit.Actor{ID: "u1", Email: "anna@example.com"}, "anna@example.com"},
		"ID":          {audit.Actor{ID: "u1"}, "u1"},
		"blank":       {audit.Actor{ID: "u1", Name: " \t", Email: "\n"}, "u1"},
		"just fits":   {audit.Actor{ID: strings.Repeat("x", 200)}, strings.Repeat("x", 200)},
		"long ID":     {audit.Actor{ID: strings.Repeat("ü", 256)}, strings.Repeat("ü", 98) + "…"},
		"long e-mail": {audit.Actor{ID: "u1", Email: strings.Repeat("x", 308) + "@example.com"}, strings.Repeat("x", 197) + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			databasetest.Each(t, func(t *testing.T, db *database.DB) {
				ensure(t, db.Write, audit.Organization{Slug: "acme"})
				if _, err := audit.Record(t.Context(), db.Write, anEvent(func(e *audit.Event) { e.Actor = tc.actor })); err != nil {
					t.Fatal(err)
				}
				e := entries(t, db.Write)[0]
				if e.ActorName != tc.want || e.ActorID != tc.actor.ID || len(e.ActorName) > 200 || e.ActorKey != models.Fold(tc.want) {
					t.Errorf("is stored as %q", e.ActorName)
				}
			})
		})
	}
}

func TestMaskedMetadataIsWhatTheTableHolds(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		changes := map[string]audit.Change{"api_key": {Before: nil, After: "hunter2"}}
		rotated := anEvent(func(e *audit.Event) { e.Metadata = map[string]any{"changes": changes} })
		if _, err := audit.Record(t.Context(), db.Write, rotated); err != nil {
			t.Fatal(err)
		}
		if _, err := audit.RecordAll(t.Context(), db.Write, []audit.Event{rotated}); err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries(t, db.Write) {
			if want := `{"changes":{"api_key":{"after":"[masked]","before":null}}}`; entry.Metadata != want {
				t.Errorf("stored %s, want %s", entry.Metadata, want)
			}
		}
		if changes["api_key"].After != "hunter2" {
			t.Error("the caller's own metadata was changed")
		}
	})
}
