package handlers

import (
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

func questionFixture(t *testing.T, db *database.DB) *logFixture {
	d := newLogFixture(t, db)
	d.insert(d.org,
		models.Entry{OccurredAt: d.ago(time.Hour), Action: "service:update", EntityID: "srv_web", EntityName: "Checkout api", IP: "10.1.2.3", Metadata: `{"userAgent":"stratus-red/1","changes":{"role":{"before":"viewer","after":"admin"}}}`},
		models.Entry{OccurredAt: d.ago(2 * time.Hour), Action: "service:delete", EntityID: "srv_api", EntityName: "api checkout", ActorID: "usr_2", ActorName: "Bob", ActorEmail: "bob@example.com", IP: "192.0.2.1", RequestID: "req-1"},
		models.Entry{OccurredAt: d.ago(50 * time.Hour), Action: "key:create", EntityID: "key_1", ActorID: models.SystemActorID, ActorName: "system", Outcome: "failure"},
		models.Entry{OccurredAt: d.ago(60 * time.Hour), Action: "project:update", EntityID: "arn:aws:prj"},
	)
	return d
}

func shownIDs(page *goquery.Document) []string {
	return page.Find("code[data-value]").Map(func(_ int, id *goquery.Selection) string { return id.Text() })
}

func TestTheSearchBoxReadsTheLanguage(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := questionFixture(t, db)
		for _, asked := range []struct {
			text, canonical string
			want            []string
		}{
			{`"checkout api"`, "q=%22checkout+api%22", []string{"srv_web"}},
			{"checkout -delete", "q=checkout+-delete", []string{"srv_web"}},
			{"-checkout", "q=-checkout", []string{"key_1", "arn:aws:prj"}},
			{"arn:aws", "q=arn:aws", []string{"arn:aws:prj"}},
			{"key:create", "q=%22key:create%22", []string{"key_1"}}, // a recorded action is text
			{"action:service:update", "action=service:update", []string{"srv_web"}},
			{"action:service:*", "q=action:service:*", []string{"srv_web", "srv_api"}},
			{"-action:service:*", "q=-action:service:*", []string{"key_1", "arn:aws:prj"}},
			{"actor:BOB@example.com", "q=actor:BOB@example.com", []string{"srv_api"}},
			{"-actor:bob,system", "q=-actor:bob,system", []string{"srv_web", "arn:aws:prj"}},
			{"outcome:failure,denied", "outcome=denied&outcome=failure", []string{"key_1"}},
			{"ip:192.0.2.1", "ip=192.0.2.1", []string{"srv_api"}},
			{"ip:10.0.0.0/8", "q=ip:10.0.0.0/8", []string{"srv_web"}},
			{"request:req-1", "request_id=req-1", []string{"srv_api"}},
			{"meta.userAgent:stratus*", "q=meta.userAgent:stratus*", []string{"srv_web"}},
			{"meta:viewer", "q=meta:viewer", []string{"srv_web"}},
			{"after:-1d type:service", "q=type:service&from=-1d&tz=UTC", []string{"srv_web", "srv_api"}},
			{"before:2026-06-13", "to=2026-06-13&tz=UTC", []string{"key_1", "arn:aws:prj"}},
		} {
			query := url.Values{"q": {asked.text}}.Encode()
			page := d.page(logPath + "?" + query)
			if got := shownIDs(page); !slices.Equal(got, asked.want) {
				t.Errorf("%s finds %v, want %v", asked.text, got, asked.want)
			}
			if got := link(t, page, `#export a[href*="csv"]`); got != logPath+"/export?format=csv&"+asked.canonical {
				t.Errorf("the export of %s is %q", asked.text, got)
			}
			if got := shownIDs(d.page(logPath + "?" + asked.canonical)); !slices.Equal(got, asked.want) {
				t.Errorf("%s finds %v, want %v", asked.canonical, got, asked.want)
			}
			// Sent again as a browser without script does, the form asks for the same.
			again := d.page(logPath + "?" + formOf(page.Find("#filters")).Encode())
			if got := shownIDs(again); !slices.Equal(got, asked.want) {
				t.Errorf("the form of %s, sent again, finds %v", asked.text, got)
			}
			// htmx is told the one address of what it asked for.
			response, _ := d.get(logPath+"?"+query, fragment...)
			canonical := logPath + "?" + asked.canonical
			if box := page.Find("#q").AttrOr("value", ""); box == asked.text {
				canonical = ""
			}
			if got := response.Header.Get("HX-Push-Url"); got != canonical {
				t.Errorf("the address of %s becomes %q", asked.text, got)
			}
		}
	})
}

