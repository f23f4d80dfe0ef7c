package handlers

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

const logPath = "/orgs/acme/settings/audit-logs"

// cells are the texts of a column, from the top.
// cells are the values of a column: where a cell carries a mark as well, the value stands by itself.
func cells(page *goquery.Document, column string) []string {
	return page.Find(`#entries tbody[data-entry-id] tr:first-child [data-col="` + column + `"]`).Map(
		func(_ int, cell *goquery.Selection) string {
			if value := cell.Find("[data-value]"); column == "user" && value.Length() > 0 {
				return value.Text()
			}
			return cell.Text()
		})
}

func expectCells(t *testing.T, page *goquery.Document, column string, want ...string) {
	t.Helper()
	if got := cells(page, column); !slices.Equal(got, want) {
		t.Errorf("column %s holds %q, want %q", column, got, want)
	}
}

// link is the address of the one link that the selector finds.
func link(t *testing.T, page *goquery.Document, selector string) string {
	t.Helper()
	found := page.Find(selector)
	if found.Length() != 1 {
		t.Fatalf("%s finds %d links, want one", selector, found.Length())
	}
	href := found.AttrOr("href", "")
	if get, has := found.Attr("hx-get"); has && get != href {
		t.Errorf("%s leads to %q, and with script to %q", selector, href, get)
	}
	return href
}

func text(s *goquery.Selection) string {
	s = s.Clone()
	s.Find(".ways").Remove()
	return strings.Join(strings.Fields(s.Text()), " ")
}

func TestTheLogShowsEntriesAsTheyAre(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		d.zone = mustZone("Europe/Berlin")
		long := "01HZX3K4W8Q2M5N7P9R1S3T5V7-" + strings.Repeat("x", 60)
		entries := d.insert(d.org,
			models.Entry{OccurredAt: d.ago(26 * time.Hour), ActorID: models.SystemActorID, ActorName: "system", Action: "deployment:delete", EntityID: long},
			models.Entry{OccurredAt: d.ago(4*time.Hour) + 123456, RecordedAt: d.ago(time.Hour), EntityName: `<b>"api"</b>`, ActorName: "Ünal <i>"},
		)
		d.insert(d.organization("other"), models.Entry{EntityID: "foreign"})

		page := d.page(logPath)
		if got, want := rowsOf(page), []string{entries[1].ID.String(), entries[0].ID.String()}; !slices.Equal(got, want) {
			t.Fatalf("the log holds %v, want %v", got, want)
		}
		if n := page.Find("[data-entry-id]").Length(); n != 2 {
			t.Errorf("%d elements pose as entries", n)
		}
		expectCells(t, page, "action", "service:update", "deployment:delete")
		expectCells(t, page, "entity_type", "service", "deployment")
		expectCells(t, page, "user", "Ünal <i>", "system")
		ids := page.Find(`[data-col="entity_id"] code[data-value]`)
		if ids.Length() != 2 || ids.Eq(0).Text() != "srv_1" || ids.Eq(1).Text() != long {
			t.Errorf("the IDs are %q", ids.Text())
		}
		if name := page.Find(".entity-name").Text(); name != `<b>"api"</b>` {
			t.Errorf("the entity's name is %q", name)
		}
		times := page.Find(`[data-col="timestamp"] time`)
		if moment := times.Eq(0).AttrOr("datetime", ""); moment != "2026-06-15T08:00:00.123456Z" {
			t.Errorf("the time is %q", moment)
		}
		if words := times.Eq(0).Text(); words != "Jun 15, 10:00:00" {
			t.Errorf("the time in the reader's zone is %q", words)
		}
		if zone := page.Find("thead .zone").Text(); zone != "Europe/Berlin" {
			t.Errorf("the zone is %q", zone)
		}
		if late := page.Find(".late"); late.Length() != 1 || late.Text() != "recorded 3 h later" {
			t.Errorf("late is %q", late.Text())
		}
		opener := page.Find("tbody[data-entry-id] tr:first-child > :first-child a").First()
		if opener.AttrOr("aria-expanded", "") != "false" || opener.AttrOr("href", "") != logPath+"/"+entries[1].ID.String() {
			t.Error("the first cell has no link that opens the entry")
		}
		days := page.Find(".between").Map(func(_ int, day *goquery.Selection) string { return text(day) })
		if want := []string{"Today · Monday, June 15", "Yesterday · Sunday, June 14"}; !slices.Equal(days, want) {
			t.Errorf("the days are %q, want %q", days, want)
		}
		if page.Find("b, i").FilterFunction(func(_ int, s *goquery.Selection) bool { return s.Text() == `"api"` }).Length() != 0 {
			t.Error("a name became HTML")
		}
		for _, words := range []string{"Track changes, investigate events, and review organization activity", "Kept for 90 days"} {
			if !strings.Contains(text(page.Find("main")), words) {
				t.Errorf("the page does not say %q", words)
			}
		}
		if status := page.Find("[role=status]").First().Text(); status != "2 entries, newest first" {
			t.Errorf("the live region says %q", status)
		}
	})
}

