package app_test

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// record stores an event as an application would, and returns the entry's ID.
func record(t *testing.T, server *apptest.Server, event audit.Event) string {
	t.Helper()
	receipt, err := audit.Record(t.Context(), server.Store.Writer(t.Context()), event)
	if err != nil {
		t.Fatal(err)
	}
	return receipt.EntryID
}

func TestEntriesOfOthersAreNotThere(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		server := apptest.Start(t, db)
		acme, other := server.Organization(t, "acme"), server.Organization(t, "other")
		ada := audit.Actor{ID: "usr_ada", Name: "Ada"}
		own := record(t, server, audit.Event{Organization: "acme", Action: action.ServiceUpdate, EntityID: "srv_1", Actor: ada})
		foreign := record(t, server, audit.Event{Organization: "other", Action: action.ServiceUpdate, EntityID: "srv_secret", Actor: ada})
		server.Member(t, "eve@example.com", accounts.RoleAdmin, other)
		client := server.As(t, server.Member(t, "member@example.com", accounts.RoleMember, acme))

		client.Get("/orgs/acme/settings/audit-logs/" + own).Expect(http.StatusOK)
		nowhere := client.Get("/orgs/nowhere/settings/audit-logs/" + foreign).Expect(http.StatusNotFound)
		for _, path := range []string{
			"/orgs/other/settings/audit-logs/" + foreign,
			"/orgs/acme/settings/audit-logs/" + foreign,
			"/orgs/acme/settings/audit-logs/" + models.NewEntryID(models.MicrosOf(server.Clock.Now())).String(),
			"/orgs/acme/settings/audit-logs/not-an-id",
			"/orgs/other/resources/service?id=srv_secret",
			"/orgs/other/settings/audit-logs/export?format=csv",
		} {
			page := client.Get(path).Expect(http.StatusNotFound)
			if page.Text("main h1") != nowhere.Text("main h1") || strings.Contains(page.Body, "srv_secret") {
				t.Errorf("%s answers otherwise than an organization that does not exist", path)
			}
		}
		history := client.Get("/orgs/acme/resources/service?id=srv_secret").Expect(http.StatusOK)
		if history.Find("tbody[data-entry-id]").Length() != 0 {
			t.Error("the history of a resource shows entries of another organization")
		}
	})
}

func TestEntriesAreForThoseSignedIn(t *testing.T) {
	server := apptest.Start(t, databasetest.SQLite(t))
	server.Organization(t, "acme")
	client := server.Client(t)
	entry := "/orgs/acme/settings/audit-logs/" + models.NewEntryID(1).String()
	for path, back := range map[string]string{
		entry: entry,
		"/orgs/acme/settings/audit-logs/export?format=csv": "/orgs/acme/settings/audit-logs", // a file leads nowhere
		"/orgs/acme/resources/service?id=srv_1":            "/orgs/acme/resources/service?id=srv_1",
		"/orgs/nowhere/resources/service?id=srv_1":         "/orgs/nowhere/resources/service?id=srv_1",
	} {
		client.Get(path).ExpectRedirect("/login?" + url.Values{"return": {back}}.Encode())
		if fragment := client.Fragment(path); !strings.HasPrefix(fragment.Header.Get("HX-Redirect"), "/login") {
			t.Errorf("htmx asking for %s is led to %q", path, fragment.Header.Get("HX-Redirect"))
		}
	}
}

func TestAMemberExportsAndTheLogSaysSo(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		server := apptest.Start(t, db)
		member := server.Member(t, "member@example.com", accounts.RoleMember, server.Organization(t, "acme"))
		ids := []string{}
		for range 40 { // more than is worth compressing
			ids = append(ids, record(t, server, audit.Event{
				Organization: "acme", Action: action.ServiceUpdate, EntityID: "=1+1", Actor: audit.System("test"),
			}))
		}
		slices.Reverse(ids)
		client := server.As(t, member)

		file := client.Get("/orgs/acme/settings/audit-logs/export?format=csv&actor=system", "Accept-Encoding", "gzip, br").Expect(http.StatusOK)
		if encoding := file.Header.Get("Content-Encoding"); encoding != "" {
			t.Errorf("the stream is encoded as %q: a break in it would go unseen", encoding)
		}
		records, err := csv.NewReader(strings.NewReader(file.Body)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, record := range records[1:] {
			got = append(got, record[0])
			if record[5] != "'=1+1" {
				t.Errorf("an entity ID is exported as %q", record[5])
			}
		}
		if !slices.Equal(got, ids) {
			t.Errorf("the file holds %d entries, want %d, newest first", len(got), len(ids))
		}

		log := client.Get("/orgs/acme/settings/audit-logs?action=audit_log:export").Expect(http.StatusOK)
		link := log.Find("tbody[data-entry-id] [aria-expanded]").AttrOr("href", "")
		facts := client.Get(link).Expect(http.StatusOK)
		for _, want := range []string{"member@example.com", "127.0.0.1", file.Header.Get("X-Request-ID"), "actor=system"} {
			if !strings.Contains(facts.Text(".entry-details"), want) {
				t.Errorf("the entry of the export does not say %q: %s", want, facts.Text(".entry-details"))
			}
		}
	})
}
