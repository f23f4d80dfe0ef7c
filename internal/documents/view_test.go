package documents

import (
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// reported reads the first column of a query as text, one row a line.
func reported(t *testing.T, db *database.DB, query string, args ...any) string {
	t.Helper()
	var values []sql.NullString
	if err := db.Read.Raw(query, args...).Scan(&values).Error; err != nil {
		t.Fatal(err)
	}
	lines := make([]string, len(values))
	for i, value := range values {
		if lines[i] = value.String; !value.Valid {
			lines[i] = "NULL"
		}
	}
	return strings.Join(lines, "\n")
}

func record(t *testing.T, db *database.DB, events ...audit.Event) []string {
	t.Helper()
	ids := make([]string, len(events))
	for i, event := range events {
		receipt, err := audit.Record(t.Context(), db.Write, event)
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = receipt.EntryID
	}
	return ids
}

func organization(t *testing.T, db *database.DB, slug string) {
	t.Helper()
	if _, err := audit.EnsureOrganization(t.Context(), db.Write, audit.Organization{Slug: slug, ExternalID: "tenant-" + slug, Name: strings.ToUpper(slug)}); err != nil {
		t.Fatal(err)
	}
}

func TestTheViewShowsAnEntryInUsualTypes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		organization(t, db, "acme")
		occurred := time.Now().Add(-time.Hour).Truncate(time.Microsecond)
		ids := record(t, db, audit.Event{Organization: "acme", Action: action.ServiceUpdate, EntityID: "svc-42", Actor: audit.Actor{ID: "u-7", Name: "Ada"},
			OccurredAt: occurred, Metadata: map[string]any{"changes": map[string]audit.Change{"replicas": {Before: 2, After: 4}}}})
		text := func(expression string) string { return "CAST(" + expression + " AS text)" }
		instant, replicas, automated := "occurred_at", "metadata -> '$.changes.replicas.after'", "0"
		if db.Write.Name() == "postgres" {
			instant = `to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
			replicas, automated = "metadata #> '{changes,replicas,after}'", "false"
		}
		for expression, want := range map[string]string{
			"organization": "acme", "organization_external_id": "tenant-acme", "organization_name": "ACME",
			"id": ids[0], instant: occurred.UTC().Format("2006-01-02T15:04:05.000000Z"),
			"action": "service:update", "entity_type": "service", "entity_id": "svc-42", "entity_name": "NULL",
			"actor_id": "u-7", "actor_name": "Ada", "actor_email": "NULL", "automated": automated, "source": "NULL",
			replicas: "4", "metadata_text": `{"changes":{"replicas":{"after":4,"before":2}}}`, "origin": "NULL", "original": "NULL",
		} {
			if got := reported(t, db, "SELECT "+text(expression)+" FROM audit_log"); got != want {
				t.Errorf("%s is %q, want %q", expression, got, want)
			}
		}
	})
}

func TestTheViewShowsWhatFewEntriesSay(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		organization(t, db, "acme")
		plain := audit.Event{Organization: "acme", Action: action.ServiceUpdate, EntityID: "plain", Actor: audit.System("test")}
		full := audit.Event{Organization: "acme", Action: action.ServiceUpdate, NativeAction: "svc.Update", EntityID: "full",
			Related: []audit.Resource{{Type: "subnet", ID: "sn-1", Name: "internal", Role: "network"}, {Type: "image", ID: "im-1"}},
			Outcome: audit.OutcomeDenied, Reason: "no permission", Metadata: map[string]any{"password": "x"},
			Actor: audit.Actor{Type: audit.ActorAgent, ID: "bot", OnBehalfOf: &audit.Principal{ID: "u-7", Name: "Ada", Session: "s-1"}}}
		record(t, db, plain, full)
		path := func(column, sqlite, postgres string) string {
			if db.Write.Name() == "postgres" {
				return column + " #>> '" + postgres + "'"
			}
			return column + " ->> '" + sqlite + "'"
		}
		for expression, want := range map[string]string{
			"outcome": "success\ndenied", "reason": "NULL\nno permission", "native_action": "NULL\nsvc.Update", "actor_type": "system\nagent",
			"masked": "0\n1", "on_behalf_of": "", "related": "",
			path("on_behalf_of", "$.name", "{name}"): "NULL\nAda", path("on_behalf_of", "$.type", "{type}"): "NULL\nuser",
			path("on_behalf_of", "$.session", "{session}"): "NULL\ns-1", path("on_behalf_of", "$.email", "{email}"): "NULL\nNULL",
			path("related", "$[0].role", "{0,role}"): "NULL\nnetwork", path("related", "$[1].id", "{1,id}"): "NULL\nim-1",
			path("related", "$[1].name", "{1,name}"): "NULL\nNULL", path("related", "$[2].id", "{2,id}"): "NULL\nNULL",
		} {
			got := reported(t, db, "SELECT CAST("+expression+" AS text) FROM audit_log ORDER BY entity_id DESC")
			if want == "" && strings.HasPrefix(got, "NULL\n") {
				continue
			}
			if got != want {
				t.Errorf("%s is %q, want %q", expression, got, want)
			}
		}
	})
}

// What has expired is gone from the view at once, by whichever of the three bounds, before any clean-up.
func TestTheViewHidesWhatHasExpired(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		organization(t, db, "acme")
		organization(t, db, "beta")
		day := 24 * time.Hour
		for _, slug := range []string{"acme", "beta"} {
			for _, age := range []time.Duration{time.Hour, 5 * day, 20 * day} {
				record(t, db, audit.Event{Organization: slug, Action: action.ServiceUpdate, EntityID: fmt.Sprint(int(age / day)), Actor: audit.System("test"), OccurredAt: time.Now().Add(-age)})
			}
		}
		at := func(ago time.Duration) int64 { return time.Now().Add(-ago).UnixMicro() }
		for _, step := range []struct {
			change string
			args   []any
			want   string
		}{
			{"retention_days = 90", nil, "0 5 20"},
			{"retention_days = 10", nil, "0 5"},
			{"retention_days = 90, expired_before = ?", []any{at(2 * day)}, "0"},
			{"expired_before = 0, pending_retention_days = 10, pending_from = ?", []any{at(-day)}, "0 5 20"},
			{"pending_from = ?", []any{at(time.Hour)}, "0 5"},
			{"retention_days = 90, pending_retention_days = 0, pending_from = 0, closed_at = ?", []any{at(time.Hour)}, "0 5 20"},
		} {
			if err := db.Write.Exec("UPDATE audit_organizations SET "+step.change+" WHERE slug = 'acme'", step.args...).Error; err != nil {
				t.Fatal(err)
			}
			got := strings.ReplaceAll(reported(t, db, "SELECT entity_id FROM audit_log WHERE organization = 'acme' ORDER BY occurred_at DESC"), "\n", " ")
			if got != step.want {
				t.Errorf("with %s: %q, want %q", step.change, got, step.want)
			}
			if others := reported(t, db, "SELECT COUNT(*) FROM audit_log WHERE organization = 'beta'"); others != "3" {
				t.Errorf("with %s: %s entries of the other organization, want 3", step.change, others)
			}
		}
	})
}

// JSON that jsonb refuses, and text that is no JSON, is NULL beside its text: one such entry fails no report.
func TestMetadataThatCannotBeReadFailsNoReport(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		organization(t, db, "acme")
		id := record(t, db, audit.Event{Organization: "acme", Action: action.ServiceUpdate, EntityID: "fine", Actor: audit.System("test"), Metadata: map[string]int{"n": 1}})[0]
		columns := "org_id, occurred_at, recorded_at, action, entity_type, actor_id, actor_key, actor_name"
		newID, entity := "randomblob(16)", "'row ' || abs(random())"
		if db.Write.Name() == "postgres" {
			newID, entity = "gen_random_uuid()", "'row ' || random()"
		}
		for metadata, jsonb := range map[string]bool{
			`{"n":1e400000}`: false, `{"n":` + strings.Repeat("9", 140_000) + `}`: false, `{"a":"\u0000"}`: false, `{"a":"\ud800"}`: false,
			`{"a":"\ud83d\ude00"}`: true, `{"a":"\\u0000"}`: true, `{"n":1e300}`: true, `{"n":`: false, `no JSON`: false,
		} {
			err := db.Write.Exec("INSERT INTO audit_entries (id, entity_id, metadata, "+columns+") SELECT "+newID+", "+entity+", ?, "+columns+" FROM audit_entries WHERE entity_id = 'fine'", metadata).Error
			if err != nil {
				t.Fatal(err)
			}
			readable := jsonb || db.Write.Name() == "sqlite" && strings.HasSuffix(metadata, "}")
			if got := reported(t, db, "SELECT CASE WHEN metadata IS NULL THEN 'NULL' ELSE 'read' END FROM audit_log WHERE metadata_text = ?", metadata); (got == "read") != readable {
				t.Errorf("metadata %.40s is %s", metadata, got)
			}
		}
		if got := reported(t, db, "SELECT COUNT(*) FROM audit_log WHERE metadata IS NOT NULL OR metadata IS NULL"); got != "10" {
			t.Errorf("%s entries, want 10", got)
		}
		if got := reported(t, db, "SELECT id FROM audit_log WHERE entity_id = 'fine'"); got != id {
			t.Errorf("the entry is %s, want %s", got, id)
		}
	})
}

func TestARangeOfIDsIsARangeOfTime(t *testing.T) {
	db := databasetest.Postgres(t)
	organization(t, db, "acme")
	at := time.Now().Add(-time.Hour).Truncate(time.Microsecond)
	ids := record(t, db, audit.Event{Organization: "acme", Action: action.ServiceUpdate, EntityID: "svc-1", Actor: audit.System("test"), OccurredAt: at})
	for moment, want := range map[time.Time]string{at: ids[0], at.Add(time.Microsecond): "", at.Add(-time.Microsecond): ids[0]} {
		if got := reported(t, db, "SELECT id FROM audit_log WHERE id >= audit_first_id(?)", moment); got != want {
			t.Errorf("from %s on: %q, want %q", moment, got, want)
		}
	}
	plan := reported(t, db, "EXPLAIN (COSTS OFF) SELECT action FROM audit_log WHERE organization = 'acme' AND id >= audit_first_id(now() - interval '7 days')")
	if !regexp.MustCompile(`Index Cond: .*org_id = organization\.id\) AND \(id >= `).MatchString(plan) {
		t.Errorf("it does not go by the primary key:\n%s", plan)
	}
}

func TestTheViewHasTheSameColumnsOnBothDatabases(t *testing.T) {
	columns := map[string][]string{}
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		rows, err := db.Read.Raw("SELECT * FROM audit_log").Rows()
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		if columns[db.Write.Name()], err = rows.Columns(); err != nil {
			t.Fatal(err)
		}
	})
	if !slices.Equal(columns["sqlite"], columns["postgres"]) {
		t.Errorf("SQLite has %q, PostgreSQL %q", columns["sqlite"], columns["postgres"])
	}
}