func TestTermsAreChipsThatComeOffOneByOne(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := questionFixture(t, db)
		page := d.page(logPath + "?" + url.Values{"q": {`web staging "two words" -old -action:a:*,b:c ip:10.0.0.0/8 -meta.a.b:x after:-7d`}}.Encode())
		chips := page.Find(".chip").Map(func(_ int, chip *goquery.Selection) string { return text(chip) })
		want := []string{"Search web staging", "Search two words", "Without old", "Not action a:* or b:c", "IP 10.0.0.0/8", "Not metadata a.b x", "From 7 days ago"}
		if !slices.Equal(chips, want) {
			t.Errorf("the chips are %q, want %q", chips, want)
		}
		if box, _ := page.Find("#q").Attr("value"); box != `web staging "two words" -old -action:a:*,b:c ip:10.0.0.0/8 -meta.a.b:x` {
			t.Errorf("the box says %q", box)
		}
		for i := range want {
			left := d.page(page.Find(".chip-remove").Eq(i).AttrOr("href", ""))
			chips := left.Find(".chip").Map(func(_ int, chip *goquery.Selection) string { return text(chip) })
			if rest := slices.Delete(slices.Clone(want), i, i+1); !slices.Equal(chips, rest) {
				t.Errorf("without %s there remains %q", want[i], chips)
			}
		}
	})
}

func TestWhatIsNotUnderstoodIsExplained(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := questionFixture(t, db)
		address := logPath + "?" + url.Values{"q": {"web acton:x"}}.Encode()
		response, body := d.get(address)
		page, err := goquery.NewDocumentFromReader(strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusBadRequest || page.Find("tbody[data-entry-id]").Length() > 0 {
			t.Errorf("it answers %d, with %d entries", response.StatusCode, page.Find("tbody[data-entry-id]").Length())
		}
		if notes := text(page.Find("#question-notes")); !strings.Contains(notes, "acton:x there is no field acton") || !strings.Contains(notes, "Right would be action:x.") {
			t.Errorf("it explains %q", notes)
		}
		if box, _ := page.Find("#q").Attr("value"); box != "web acton:x" {
			t.Errorf("the box says %q", box)
		}
		if without := link(t, page, "#question-notes a"); without != logPath+"?q=web" {
			t.Errorf("without it, it is %q", without)
		}
		// Entered, it is the same; the rows stay as they are.
		response, body = d.get(address, fragment...)
		if response.StatusCode != http.StatusBadRequest || !strings.Contains(body, "Right would be") {
			t.Errorf("as a fragment it answers %d: %s", response.StatusCode, body)
		}
		// While it is typed, what is understood is shown, and nothing becomes a filter yet.
		typing := append([]string{"HX-Source", "input#q"}, fragment...)
		for typed, want := range map[string][]string{
			"web acton:x": {"srv_web"}, "web action:": {"srv_web"}, `"checkout a`: {"srv_web", "srv_api", "key_1", "arn:aws:prj"},
			"ip:10.1.2.3": {"srv_web"}, "after:-1d": {"srv_web", "srv_api"},
		} {
			page := d.page(logPath+"?"+url.Values{"q": {typed}}.Encode(), typing...)
			if got := shownIDs(page); !slices.Equal(got, want) {
				t.Errorf("typing %s shows %v", typed, got)
			}
			if carried := page.Find(`#filter-state input[type="hidden"]:not([name="tz"]), #range input[value]:not([value=""])`); carried.Length() > 0 {
				t.Errorf("typing %s makes the form carry %s", typed, carried.AttrOr("name", ""))
			}
		}
		for _, path := range []string{"/export?format=csv&", "?cursor=x&"} {
			if response, _ := d.get(logPath + path + url.Values{"q": {"action:"}}.Encode()); response.StatusCode != http.StatusBadRequest {
				t.Errorf("%s answers %d", path, response.StatusCode)
			}
		}
	})
}
