package handlers

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

// mostIn are the rows of a list of a profile: "service:update 3".
func mostIn(page *goquery.Document, title string) []string {
	list := page.Find(".profile section").FilterFunction(func(_ int, s *goquery.Selection) bool { return s.Find("h2").Text() == title })
	return list.Find("li").Map(func(_ int, s *goquery.Selection) string { return strings.TrimSuffix(text(s), " entries") })
}

func TestAPersonsPageSaysWhatTheyDid(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		const id = "usr/1&x"
		at := func(days int, e models.Entry) models.Entry {
			e.OccurredAt, e.ActorID = d.ago(time.Duration(days)*24*time.Hour), id
			return e
		}
		stored := d.insert(d.org,
			at(1, models.Entry{ActorName: "Ada King", ActorEmail: "ada@example.com", EntityID: "srv_1", EntityName: "web", IP: "192.0.2.1"}),
			at(2, models.Entry{ActorName: "Ada King", EntityID: "srv_1", EntityName: "old web", IP: "192.0.2.1"}),
			at(30, models.Entry{ActorName: "Ada Lovelace", Action: "service:delete", EntityID: "srv_2", IP: "192.0.2.2", Outcome: event.OutcomeFailure}),
			at(91, models.Entry{ActorName: "Expired"}),
			models.Entry{ActorID: "usr_2", ActorName: "Somebody", IP: "203.0.113.1", OccurredAt: d.ago(time.Hour)},
		)
		for_ := d.record(audit.Event{
			Action: "project:create", EntityID: "prj_1",
			Actor: audit.Actor{Type: audit.ActorAgent, ID: "bot", Name: "Bot", OnBehalfOf: &audit.Principal{ID: id, Name: "Ada King"}},
		})[0]
		path := actorPath(d.org, id)
		page := d.page(path)
		if got, want := rowsOf(page), []string{for_, stored[0].ID.String(), stored[1].ID.String(), stored[2].ID.String()}; !slices.Equal(got, want) {
			t.Errorf("lists %v, want %v", got, want)
		}
		head := text(page.Find(".page-head"))
		for _, part := range []string{"History of Ada King", "ada@example.com", id, "Earlier names: Ada Lovelace"} {
			if !strings.Contains(head, part) {
				t.Errorf("the head says %q, without %q", head, part)
			}
		}
		if strings.Contains(page.Text(), "Expired") || strings.Contains(page.Text(), "203.0.113.1") {
			t.Error("it shows what is not theirs, or has expired")
		}
		if got := text(page.Find(".profile > p").First()); !strings.HasPrefix(got, "4 entries · first seen May 16, 2026, 12:00:00 · last seen Jun 15, 2026, 11:59:00") {
			t.Errorf("it was seen: %q", got)
		}
		for title, want := range map[string][]string{
			"What":       {"service:update 2", "project:create 1", "service:delete 1"},
			"With what":  {"web service 2", "prj_1 project 1", "srv_2 service 1"},
			"From where": {"192.0.2.1 2", "192.0.2.2 1"},
			"Who":        nil,
		} {
			if got := mostIn(page, title); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", title, got, want)
			}
		}
		// Each leads to as many entries as it says.
		page.Find(".profile li").Each(func(_ int, row *goquery.Selection) {
			address := row.Find("a").AttrOr("href", "")
			if strings.Contains(address, "/resources/") {
				return // where others did something, too
			}
			if got, want := len(rowsOf(d.page(address))), row.Find(".end").Contents().First().Text(); want != string(rune('0'+got)) {
				t.Errorf("%s leads to %s, which lists %d entries", text(row), address, got)
			}
		})
		shown := 0
		page.Find(".profile svg a").Each(func(_ int, bar *goquery.Selection) { shown += len(rowsOf(d.page(bar.AttrOr("href", "")))) })
		if rows := page.Find(".profile table tbody tr").Length(); shown != 4 || rows != page.Find(".profile svg a").Length() {
			t.Errorf("the bars lead to %d entries, and the table has %d rows", shown, rows)
		}

		// It is filtered by action, and by no other person.
		if got := rowsOf(d.page(path + "&action=service:delete&actor=usr_2")); !slices.Equal(got, []string{stored[2].ID.String()}) {
			t.Errorf("of one action it lists %v", got)
		}
		if page.Find("select[name=actor]").Length() != 0 {
			t.Error("it offers other people")
		}
		if nobody := d.page(actorPath(d.org, "usr_none")); !strings.Contains(nobody.Find("#entries").Text(), "No history for this user") || nobody.Find(".profile").Length() != 0 {
			t.Errorf("of somebody unknown it says %s", text(nobody.Find("#entries")))
		}
		for query, want := range map[string]string{"": "id:", "?id=%00": "id:", "?id=" + strings.Repeat("x", 600): "id:"} {
			if response, body := d.get("/orgs/acme/actors" + query); response.StatusCode != http.StatusBadRequest || !strings.HasPrefix(body, want) {
				t.Errorf("%.20q answers %d: %s", query, response.StatusCode, body)
			}
		}
		// An opened entry leads there.
		if got := d.page(logPath+"/"+for_).Find("[data-on-behalf-of] a").First().AttrOr("href", ""); got != path {
			t.Errorf("for whom somebody acted leads to %s", got)
		}
	})
}

func TestAResourcesPageSaysWhoDidWhatToIt(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		var stored []models.Entry
		for i := range 1003 { // more than are looked through
			stored = append(stored, models.Entry{OccurredAt: d.ago(time.Duration(i+1) * time.Minute), IP: "192.0.2.1"})
		}
		stored[0] = models.Entry{OccurredAt: d.ago(0), ActorID: "usr_2", ActorName: "Bob", ActorEmail: "bob@example.com", Action: "service:delete"}
		d.insert(d.org, stored...)
		page := d.page(historyPath(d.org, "service", "srv_1"))
		said := text(page.Find(".profile"))
		if !strings.HasPrefix(said, "first seen Jun 14, 2026, 19:17:00 · last seen Jun 15, 2026, 12:00:00 Of the latest 1,000 entries:") {
			t.Errorf("it says %.200q", said)
		}
		for title, want := range map[string][]string{
			"What": {"service:update 999", "service:delete 1"}, "Who": {"Ada Lovelace usr_1 999", "Bob bob@example.com 1"}, "From where": {"192.0.2.1 999"}, "With what": nil,
		} {
			if got := mostIn(page, title); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", title, got, want)
			}
		}
		bob := page.Find(".profile a:contains(Bob)").AttrOr("href", "")
		if bob != "/orgs/acme/actors?id=usr_2" {
			t.Errorf("Bob leads to %s", bob)
		}
		if d.page(historyPath(d.org, "service", "srv_1"), fragment...).Find(".profile").Length() != 0 {
			t.Error("a page further on reads it all again")
		}
	})
}