func TestTheLogSortsByItsFourColumns(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		d.insert(d.org,
			models.Entry{OccurredAt: d.ago(4 * time.Minute), Action: "service:update", ActorID: "usr_2", ActorName: "bob"},
			models.Entry{OccurredAt: d.ago(3 * time.Minute), Action: "deployment:create", ActorID: "usr_1", ActorName: "Ada"},
			models.Entry{OccurredAt: d.ago(2 * time.Minute), Action: "service:update", ActorID: "usr_3", ActorName: "ada"},
			models.Entry{OccurredAt: d.ago(1 * time.Minute), Action: "project:create", ActorID: "usr_4", ActorName: "Carla"},
		)
		for _, test := range []struct {
			column   string
			default_ []string // in the order of the first click
			back     []string // in that of the second
			order    string
		}{
			{"action", []string{"deployment:create", "project:create", "service:update", "service:update"},
				[]string{"service:update", "service:update", "project:create", "deployment:create"}, "ascending"},
			{"entity_type", []string{"deployment", "project", "service", "service"}, []string{"service", "service", "project", "deployment"}, "ascending"},
			{"user", []string{"ada", "Ada", "bob", "Carla"}, []string{"Carla", "bob", "ada", "Ada"}, "ascending"},
		} {
			page := d.page(logPath)
			head := `thead [data-col="` + test.column + `"]`
			if sorted := page.Find(head).AttrOr("aria-sort", ""); sorted != "none" {
				t.Errorf("%s is %q before it sorts", test.column, sorted)
			}
			page = d.page(link(t, page, head+" a"))
			expectCells(t, page, test.column, test.default_...)
			if sorted := page.Find(head).AttrOr("aria-sort", ""); sorted != test.order {
				t.Errorf("%s is sorted %q", test.column, sorted)
			}
			if page.Find("[aria-sort]").Length() != 4 || page.Find(`thead [data-col="entity_id"] a`).Length() != 0 {
				t.Error("not exactly the four columns of the document sort")
			}
			page = d.page(link(t, page, head+" a"))
			expectCells(t, page, test.column, test.back...)
			if sorted := page.Find(head).AttrOr("aria-sort", ""); sorted != "descending" {
				t.Errorf("%s is sorted %q the other way", test.column, sorted)
			}
		}
		page := d.page(logPath)
		if sorted := page.Find(`thead [data-col="timestamp"]`).AttrOr("aria-sort", ""); sorted != "descending" {
			t.Errorf("the default order is %q", sorted)
		}
		oldest := link(t, page, `thead [data-col="timestamp"] a`)
		if oldest != logPath+"?dir=asc" {
			t.Errorf("oldest first is %q", oldest)
		}
		expectCells(t, d.page(oldest), "action", "service:update", "deployment:create", "service:update", "project:create")
	})
}

func TestValuesHaveHeadingsThatLeadOn(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		var entries []models.Entry
		for i := range 30 {
			entries = append(entries, models.Entry{Action: "a:first", OccurredAt: d.ago(time.Duration(i) * time.Minute)})
		}
		entries = append(entries, models.Entry{Action: "b:second"}, models.Entry{Action: "c:third"})
		d.insert(d.org, entries...)

		page := d.page(logPath + "?sort=action&limit=25")
		if headings := page.Find(".between .mono"); headings.Length() != 1 || headings.Text() != "a:first" {
			t.Errorf("the headings are %q", headings.Text())
		}
		page = d.page(link(t, page, ".between a"))
		expectCells(t, page, "action", "b:second", "c:third")
		if next := page.Find(".between").Last().Find("a"); next.Length() != 0 {
			t.Error("the last value leads to a next one")
		}
		page = d.page(page.Find(".between a").First().AttrOr("href", ""))
		expectCells(t, page, "action", "c:third")
	})
}

func TestTheLogNamesTheAutomationBehindSystem(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		d.insert(d.org,
			models.Entry{OccurredAt: d.ago(time.Minute), Action: "service:update", ActorID: "system", ActorName: "system", Source: "github-webhook"},
			models.Entry{OccurredAt: d.ago(2 * time.Minute), Action: "service:update", ActorID: "usr_1", ActorName: "Ada"},
		)
		users := d.page(logPath).Find("td[data-col=user]")
		if user := users.First(); user.AttrOr("data-source", "") != "github-webhook" || user.Find("[data-value]").Text() != "system" {
			t.Errorf("the user is %q of the source %q", user.Text(), user.AttrOr("data-source", ""))
		}
		if _, has := users.Last().Attr("data-source"); has {
			t.Error("a person has a source")
		}
	})
}

