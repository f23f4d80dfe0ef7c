package handlers

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

func TestAnEntryIsARowForHtmxAndAPageForEveryoneElse(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		d.zone = time.FixedZone("Test/Zone", 2*60*60)
		entry := d.insert(d.org, models.Entry{
			OccurredAt: d.ago(3*time.Hour) + 123456, RecordedAt: d.ago(0), EntityName: "api", ActorEmail: "ada@example.com",
			IP: "192.0.2.7", UserAgent: "curl/8.5.0", RequestID: "req_1",
			Metadata: `{"changes":{"replicas":{"before":2,"after":5}},"service_name":"api"}`,
		})[0]
		path := "/orgs/acme/settings/audit-logs/" + entry.ID.String()

		response, body := d.get(path, fragment...)
		if response.StatusCode != http.StatusOK || !strings.HasPrefix(strings.TrimSpace(body), "<tr ") || strings.Contains(body, "<html") {
			t.Fatalf("the fragment is %d: %.200s", response.StatusCode, body)
		}
		if vary := strings.Join(response.Header.Values("Vary"), ", "); vary != "HX-Request, HX-Request-Type" {
			t.Errorf("Vary is %q", vary)
		}
		whole := d.page(path)
		if whole.Find("html main h1").Text() != "service:update" {
			t.Errorf("the page's heading is %q", whole.Find("h1").Text())
		}
		if back := whole.Find(".entry-back a").AttrOr("href", ""); back != "/orgs/acme/settings/audit-logs" {
			t.Errorf("the page leads back to %q", back)
		}
		if n := whole.Find("[data-entry-id]").Length(); n != 0 {
			t.Errorf("%d elements of the page pose as rows of the log", n)
		}
		back := d.page(path, "HX-Request", "true", "HX-Request-Type", "full", "HX-History-Restore-Request", "true")
		if back.Find("html main h1").Length() != 1 {
			t.Error("going back gets a fragment instead of a page")
		}
		for place, want := range map[string][]string{
			".facts": {"Jun 15, 2026, 11:00:00.123456", "2026-06-15 09:00:00.123456 UTC", "recorded 3 h later", "Ada Lovelace",
				"ada@example.com", "usr_1", "192.0.2.7", "curl 8.5.0", "curl/8.5.0", "req_1", "service:update", "srv_1", "api", entry.ID.String()},
			".changes":     {"replicas", "2", "5"},
			".tree":        {"service_name", "api"},
			".entry-links": {"View resource", "History", "Copy link", "Only this user", "Around it"},
		} {
			for _, text := range want {
				if !strings.Contains(whole.Find(place).Text(), text) {
					t.Errorf("%s does not say %q: %s", place, text, whole.Find(place).Text())
				}
			}
		}
		if link := whole.Find(".entry-links > li > [data-copy]").AttrOr("data-copy", ""); link != "https://audit.example.com"+path {
			t.Errorf("the link to copy is %q", link)
		}
	})
}

func TestAnEntryThatCannotBeSeenIsTheSameAsNone(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		foreign := d.insert(d.organization("other"), models.Entry{})[0]
		expired := d.insert(d.org, models.Entry{OccurredAt: d.ago(91 * 24 * time.Hour)})[0]
		for name, id := range map[string]string{
			"malformed": "42", "unknown": models.NewEntryID(d.ago(0)).String(), "expired": expired.ID.String(), "foreign": foreign.ID.String(),
		} {
			for kind, headers := range map[string][]string{"page": nil, "fragment": fragment} {
				if response, _ := d.get("/orgs/acme/settings/audit-logs/"+id, headers...); response.StatusCode != http.StatusNotFound {
					t.Errorf("%s entry as a %s: %d", name, kind, response.StatusCode)
				}
			}
		}
	})
}

func TestAutomatedEntriesNameTheirSource(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		entry := d.insert(d.org, models.Entry{ActorID: models.SystemActorID, ActorName: "system", Source: "github-webhook"})[0]
		facts := d.page("/orgs/acme/settings/audit-logs/" + entry.ID.String()).Find(".facts").Text()
		if !strings.Contains(facts, "system") || !strings.Contains(facts, "github-webhook") {
			t.Errorf("the entry says %s", facts)
		}
	})
}

func TestViewResourceFollowsTheOrganizationsTemplate(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		_, err := models.SetResourceLink(t.Context(), d.store.Writer(t.Context()), d.org.ID, "service", "https://console.example.com/services/{id}")
		if err != nil {
			t.Fatal(err)
		}
		entries := d.insert(d.org, models.Entry{EntityID: "a/b"}, models.Entry{URL: "https://elsewhere.example.com/x"}, models.Entry{Action: "project:create"})
		for i, want := range []string{"https://console.example.com/services/a%2Fb", "https://elsewhere.example.com/x", "/orgs/acme/resources/project?id=srv_1"} {
			link := d.page("/orgs/acme/settings/audit-logs/" + entries[i].ID.String()).Find(".entry-links a").First()
			if href := link.AttrOr("href", ""); href != want {
				t.Errorf("View resource leads to %q, want %q", href, want)
			}
		}
	})
}
