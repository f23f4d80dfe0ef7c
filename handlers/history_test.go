package handlers

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

// rowsOf are the IDs of the entries a page lists, in order.
func rowsOf(page *goquery.Document) []string {
	return page.Find("#entries tbody[data-entry-id]").Map(func(_ int, row *goquery.Selection) string {
		return row.AttrOr("data-entry-id", "")
	})
}

func TestHistoryListsWhatHappenedToOneResource(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		const id = "a/b?c=d&e f"
		entries := d.insert(d.org,
			models.Entry{EntityID: id, EntityName: "old", OccurredAt: d.ago(3 * time.Hour)},
			models.Entry{EntityID: id, EntityName: "new", OccurredAt: d.ago(time.Hour), Action: "service:delete", URL: "https://console.example.com/x"},
			models.Entry{EntityID: id, EntityName: "new", OccurredAt: d.ago(2 * time.Hour), Action: "deployment:create", EntityType: "service"},
			models.Entry{EntityID: id, OccurredAt: d.ago(91 * 24 * time.Hour)},
			models.Entry{EntityID: id, Action: "project:update"},
			models.Entry{EntityID: "another"},
		)
		d.insert(d.organization("other"), models.Entry{EntityID: id})

		page := d.page(historyPath(d.org, "service", id))
		if got, want := rowsOf(page), []string{entries[1].ID.String(), entries[2].ID.String(), entries[0].ID.String()}; !slices.Equal(got, want) {
			t.Errorf("the history holds %v, want %v", got, want)
		}
		head := page.Find(".page-head")
		if heading := head.Find("h1").Text(); heading != "History of new" {
			t.Errorf("the heading is %q", heading)
		}
		if head.Find("[data-value]").Text() != id || head.Find(".earlier-name").Text() != "old" {
			t.Errorf("the head says %s", head.Text())
		}
		if href := head.Find(".page-actions a").AttrOr("href", ""); href != "https://console.example.com/x" {
			t.Errorf("View resource leads to %q", href)
		}
		row := page.Find("#entries tbody[data-entry-id] tr").First()
		if href := row.Find("[aria-expanded=false]").AttrOr("href", ""); href != "/orgs/acme/settings/audit-logs/"+entries[1].ID.String() {
			t.Errorf("a row leads to %q", href)
		}
		if page.Find("[aria-sort], thead a").Length() != 0 {
			t.Error("the headings pretend to sort")
		}
	})
}

func TestHistorySaysWhatTheResourceIsToOthers(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		subnet := func(role string) audit.Resource { return audit.Resource{Type: "subnet", ID: "sn-1", Role: role} }
		ids := d.record(
			audit.Event{Action: "instance:create", EntityID: "i-1", Actor: ada, Related: []audit.Resource{{Type: "image", ID: "sn-1", Role: "image"}, subnet("subnet")}},
			audit.Event{Action: "instance:create", EntityID: "i-2", Actor: ada, Related: []audit.Resource{subnet("")},
				Metadata: map[string]any{"changes": map[string]audit.Change{"size": {Before: 1, After: 2}}}},
			audit.Event{Action: "subnet:update", EntityID: "sn-1", Actor: ada, Related: []audit.Resource{subnet("itself")}},
			audit.Event{Action: "image:update", EntityID: "sn-1", Actor: ada},
		)
		for _, headers := range [][]string{nil, fragment} {
			page := d.page(historyPath(d.org, "subnet", "sn-1"), headers...)
			said := page.Find("[data-entry-id]").Map(func(_ int, row *goquery.Selection) string { return text(row.Find(".entry-brief")) })
			if want := []string{"Related, as subnet", "Related size 1 → 2", ""}; !slices.Equal(rowsOf(page), ids[:3]) || !slices.Equal(said, want) {
				t.Errorf("the history of the subnet shows %v and says %q, want %q", rowsOf(page), said, want)
			}
		}
	})
}

func TestHistoryNamesTheLatestNamesOnly(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		for n := range mostNames + 2 {
			d.insert(d.org, models.Entry{EntityID: "svc-1", EntityName: fmt.Sprint("name ", n), OccurredAt: d.ago(time.Hour - time.Duration(n)*time.Minute)})
		}
		earlier := d.page(historyPath(d.org, "service", "svc-1")).Find(".earlier-name")
		if got := earlier.Length() + 1; got != mostNames || earlier.Last().Text() != "name 2" {
			t.Errorf("the history shows %d names, the last of which is %q", got, earlier.Last().Text())
		}
	})
}

func TestHistoryHasPages(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		var want []string
		var entries []models.Entry
		for i := range 60 {
			entries = append(entries, models.Entry{EntityID: "é 1", OccurredAt: d.ago(time.Duration(i) * time.Minute)})
		}
		for _, entry := range d.insert(d.org, entries...) {
			want = append(want, entry.ID.String())
		}
		first := d.page(historyPath(d.org, "service", "é 1") + "&limit=25")
		older := first.Find(".pages a[rel=next]")
		if older.Text() != "Older" || first.Find(".pages a[rel=prev]").Length() != 0 {
			t.Errorf("the first page leads to %q", first.Find(".pages").Text())
		}
		second := d.page(older.AttrOr("href", ""), fragment...)
		if second.Find("html h1").Length() != 0 {
			t.Error("htmx gets the whole page")
		}
		third := d.page(second.Find(".pages a[rel=next]").AttrOr("href", ""))
		if got := slices.Concat(rowsOf(first), rowsOf(second), rowsOf(third)); !slices.Equal(got, want) {
			t.Errorf("the pages hold %d entries, want %d in order", len(got), len(want))
		}
		if third.Find(".pages a[rel=next]").Length() != 0 {
			t.Error("the last page leads on")
		}
		back := d.page(third.Find(".pages a[rel=prev]").AttrOr("href", ""))
		if !slices.Equal(rowsOf(back), rowsOf(second)) {
			t.Error("Newer does not lead back to the page before")
		}
		newest := third.Find(".pages a").Last()
		if newest.Text() != "Newest" || !slices.Equal(rowsOf(d.page(newest.AttrOr("href", "")))[:25], want[:25]) {
			t.Errorf("%q does not lead to the first page", newest.Text())
		}
	})
}

func TestHistoryOfNothing(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		d.insert(d.organization("other"), models.Entry{EntityID: "foreign"})
		for _, id := range []string{"unknown", "foreign", "<script>alert(1)</script>"} {
			page := d.page(historyPath(d.org, "service", id))
			if message := page.Find("#entries .message"); !strings.Contains(message.Text(), id) || page.Find("#entries script").Length() != 0 {
				t.Errorf("nothing about %s reads: %s", id, message.Text())
			}
		}
		for address, names := range map[string]string{
			"service": "id", "service?id=": "id", "service?id=%00": "id", "service?id=%ff": "id", "service?id=" + strings.Repeat("x", 513): "id",
			"Ser%20vice?id=x": "entity_type", "service?id=x&cursor=torn": "cursor", "service?id=x&limit=7": "limit", "service?id=x&action=%00": "action",
		} {
			response, body := d.get("/orgs/acme/resources/" + address)
			if response.StatusCode != http.StatusBadRequest || !strings.HasPrefix(body, names+":") {
				t.Errorf("%s answers %d: %s", fmt.Sprintf("%.60s", address), response.StatusCode, body)
			}
		}
		d.page("/orgs/acme/resources/service?id=x&q=%00&sort=password")
	})
}
