package benchdata_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/benchdata"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

var spec = benchdata.Spec{Rows: 3000, Seed: 7, Until: time.Now().Add(-time.Minute)}

// What Fill writes is what recording the same events does: every column, the entities and the actors.
func TestFillWritesWhatRecordWould(t *testing.T) {
	tables := map[string]string{
		"audit_entries":  "org_id, occurred_at, action, entity_type, entity_id, entity_name, actor_id, actor_key, actor_name, actor_email, source, ip, user_agent, request_id, api_key_id, api_key_name, url, metadata",
		"audit_entities": "org_id, month, entity_type, entity_id, id_key, name_key",
		"audit_actors":   "org_id, month, actor_id, actor_key, actor_name, actor_email, search_key",
	}
	databasetest.Each(t, func(t *testing.T, filled *database.DB) {
		before, progress := indexes(t, filled), 0
		if err := benchdata.Fill(t.Context(), filled, spec, func(done int) { progress = done }); err != nil {
			t.Fatal(err)
		}
		if progress != spec.Rows {
			t.Errorf("progress ends at %d", progress)
		}
		if after := indexes(t, filled); !slices.Equal(after, before) {
			t.Errorf("the indexes are %v, were %v", after, before)
		}
		recorded := databasetest.SQLite(t)
		for n := range benchdata.SmallOrganizations + 1 { // in the order of their IDs
			slug := benchdata.Large
			if n > 0 {
				slug = benchdata.Small(n - 1)
			}
			if _, err := audit.EnsureOrganization(t.Context(), recorded.Write, audit.Organization{Slug: slug}); err != nil {
				t.Fatal(err)
			}
		}
		events := map[models.OriginalAPIKey][]audit.Event{}
		for n := range spec.Rows {
			events[spec.APIKey(n)] = append(events[spec.APIKey(n)], spec.Event(n))
		}
		for key, events := range events {
			ctx := t.Context()
			if key.ID != "" {
				ctx = models.WithAPIKey(ctx, key.ID, key.Name)
			}
			if _, err := audit.RecordAll(ctx, recorded.Write, events); err != nil {
				t.Fatal(err)
			}
		}
		for table, columns := range tables {
			got, want := rows(t, filled, table, columns), rows(t, recorded, table, columns)
			if len(got) != len(want) || len(want) == 0 {
				t.Fatalf("%s: %d rows, recording gives %d", table, len(got), len(want))
			}
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("%s: filled   %s\nrecorded %s", table, got[i], want[i])
				}
			}
		}
		want := answers(t, recorded)
		for question, got := range answers(t, filled) {
			if !slices.Equal(got, want[question]) {
				t.Errorf("%s: %d entries are found, recorded %d", question, len(got), len(want[question]))
			}
		}
	})
}

// rows are in the order of their columns, by code point.
func rows(t *testing.T, db *database.DB, table, columns string) (all []string) {
	t.Helper()
	found, err := db.Write.Raw("SELECT " + columns + " FROM " + table).Rows()
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	names, err := found.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for found.Next() {
		values := make([]any, len(names))
		for i := range values {
			values[i] = new(string)
		}
		if err := found.Scan(values...); err != nil {
			t.Fatal(err)
		}
		line := ""
		for _, v := range values {
			line += fmt.Sprintf("%q ", *v.(*string))
		}
		all = append(all, line)
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// answers are what the log finds for some questions, a line an entry.
func answers(t *testing.T, db *database.DB) map[string][]string {
	t.Helper()
	store, err := db.Store(nil)
	if err != nil {
		t.Fatal(err)
	}
	org, err := models.OrganizationByRef(t.Context(), db.Write, models.OrganizationRef{Slug: benchdata.Large})
	if err != nil {
		t.Fatal(err)
	}
	some := spec.Event(spec.Rows / 2)
	found := map[string][]string{}
	for name, q := range map[string]entries.Query{
		"newest":          {},
		"by user":         {Sort: entries.SortUser, Ascending: true},
		"by action":       {Sort: entries.SortAction},
		"one actor":       {Actors: []string{"usr_0000"}, Actions: []string{"deployment:create"}},
		"a word":          {Search: "größe"},
		"an ID":           {Search: some.EntityID},
		"one resource":    {EntityType: some.Action.Entity(), EntityID: some.EntityID},
		"nobody's search": {Search: "nothing like it"},
		"a source":        {Source: "github-webhook"},
		"an API key":      {APIKey: "key_common", Sort: entries.SortAction},
	} {
		q.Limit = 100
		page, err := entries.NewLog(store).Page(t.Context(), org, q)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, e := range page.Entries {
			found[name] = append(found[name], fmt.Sprint(e.OccurredAt, e.Action, e.EntityID, e.ActorName))
		}
	}
	return found
}

func indexes(t *testing.T, db *database.DB) (names []string) {
	t.Helper()
	question := "SELECT name FROM sqlite_master WHERE type = 'index' ORDER BY name"
	if db.Write.Name() == "postgres" {
		question = "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() ORDER BY indexname"
	}
	if err := db.Write.Raw(question).Scan(&names).Error; err != nil {
		t.Fatal(err)
	}
	return names
}
