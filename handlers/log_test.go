package handlers

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/app/database/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

const logPath = "/orgs/acme/settings/audit-logs"

// cells are the texts of a column, from the top.
func cells(page *goquery.Document, column string) []string {
	return page.Find(`#entries tbody[data-entry-id] tr:first-child [data-col="` + column + `"]`).Map(
		func(_ int, cell *goquery.Selection) string { return cell.Text() })
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

func text(s *goquery.Selection) string { return strings.Join(strings.Fields(s.Text()), " ") }

func TestTheLogShowsEntriesAsTheyAre(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newDesk(t, db)
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
		d := newDesk(t, db)
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
		d := newDesk(t, db)
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

func TestFiltersNarrowAndComeOffOneByOne(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newDesk(t, db)
		d.insert(d.org,
			models.Entry{OccurredAt: d.ago(time.Hour), Action: "service:update", EntityID: "srv_web"},
			models.Entry{OccurredAt: d.ago(2 * time.Hour), Action: "service:delete", EntityID: "srv_web", ActorID: "usr_2", ActorName: "Bob", ActorEmail: "bob@example.com"},
			models.Entry{OccurredAt: d.ago(50 * time.Hour), Action: "service:update", EntityID: "srv_db", ActorID: models.SystemActorID, ActorName: "system"},
			models.Entry{OccurredAt: d.ago(60 * time.Hour), Action: "project:update", EntityID: "prj_web"},
		)
		for query, want := range map[string][]string{
			"":                      {"srv_web", "srv_web", "srv_db", "prj_web"},
			"action=service:update": {"srv_web", "srv_db"},
			"action=service:update&action=project:update": {"srv_web", "srv_db", "prj_web"},
			"actor=system":                  {"srv_db"},
			"actor=system&actor=usr_2":      {"srv_web", "srv_db"},
			"entity_type=project":           {"prj_web"},
			"q=WEB":                         {"srv_web", "srv_web", "prj_web"},
			"q=web+delete":                  {"srv_web"},
			"q=%25":                         nil,
			"from=-24h":                     {"srv_web", "srv_web"},
			"from=-7d&to=-24h":              {"srv_db", "prj_web"},
			"from=2026-06-13&to=2026-06-13": {"srv_db", "prj_web"},
			"to=2026-06-12":                 nil,
			"actor=nobody":                  nil,
			"action=own:thing":              nil,
			"q=web&action=service:update&actor=usr_1&entity_type=service&from=-24h": {"srv_web"},
		} {
			page := d.page(logPath + "?" + query)
			ids := page.Find("code[data-value]").Map(func(_ int, id *goquery.Selection) string { return id.Text() })
			if !slices.Equal(ids, want) {
				t.Errorf("%q finds %v, want %v", query, ids, want)
			}
		}

		page := d.page(logPath + "?q=web&action=service:delete&actor=usr_2&entity_type=service&from=-24h&tz=UTC&limit=25")
		chips := page.Find(".chip").Map(func(_ int, chip *goquery.Selection) string { return text(chip) })
		if want := []string{"Search web", "Action service:delete", "User Bob", "Entity type service", "From 24 hours ago"}; !slices.Equal(chips, want) {
			t.Errorf("the chips are %q, want %q", chips, want)
		}
		if without := link(t, page, `.chip[data-name="actor"] a`); without != logPath+"?action=service:delete&entity_type=service&q=web&from=-24h&tz=UTC&limit=25" {
			t.Errorf("without the user it is %q", without)
		}
		if all := link(t, page, ".chip-clear"); all != logPath+"?limit=25" {
			t.Errorf("Clear all leads to %q", all)
		}
		export := link(t, page, `#export a[href*="csv"]`)
		if export != logPath+"/export?format=csv&action=service:delete&actor=usr_2&entity_type=service&q=web&from=-24h&tz=UTC" {
			t.Errorf("the export is %q", export)
		}
		// Sent again as a browser without script does, the form asks for the same.
		again := d.page(logPath + "?" + formOf(page.Find("#filters")).Encode())
		if got := text(again.Find(".chips")); got != text(page.Find(".chips")) {
			t.Errorf("the form, sent again, shows %q", got)
		}
	})
}

// formOf is what a browser sends of a form's controls.
func formOf(form *goquery.Selection) url.Values {
	values := url.Values{}
	form.Find("[name]").Each(func(_ int, control *goquery.Selection) {
		name, value := control.AttrOr("name", ""), control.AttrOr("value", "")
		_, elsewhere := control.Attr("form")
		_, checked := control.Attr("checked")
		if elsewhere || control.Is("[type=checkbox]") && !checked {
			return
		}
		if control.Is("select") {
			selected := control.Find("option[selected]")
			value = selected.AttrOr("value", selected.Text())
		}
		values.Add(name, value)
	})
	return values
}