func TestPagesLeadOnAndBack(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		var entries []models.Entry
		for i := range 60 {
			entries = append(entries, models.Entry{OccurredAt: d.ago(time.Duration(i) * time.Minute), Action: "service:update"})
		}
		var want []string
		for _, entry := range d.insert(d.org, entries...) {
			want = append(want, entry.ID.String())
		}
		for query, labels := range map[string][3]string{
			"?limit=25":             {"Older", "Newer", "Newest"},
			"?limit=25&sort=action": {"Next", "Previous", "First"},
		} {
			first := d.page(logPath + query)
			if rel := first.Find(".pages [rel=prev]").Length(); rel != 0 {
				t.Errorf("%s: something comes before the first page", query)
			}
			if label := first.Find(".pages [rel=next]").Text(); label != labels[0] {
				t.Errorf("%s: on leads %q", query, label)
			}
			if status := first.Find("[role=status]").First().Text(); !strings.HasPrefix(status, "25 entries, ") ||
				!strings.HasPrefix(first.Find(".entries-bar p").Text(), "25 entries on this page, ") {
				t.Errorf("%s: the live region says %q", query, status)
			}
			second := d.page(link(t, first, ".pages [rel=next]"), fragment...)
			third := d.page(link(t, second, ".pages [rel=next]"))
			if got := slices.Concat(rowsOf(first), rowsOf(second), rowsOf(third)); !slices.Equal(got, want) {
				t.Errorf("%s: the pages hold %d entries, not each once and in order", query, len(got))
			}
			if third.Find(".pages [rel=next]").Length() != 0 {
				t.Errorf("%s: something comes after the last page", query)
			}
			words := third.Find(".pages a").Map(func(_ int, a *goquery.Selection) string { return a.Text() })
			if !slices.Equal(words, labels[1:]) {
				t.Errorf("%s: the last page leads %q", query, words)
			}
			back := d.page(link(t, third, ".pages [rel=prev]"))
			if !slices.Equal(rowsOf(back), want[25:50]) {
				t.Errorf("%s: back leads elsewhere", query)
			}
			if begin := third.Find(".pages a").Last().AttrOr("href", ""); begin != logPath+strings.Replace(query, "?limit=25&sort=action", "?sort=action&limit=25", 1) {
				t.Errorf("%s: the beginning is %q", query, begin)
			}
		}
	})
}

func TestHtmxGetsTheTableAndWhatChangesWithIt(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		d.insert(d.org, models.Entry{})
		for name, test := range map[string]struct {
			headers []string
			part    bool
		}{
			"a browser":        {nil, false},
			"htmx":             {fragment, true},
			"back and forward": {[]string{"HX-Request", "true", "HX-Request-Type", "full"}, false},
			"a part alone":     {[]string{"HX-Request-Type", "partial"}, true},
			"htmx alone":       {[]string{"HX-Request", "true"}, false},
		} {
			response, body := d.get(logPath+"?q=srv", test.headers...)
			if values := response.Header.Values("Vary"); len(values) != 1 || values[0] != "HX-Request, HX-Request-Type" {
				t.Errorf("%s: Vary is %q", name, values)
			}
			page, err := goquery.NewDocumentFromReader(strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if page.Find("#entries").Length() != 1 || page.Find("[data-entry-id]").Length() != 1 {
				t.Errorf("%s gets no table", name)
			}
			if part := !strings.Contains(body, "<html"); part != test.part {
				t.Errorf("%s gets a part: %t", name, part)
			}
			if part := page.Find("hx-partial").Length() > 0 && page.Find("#filters, details[data-options]").Length() == 0; part != test.part {
				t.Errorf("%s gets the filter's parts: %t", name, part)
			}
			if page.Find(`#filter-state .chip[data-name="q"]`).Length() != 1 {
				t.Errorf("%s does not see that the search is on", name)
			}
		}
	})
}

func TestAMalformedAddressIsRefusedByName(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		d.insert(d.org, models.Entry{})
		for _, test := range []struct{ name, value string }{
			{"sort", "password"}, {"dir", "sideways"}, {"limit", "1000000"}, {"from", "yesterdayish"}, {"to", "<script>"}, {"tz", "Mars"},
			{"cursor", "forged"}, {"action", strings.Repeat("a", 201)}, {"outcome", "broken"}, {"entity_type", "No"}, {"q", "%ff"},
		} {
			query := "?actor=usr_1&" + test.name + "=" + test.value
			response, body := d.get(logPath + query)
			page, err := goquery.NewDocumentFromReader(strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: %d", query, response.StatusCode)
			}
			if words := text(page.Find("#problem")); !strings.Contains(words, test.name) {
				t.Errorf("%s: the page says %q", query, words)
			}
			if page.Find("#filters input[name=q]").Length() != 1 || page.Find(`.chip[data-name="actor"]`).Length() != 1 {
				t.Errorf("%s: the filter bar is gone", query)
			}
			if way := page.Find("#problem a").AttrOr("href", ""); way != logPath+"?actor=usr_1" {
				t.Errorf("%s: the way out is %q", query, way)
			}
			response, body = d.get(logPath+query, fragment...)
			if response.StatusCode != http.StatusBadRequest || strings.Contains(body, "<html") || !strings.Contains(body, test.name) {
				t.Errorf("%s: htmx gets %d %.80q", query, response.StatusCode, body)
			}
		}
		for _, query := range []string{"?sort=&q=&from=&cursor=&action=&limit=", "?utm_source=mail&unknown=%zz", "?q=%2525"} {
			if response, _ := d.get(logPath + query); response.StatusCode != http.StatusOK {
				t.Errorf("%s: %d", query, response.StatusCode)
			}
		}
	})
}
