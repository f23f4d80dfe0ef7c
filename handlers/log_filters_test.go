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
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

func TestFiltersNarrowAndComeOffOneByOne(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
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

func TestEntriesAreFoundByWhereTheyCameFrom(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		d.insert(d.org,
			models.Entry{OccurredAt: d.ago(time.Hour), Action: "service:update", EntityID: "a", IP: "192.0.2.1", RequestID: "req-1"},
			models.Entry{OccurredAt: d.ago(2 * time.Hour), Action: "service:delete", EntityID: "b", IP: "192.0.2.10", RequestID: "req-10"},
			models.Entry{OccurredAt: d.ago(30 * time.Hour), Action: "project:update", EntityID: "c", IP: "192.0.2.1", RequestID: "req-2", APIKeyID: "key_1", APIKeyName: "Build server"},
			models.Entry{OccurredAt: d.ago(300 * time.Hour), Action: "service:update", EntityID: "d", ActorID: models.SystemActorID, ActorName: "system", Source: "cron", APIKeyID: "key_1"},
		)
		ids := func(page *goquery.Document) []string {
			return page.Find("code[data-value]").Map(func(_ int, id *goquery.Selection) string { return id.Text() })
		}
		for query, want := range map[string][]string{
			"ip=192.0.2.1":                       {"a", "c"},
			"ip=192.0.2.1&dir=asc":               {"c", "a"},
			"ip=192.0.2.1&sort=action":           {"c", "a"},
			"ip=192.0.2.1&sort=entity_type":      {"c", "a"},
			"ip=192.0.2.1&sort=user":             {"a", "c"},
			"ip=192.0.2":                         nil,
			"ip=%25":                             nil,
			"request_id=req-10":                  {"b"},
			"request_id=REQ-10":                  nil,
			"api_key=key_1":                      {"c", "d"},
			"api_key=key_1&from=-48h":            {"c"},
			"api_key=key_1&to=-48h":              {"d"},
			"source=cron":                        {"d"},
			"source=cron&ip=192.0.2.1":           nil,
			"ip=192.0.2.1&api_key=key_1":         {"c"},
			"ip=192.0.2.1&action=service:update": {"a"},
			"ip=192.0.2.1&actor=nobody":          nil,
			"ip=192.0.2.1&q=project":             {"c"},
		} {
			if got := ids(d.page(logPath + "?" + query)); !slices.Equal(got, want) {
				t.Errorf("%q finds %v, want %v", query, got, want)
			}
		}

		page := d.page(logPath + "?ip=192.0.2.1&request_id=req-2&api_key=key_1&source=cron&q=c")
		chips := page.Find(".chip").Map(func(_ int, chip *goquery.Selection) string { return text(chip) })
		if want := []string{"Search c", "IP 192.0.2.1", "Request ID req-2", "API key key_1", "Source cron"}; !slices.Equal(chips, want) {
			t.Errorf("the chips are %q, want %q", chips, want)
		}
		if without := link(t, page, `.chip[data-name="ip"] a`); without != logPath+"?request_id=req-2&api_key=key_1&source=cron&q=c" {
			t.Errorf("without the IP it is %q", without)
		}
		if export := link(t, page, `#export a[href*="csv"]`); export != logPath+"/export?format=csv&ip=192.0.2.1&request_id=req-2&api_key=key_1&source=cron&q=c" {
			t.Errorf("the export is %q", export)
		}
		// Sent again as a browser without script does, the form asks for the same.
		again := d.page(logPath + "?" + formOf(page.Find("#filters")).Encode())
		if got := text(again.Find(".chips")); got != text(page.Find(".chips")) {
			t.Errorf("the form, sent again, shows %q", got)
		}

		// Each fact of an opened entry leads to all that share it.
		for _, opened := range []struct {
			query, fact, leads string
			want               []string
		}{
			{"request_id=req-2", "From", "?ip=192.0.2.1", []string{"a", "c"}},
			{"request_id=req-2", "Request ID", "?request_id=req-2", []string{"c"}},
			{"request_id=req-2", "Via", "?api_key=key_1", []string{"c", "d"}},
			{"source=cron", "User", "?source=cron", []string{"d"}},
		} {
			path, _, _ := strings.Cut(link(t, d.page(logPath+"?"+opened.query), "tbody[data-entry-id] th a"), "?")
			entry := d.page(path)
			leads := link(t, entry, ".entry-facts dt:contains('"+opened.fact+"') + dd a[href^='"+logPath+"?']:not(.menu-item)")
			if leads != logPath+opened.leads {
				t.Errorf("%s leads to %s", opened.fact, leads)
			}
			if got := ids(d.page(leads)); !slices.Equal(got, opened.want) {
				t.Errorf("%s leads to %v, want %v", opened.fact, got, opened.want)
			}
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

func TestAnAPIKeyIsCalledByItsName(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		keyOf := func(orgID int64, name string) (key accounts.APIKey) {
			err := d.store.Transaction(t.Context(), func(tx *gorm.DB) (err error) {
				key, _, err = accounts.CreateAPIKey(t.Context(), tx, orgID, name, accounts.ScopeWrite, "usr_1", 0)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return key
		}
		own, foreign := keyOf(d.org.ID, "Build server"), keyOf(d.organization("globex").ID, "Not yours")
		for _, revoked := range []models.Micros{0, 1} {
			if err := db.Write.Model(&accounts.APIKey{}).Where("id = ?", own.ID).Update("revoked_at", revoked).Error; err != nil {
				t.Fatal(err)
			}
			chip := d.page(logPath + "?api_key=" + own.ID).Find(".chip")
			if text(chip) != "API key Build server" || chip.AttrOr("data-value", "") != own.ID {
				t.Errorf("the chip reads %q, of %s", text(chip), chip.AttrOr("data-value", ""))
			}
		}
		if chip := text(d.page(logPath + "?api_key=" + foreign.ID).Find(".chip")); chip != "API key "+foreign.ID {
			t.Errorf("the chip of another organization's key reads %q", chip)
		}
	})
}

func TestMenusOfferWhatThereIs(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
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
		if err := models.SaveRegisteredActions(t.Context(), db.Write, []action.Action{"report:publish", "invoice:pay", "service:update"}); err != nil {
			t.Fatal(err)
		}

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
		if want := []string{"Services", "Your application · invoice", "Deployments", "Projects", "Workflows", "Notification channels", "Organization",
			"Integrations", "Subscriptions", "Access", "Your application · never", "Your application · report"}; !slices.Equal(groups, want) {
			t.Errorf("the groups are %v, want %v", groups, want)
		}
		if actions.Find("[data-group]").Eq(2).Find(`input[value="deployment:status_update"]`).Length() != 1 {
			t.Error("what GitHub's deliveries become is not offered among the deployments")
		}
		if own := actions.Find("[data-group]").Eq(1).Find("input[name=action]"); own.Length() != 1 || own.AttrOr("value", "") != "invoice:pay" {
			t.Errorf("%d actions of the application are offered", own.Length())
		}
		if actions.Find(`.unused input[value="report:publish"]`).Length() != 1 {
			t.Error("what an application registered is not offered before its first entry")
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

// Without script the form arrives whole: what is more than an address can hold is said beside the filters.
func TestATickTooManyIsRefusedWithoutScript(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		d.insert(d.org, models.Entry{Action: "service:update"})
		ticks := ""
		for i := range 190 {
			ticks += "action=some_entity_type:verb_" + strconv.Itoa(i) + "&"
		}
		response, body := d.get(logPath + "?" + ticks + "q=&entity_type=&from=&to=&tz=UTC")
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("the form is answered %d", response.StatusCode)
		}
		page, err := goquery.NewDocumentFromReader(strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if ticked := page.Find("#filters input[name=action][checked]").Length(); ticked != 190 || !strings.Contains(text(page.Find("#problem")), "more filters than an address can hold") {
			t.Errorf("%d boxes are ticked, and it says %q", ticked, text(page.Find("#problem")))
		}
		d.page(logPath + "?" + strings.TrimSuffix(ticks, "&")) // a link, nobody ticked it just now
	})
}

// The newest name is shown, one user with many names is one option, and it is said that there are more.
func TestUsersAreOfferedOnceAndByTheirNewestName(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		var entries []models.Entry
		for i := range 400 {
			entries = append(entries, models.Entry{OccurredAt: d.ago(time.Duration(400-i) * time.Minute), ActorID: "usr_many", ActorName: "Alias " + strconv.Itoa((i*7)%400)})
		}
		newest := entries[len(entries)-1].ActorName
		entries = append(entries,
			models.Entry{OccurredAt: d.ago(20 * time.Hour), ActorID: "usr_b1", ActorName: "Alias of Ben", ActorEmail: "ben@example.com"},
			models.Entry{OccurredAt: d.ago(21 * time.Hour), ActorID: "usr_z", ActorName: "Zoe Alias"},
			models.Entry{OccurredAt: d.ago(22 * time.Hour), EntityID: "alias-7", ActorID: "usr_z", ActorName: "Zoe Alias"})
		for i := range 30 {
			entries = append(entries, models.Entry{OccurredAt: d.ago(time.Duration(30+i) * time.Hour), ActorID: "usr_x" + strconv.Itoa(i), ActorName: "Xavier " + strconv.Itoa(i)})
		}
		d.insert(d.org, entries...)
		found := d.page(logPath+"/actors?text=alias", fragment...)
		offered := found.Find("input[name=actor]").Map(func(_ int, box *goquery.Selection) string { return box.AttrOr("value", "") })
		if !slices.Equal(slices.Sorted(slices.Values(offered)), []string{"usr_b1", "usr_many", "usr_z"}) {
			t.Errorf("offered are %v", offered)
		}
		if words := text(found.Selection); !strings.Contains(words, newest) || strings.Contains(words, "More users") {
			t.Errorf("it says %q, and not the newest name %q", words, newest)
		}
		if words := text(d.page(logPath+"/actors?text=xavier", fragment...).Selection); !strings.Contains(words, "More users match") {
			t.Errorf("that there are more is not said: %q", words)
		}
		menu := d.page(logPath).Find(`[data-options="actor"]`)
		if words := text(menu); !strings.Contains(words, "There are more users") || strings.Count(words, "Alias") > 4 {
			t.Errorf("the menu says %q", words)
		}
		// Those who are called as the search stand above what it finds.
		page := d.page(logPath + "?q=alias")
		people := page.Find("#entries .people a")
		if page.Find("tbody[data-entry-id]").Length() != 1 || people.Length() != 3 || !strings.Contains(text(people), "Show what Zoe Alias did") {
			t.Errorf("above %d results are suggested %q", page.Find("tbody[data-entry-id]").Length(), text(people))
		}
	})
}