func TestMenusOfferWhatThereIs(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newDesk(t, db)
		entries := []models.Entry{
			{Action: "invoice:pay"},
			{ActorID: models.SystemActorID, ActorName: "system"},
			{ActorID: "usr_k1", ActorName: "Kim", ActorEmail: "kim@example.com"},
			{ActorID: "usr_k2", ActorName: "Kim", ActorEmail: "kim@elsewhere.example"},
		}
		for i := range 30 {
			entries = append(entries, models.Entry{OccurredAt: d.ago(time.Duration(i+1) * time.Hour),
				ActorID: "usr_old" + strconv.Itoa(i), ActorName: "Old " + strconv.Itoa(i)})
		}
		d.insert(d.org, entries...)

		page := d.page(logPath + "?action=service:update&action=never:heard&actor=usr_old29")
		actions := page.Find(`[data-options="action"]`)
		selected := actions.Find("[data-selected] input").Map(func(_ int, box *goquery.Selection) string { return box.AttrOr("value", "") })
		if want := []string{"service:update", "never:heard"}; !slices.Equal(selected, want) {
			t.Errorf("selected come first: %v, want %v", selected, want)
		}
		if actions.Find("input[name=action][checked]").Length() != 2 {
			t.Error("not exactly the selected actions are ticked")
		}
		groups := actions.Find("[data-group] .option-heading").Map(func(_ int, heading *goquery.Selection) string { return text(heading) })
		if want := []string{"Deployments", "Services", "Projects", "Workflows", "Notification channels", "Organization", "Integrations",
			"Subscriptions", "Access", "Your application"}; !slices.Equal(groups, want) {
			t.Errorf("the groups are %v, want %v", groups, want)
		}
		if own := actions.Find("[data-group]").Last().Find("input[name=action]"); own.Length() != 1 || own.AttrOr("value", "") != "invoice:pay" {
			t.Errorf("%d actions of the application are offered", own.Length())
		}
		if unused := actions.Find(`.unused input[value="deployment:create"], .unused input[value="invoice:pay"]`); unused.Length() != 1 {
			t.Error("not exactly the unused actions are muted")
		}

		users := page.Find(`[data-options="actor"]`)
		offered := users.Find("input[name=actor]").Map(func(_ int, box *goquery.Selection) string { return box.AttrOr("value", "") })
		if len(offered) > 23 || !slices.Equal(offered[:3], []string{"usr_old29", "system", "usr_reader"}) {
			t.Errorf("%d users are offered, first %v", len(offered), offered[:3])
		}
		if words := text(users); !strings.Contains(words, "Kim kim@example.com") || !strings.Contains(words, "Kim kim@elsewhere.example") {
			t.Errorf("namesakes look alike: %s", words)
		}

		found := d.page(logPath+"/actors?text=ELSEWHERE", fragment...)
		if boxes := found.Find("input[name=actor]"); boxes.Length() != 1 || boxes.AttrOr("value", "") != "usr_k2" {
			t.Errorf("looking for an e-mail address finds %d users", boxes.Length())
		}
		if words := text(d.page(logPath+"/actors?text=%3Cnobody%3E", fragment...).Selection); !strings.Contains(words, "<nobody>") {
			t.Errorf("finding nobody says %q", words)
		}
		for _, bytes := range []string{"a%00b", "%FF"} {
			if response, _ := d.get(logPath+"/actors?text="+bytes, fragment...); response.StatusCode != http.StatusBadRequest {
				t.Errorf("typing %s is answered %d", bytes, response.StatusCode)
			}
		}
		if response, _ := d.get(logPath + "/actors?text=x"); response.StatusCode != http.StatusSeeOther {
			t.Errorf("as a page the list of users is %d", response.StatusCode)
		}

		types := page.Find("select[name=entity_type] option").Map(func(_ int, option *goquery.Selection) string { return option.Text() })
		if want := []string{"Entity type", "invoice", "service"}; !slices.Equal(types, want) {
			t.Errorf("the types are %v, want %v", types, want)
		}
	})
}

func TestTheLogNamesTheAutomationBehindSystem(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newDesk(t, db)
		d.insert(d.org,
			models.Entry{OccurredAt: d.ago(time.Minute), Action: "service:update", ActorID: "system", ActorName: "system", Source: "github-webhook"},
			models.Entry{OccurredAt: d.ago(2 * time.Minute), Action: "service:update", ActorID: "usr_1", ActorName: "Ada"},
		)
		users := d.page(logPath).Find("td[data-col=user]")
		if user := users.First(); user.AttrOr("data-source", "") != "github-webhook" || user.Text() != "system" {
			t.Errorf("the user is %q of the source %q", user.Text(), user.AttrOr("data-source", ""))
		}
		if _, has := users.Last().Attr("data-source"); has {
			t.Error("a person has a source")
		}
	})
}

