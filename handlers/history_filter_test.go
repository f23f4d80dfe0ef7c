package handlers

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

func TestHistoryShowsWhatChangedInEachRow(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		long := strings.Repeat("line\n", 50)
		entries := d.insert(d.org,
			models.Entry{OccurredAt: d.ago(1 * time.Minute), Metadata: `{"changes":{"replicas":{"before":8,"after":3}}}`},
			models.Entry{OccurredAt: d.ago(2 * time.Minute), Metadata: fmt.Sprintf(`{"changes":{"config":{"before":%q,"after":%q},"limits":{"before":{"cpu":1,"mem":2},"after":{"cpu":2,"mem":2}},"env":{"before":null,"after":{"a":1}},"x":{"before":1,"after":2},"y":{"after":2}}}`, long, long+"more\n")},
			models.Entry{OccurredAt: d.ago(3 * time.Minute), Metadata: `{"service_name":"api"}`},
			models.Entry{OccurredAt: d.ago(4 * time.Minute)},
			models.Entry{OccurredAt: d.ago(5 * time.Minute), Metadata: `{"changes":{"text":{"before":"` + strings.Repeat("x", 20_000) + `","after":""}}}`},
			models.Entry{OccurredAt: d.ago(6 * time.Minute), Metadata: "{\"changes\":{\"owner\u202e\":{\"before\":\"" + strings.Repeat("å", 40) + "\",\"after\":\"\u200b\"}}}"},
		)
		want := map[string]string{
			entries[0].ID.String(): "replicas 8 → 3",
			entries[1].ID.String(): "config −0 lines, +1 line|limits.cpu 1 → 2|env null → {…}|2 more changes",
			entries[4].ID.String(): "Too much to show here: open the entry",
			entries[5].ID.String(): "owner⟨U+202E⟩ " + strings.Repeat("å", 10) + "…" + strings.Repeat("å", 10) + " → ⟨U+200B⟩",
		}
		for _, headers := range [][]string{nil, fragment} {
			page := d.page(historyPath(d.org, "service", "srv_1"), headers...)
			page.Find("tbody[data-entry-id]").Each(func(_ int, body *goquery.Selection) {
				if first := body.Find("tr").First(); !first.HasClass("entry") || first.Find("[data-col]").Length() != 5 {
					t.Error("the first row does not hold the cells")
				}
				said := body.Find(".entry-brief .brief-change").Map(func(_ int, s *goquery.Selection) string { return text(s) })
				if got, want := strings.Join(said, "|"), want[body.AttrOr("data-entry-id", "")]; got != want {
					t.Errorf("a row says %q changed, want %q", got, want)
				}
			})
		}
		if d.page(logPath).Find(".entry-brief").Length() != 0 {
			t.Error("the log reads metadata for its rows")
		}
	})
}

func TestHistoryIsFilteredByUserAndAction(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		const id = "a/b?c=d&e"
		var entries []models.Entry
		for i := range 60 {
			entries = append(entries, models.Entry{EntityID: id, OccurredAt: d.ago(time.Duration(i) * time.Minute), ActorID: "usr_1", ActorName: "Ada", ActorEmail: "ada@example.com"})
		}
		entries = append(entries,
			models.Entry{EntityID: id, OccurredAt: d.ago(2 * time.Hour), ActorID: "usr_2", ActorName: "Ada", Action: "service:delete"},
			models.Entry{EntityID: id, OccurredAt: d.ago(3 * time.Hour), ActorID: "system", ActorName: "system", Action: "deployment:create", EntityType: "service"},
			models.Entry{EntityID: "other", ActorID: "usr_3", ActorName: "Grace"},
		)
		entries = d.insert(d.org, entries...)

		path := historyPath(d.org, "service", id)
		form := d.page(path).Find("form.history-filter")
		if form.AttrOr("method", "") != "get" || form.AttrOr("action", "") != "/orgs/acme/resources/service" || form.Find("[name=id]").AttrOr("value", "") != id {
			t.Error("the form does not lead back to this history")
		}
		offered := func(name string) []string {
			return form.Find("select[name=" + name + "] option").Map(func(_ int, s *goquery.Selection) string {
				return s.AttrOr("value", "") + " " + s.Text()
			})
		}
		if got, want := offered("actor"), []string{" Any user", "usr_1 Ada (ada@example.com)", "usr_2 Ada (usr_2)", "system system"}; !slices.Equal(got, want) {
			t.Errorf("the users offered are %q, want %q", got, want)
		}
		if got, want := offered("action"), []string{" Any action", "deployment:create deployment:create", "service:delete service:delete", "service:update service:update"}; !slices.Equal(got, want) {
			t.Errorf("the actions offered are %q, want %q", got, want)
		}

		for query, want := range map[string][]string{
			"&actor=usr_2": {entries[60].ID.String()}, "&actor=system": {entries[61].ID.String()}, "&action=service:delete&actor=": {entries[60].ID.String()},
			"&actor=usr_2&action=service:delete": {entries[60].ID.String()}, "&actor=usr_2&action=service:update": nil, "&actor=usr_3": nil,
			"&actor=usr_1&actor=system": {entries[61].ID.String()}, // the last one counts, as the form has one
		} {
			page := d.page(path + query)
			if got := rowsOf(page); !slices.Equal(got, want) {
				t.Errorf("%s shows %d entries, want %d", query, len(got), len(want))
			}
			values, err := url.ParseQuery(query[1:])
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"actor", "action"} {
				chosen := page.Find("select[name="+name+"] option[selected]").AttrOr("value", "")
				if last := append([]string{""}, values[name]...); chosen != last[len(last)-1] {
					t.Errorf("%s: of %s the form has %q", query, name, chosen)
				}
			}
			if href := page.Find(".history-filter a").AttrOr("href", ""); href != path {
				t.Errorf("%s: Clear leads to %q", query, href)
			}
			if want == nil && !strings.Contains(page.Find("#entries").Text(), "Nothing matches") {
				t.Errorf("%s says %q", query, text(page.Find("#entries")))
			}
		}

		// Pages keep it.
		first := d.page(path + "&actor=usr_1&limit=25")
		second := d.page(first.Find(".pages a[rel=next]").AttrOr("href", ""))
		third := d.page(second.Find(".pages a[rel=next]").AttrOr("href", ""))
		if got := slices.Concat(rowsOf(first), rowsOf(second), rowsOf(third)); len(got) != 60 || third.Find(".pages a[rel=next]").Length() != 0 {
			t.Errorf("the pages of one user hold %d entries", len(got))
		}
		if third.Find("select[name=actor] option[selected]").AttrOr("value", "") != "usr_1" || third.Find(".history-filter [name=limit]").AttrOr("value", "") != "25" {
			t.Error("a page forgets the filter")
		}
		if response, body := d.get(path + "&action=%00"); response.StatusCode != http.StatusBadRequest || !strings.HasPrefix(body, "action:") {
			t.Errorf("a malformed action answers %d: %s", response.StatusCode, body)
		}
	})
}
