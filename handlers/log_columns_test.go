package handlers

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

func TestTheAddressNamesTheColumnsInOneWay(t *testing.T) {
	for query, want := range map[string]string{
		"": "",
		"column=user&column=entity_type&column=entity_id": "",
		"column=":                         "",
		"column=action":                   "column=action",
		"column=timestamp&column=action":  "column=action",
		"column=ip&column=user&column=ip": "column=user&column=ip",
		"column=action&column=entity_id&column=user&column=ip&column=": "column=entity_id&column=user&column=ip",
		"column=userAgent&column=ip":                                   "column=ip&column=meta.userAgent",
		"column=meta.b&column=a&column=b":                              "column=meta.b&column=meta.a",
		`column=meta."a.b"."c d"`:                                      "column=meta.%22a.b%22.%22c+d%22",
		"column=meta.ip":                                               "column=meta.ip",
	} {
		filter, err := ParseFilter(strings.ReplaceAll(query, " ", "+"), time.UTC, time.Unix(0, 0))
		if err != nil || filter.String() != want {
			t.Errorf("%s: %q, %v; want %q", query, filter.String(), err, want)
		}
		if again, err := ParseFilter(filter.String(), time.UTC, time.Unix(0, 0)); err != nil || again.String() != want {
			t.Errorf("%s: read again it is %q, %v", query, again.String(), err)
		}
	}
	for _, query := range []string{"column=a..b", "column=%22open", "column=a:b", "column=a+b", "column=meta.", "column=a&column=b&column=c&column=d", "column=" + strings.Repeat("x", 300)} {
		var bad *fault.Field
		if _, err := ParseFilter(query, time.UTC, time.Unix(0, 0)); !errors.As(err, &bad) || bad.Field != "column" {
			t.Errorf("%s: %v", query, err)
		}
	}
}

// cellsOfRow are the texts of a row, by column.
func cellsOfRow(row *goquery.Selection) (texts []string) {
	for _, cell := range row.Find("[data-col]").EachIter() {
		text := cell.AttrOr("data-col", "")
		if value := cell.Find("bdi"); cell.HasClass("further") && value.Length() > 0 {
			text += "=" + value.Text()
		}
		texts = append(texts, text)
	}
	return texts
}

func TestTheTableHasTheColumnsThatAreChosen(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		long := strings.Repeat("long ", 100)
		d.insert(d.org,
			models.Entry{Action: "service:update", OccurredAt: d.ago(1 * time.Minute), IP: "192.0.2.7", Metadata: `{"region":"eu west","deep":{"a.b":[1,true,{"c":2}]},"o":{"x":1}}`},
			models.Entry{Action: "service:delete", OccurredAt: d.ago(2 * time.Minute), Metadata: `{"region":"` + long + `"}`},
		)
		log := "/orgs/acme" + "/settings/audit-logs"
		for _, sort := range []string{"", "&sort=action&dir=desc", "&sort=user", "&q=srv", "&q=-ip:192.0.2.8+meta.region:*", "&sort=entity_type&q=meta:eu,long"} {
			page := d.page(log + "?column=entity_id&column=ip&column=meta.region&column=meta.deep.%22a.b%22&column=o" + sort)
			var heads []string
			for _, head := range page.Find("thead th").EachIter() {
				heads = append(heads, head.AttrOr("data-col", ""))
			}
			if got := strings.Join(heads, " "); got != `action entity_id ip meta.region meta.deep."a.b" meta.o timestamp` {
				t.Errorf("%s: the columns are %s", sort, got)
			}
			for _, row := range page.Find(".between [colspan]").EachIter() {
				if span := row.AttrOr("colspan", ""); span != "7" {
					t.Errorf("%s: what stands between spans %s", sort, span)
				}
			}
			rows := page.Find("[data-entry-id]")
			if rows.Length() != 2 {
				t.Fatalf("%s: %d rows", sort, rows.Length())
			}
			for _, row := range rows.EachIter() {
				want := []string{"action", "entity_id", "ip=192.0.2.7", "meta.region=eu west", `meta.deep."a.b"=1, true`, "meta.o", "timestamp"}
				if strings.Contains(row.Text(), "service:delete") {
					want = []string{"action", "entity_id", "ip", "meta.region=" + long[:300] + "…", `meta.deep."a.b"`, "meta.o", "timestamp"}
				}
				if got := cellsOfRow(row); !slices.Equal(got, want) {
					t.Errorf("%s: the row is %q, want %q", sort, got, want)
				}
			}
		}
		// Each value leads to what has the same, with the same columns.
		page := d.page(log + "?column=ip&column=region")
		for column, want := range map[string]string{
			"ip": log + "?ip=192.0.2.7&column=ip&column=meta.region", "meta.region": log + "?q=meta.region:%22eu+west%22&column=ip&column=meta.region",
		} {
			href := page.Find(`[data-col="`+column+`"] a`).First().AttrOr("href", "")
			if href != want {
				t.Errorf("%s leads to %s, want %s", column, href, want)
			}
			if n := d.page(href).Find("[data-entry-id]").Length(); n != 1 {
				t.Errorf("there are %d entries", n)
			}
		}
		if href := page.Find(`thead [data-col="action"] a`).AttrOr("href", ""); href != log+"?sort=action&column=ip&column=meta.region" {
			t.Errorf("sorting leads to %s", href)
		}
		if href := page.Find("#export a").First().AttrOr("href", ""); strings.Contains(href, "column") {
			t.Errorf("the export is %s", href)
		}
		entry := page.Find("[data-entry-id] a").AttrOr("href", "")
		if span := d.page(entry, fragment...).Find("td").First().AttrOr("colspan", ""); span != "4" {
			t.Errorf("an opened row spans %s columns", span)
		}
		// Without a choice it is as ever.
		if got := strings.Join(cellsOfRow(d.page(log).Find("[data-entry-id]").First()), " "); got != "action entity_type entity_id user timestamp" {
			t.Errorf("by default there are %s", got)
		}

		// The form says it in a way of its own: both answers lead to the canonical address.
		form := "?column=action&column=&column=ip&column=&column=region&column=&q=srv"
		want := log + "?q=srv&column=ip&column=meta.region"
		if response, _ := d.get(log + form); response.StatusCode != http.StatusSeeOther || response.Header.Get("Location") != want {
			t.Errorf("it answers %d, %s", response.StatusCode, response.Header.Get("Location"))
		}
		if response, _ := d.get(log+form, fragment...); response.StatusCode != http.StatusOK || response.Header.Get("HX-Push-Url") != want {
			t.Errorf("htmx is answered %d, %s", response.StatusCode, response.Header.Get("HX-Push-Url"))
		}
		menu := d.page(want).Find(".columns-menu form")
		if menu.Find("input[checked]").AttrOr("value", "") != "ip" || menu.Find(`[name="q"]`).AttrOr("value", "") != "srv" || menu.Find(`input.mono[value="meta.region"]`).Length() != 1 {
			html, _ := menu.Html()
			t.Errorf("the form is %s", html)
		}
		if got := d.page(want).Find(`#filters [name="column"]`).Length(); got != 2 {
			t.Errorf("the filters carry %d columns along", got)
		}
	})
}