func TestPagesLeadOnAndBack(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newDesk(t, db)
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
		d := newDesk(t, db)
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
		d := newDesk(t, db)
		d.insert(d.org, models.Entry{})
		for _, test := range []struct{ name, value string }{
			{"sort", "password"}, {"dir", "sideways"}, {"limit", "1000000"}, {"from", "yesterdayish"}, {"to", "<script>"}, {"tz", "Mars"},
			{"cursor", "forged"}, {"action", "nonsense"}, {"entity_type", "No"}, {"q", "%ff"},
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

func TestNothingToShowHasThreeFaces(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newDesk(t, db)
		empty := d.page(logPath)
		if words := text(empty.Find("#entries .message")); !strings.Contains(words, "Nothing recorded yet") || !strings.Contains(words, `audit.Record(ctx, tx, audit.Event{ Organization: "acme"`) {
			t.Errorf("an empty log says %q", words)
		}
		d.insert(d.org, models.Entry{ActorName: "Ada Lovelace", ActorEmail: "ada@example.com"})
		none := d.page(logPath + "?q=lovelace&limit=25")
		if words := text(none.Find("#entries .message")); !strings.Contains(words, "Nothing matches") || !strings.Contains(words, "lovelace") {
			t.Errorf("finding nothing says %q", words)
		}
		if way := link(t, none, "#entries .message .button"); way != logPath+"?limit=25" {
			t.Errorf("the way out is %q", way)
		}
		if offer := link(t, none, `#entries .message p a[href*="actor"]`); offer != logPath+"?actor=usr_1&limit=25" {
			t.Errorf("the person's filter is %q", offer)
		}
		if status := none.Find("[role=status]").First().Text(); status != "No entries" {
			t.Errorf("the live region says %q", status)
		}
	})
}

// switchLogging switches audit logging at the desk's time.
func (d *desk) switchLogging(on bool) {
	d.t.Helper()
	ctx := d.t.Context()
	settings := models.AuditSettings{RetentionDays: 90, LoggingEnabled: on}
	_, after, err := models.ChangeAuditSettings(ctx, d.store.Writer(ctx), d.org.ID, models.Actor{ID: "usr_1", Name: "Ada"}, settings, d.now)
	if err != nil {
		d.t.Fatal(err)
	}
	d.org = after
}

func TestTheLogSaysWhenLoggingWasOff(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newDesk(t, db)
		day := 24 * time.Hour
		d.insert(d.org, models.Entry{EntityID: "before"})
		d.now = d.now.Add(day)
		d.switchLogging(false)
		banner := d.page(logPath).Find("#logging-off")
		if words := text(banner); !strings.Contains(words, "has been off since Jun 16, 2026, 12:00:00") || !strings.Contains(words, "An admin can switch it on") {
			t.Errorf("the banner says %q", words)
		}
		d.now = d.now.Add(day)
		d.switchLogging(true)
		d.now = d.now.Add(day)
		d.insert(d.org, models.Entry{EntityID: "after"})

		order := func(query string) []string {
			return d.page(logPath + query).Find("#entries tbody").Not(".between:not(.gap)").Map(func(_ int, body *goquery.Selection) string {
				if body.Is(".gap") {
					return text(body)
				}
				return body.Find("[data-value]").Text()
			})
		}
		gap := "Audit logging was off from Jun 16, 2026, 12:00:00 to Jun 17, 2026, 12:00:00"
		for query, want := range map[string][]string{
			"":                 {"after", gap, "before"},
			"?dir=asc":         {"before", gap, "after"},
			"?q=after":         {"after", gap},
			"?from=2026-06-18": {"after"},
			"?to=2026-06-15":   {"before"},
			"?sort=action":     {"after", "before"},
		} {
			if got := order(query); !slices.Equal(got, want) {
				t.Errorf("%q lists %q, want %q", query, got, want)
			}
		}
		if d.page(logPath).Find("#logging-off").Length() != 0 {
			t.Error("the banner stays when logging is on again")
		}

		// What is left of the log when everything before the switch has expired.
		d.now = d.now.Add(day)
		d.switchLogging(false)
		d.now = d.now.Add(100 * day)
		if words := text(d.page(logPath).Find("#entries .message")); !strings.Contains(words, "audit logging is off") {
			t.Errorf("a log that is off and empty says %q", words)
		}
	})
}

func TestGapsStandOnOnePageOnly(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newDesk(t, db)
		add := func(n int) {
			entries := make([]models.Entry, n)
			for i := range entries {
				entries[i].OccurredAt = models.MicrosOf(d.now) + models.Micros(i)
			}
			d.insert(d.org, entries...)
			d.now = d.now.Add(time.Hour)
		}
		add(25)
		d.switchLogging(false)
		d.now = d.now.Add(time.Hour)
		d.switchLogging(true)
		d.now = d.now.Add(time.Hour)
		add(25)
		for _, query := range []string{"?limit=25", "?limit=25&dir=asc"} {
			first := d.page(logPath + query)
			second := d.page(link(t, first, ".pages [rel=next]"))
			if n := first.Find(".gap").Length() + second.Find(".gap").Length(); n != 1 {
				t.Errorf("%s: the gap between two pages stands %d times", query, n)
			}
		}
	})
}
