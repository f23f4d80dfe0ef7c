package handlers

import (
	"net/url"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

// An hour that clocks show twice is told apart by the offset, in rows, banners and chips; no other is.
func TestTimesOfAnHourThatComesTwiceShowTheOffset(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		d.now = time.Date(2026, 10, 26, 12, 0, 0, 0, time.UTC)
		d.zone = zone(t, "Europe/Berlin")
		stored := d.insert(d.org,
			models.Entry{OccurredAt: models.MicrosOf(time.Date(2026, 10, 24, 23, 59, 59, 0, time.UTC))},
			models.Entry{OccurredAt: models.MicrosOf(time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC))},
			models.Entry{OccurredAt: models.MicrosOf(time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC))},
			models.Entry{OccurredAt: models.MicrosOf(time.Date(2026, 10, 25, 2, 0, 0, 0, time.UTC))},
		)
		page := d.page("/orgs/acme/settings/audit-logs")
		for i, want := range []string{"Oct 25, 01:59:59", "Oct 25, 02:30:00 +02:00", "Oct 25, 02:30:00 +01:00", "Oct 25, 03:00:00"} {
			if got := page.Find("#entry-" + stored[i].ID.String() + " time").Text(); got != want {
				t.Errorf("entry %d is shown at %q, want %q", i, got, want)
			}
		}
		d.now = time.Date(2027, 1, 5, 12, 0, 0, 0, time.UTC)
		later := d.page("/orgs/acme/settings/audit-logs").Find("#entry-" + stored[2].ID.String() + " time").Text()
		if want := "Oct 25, 2026, 02:30:00 +01:00"; later != want {
			t.Errorf("in the next year it is shown at %q, want %q", later, want)
		}
		chip := d.page("/orgs/acme/settings/audit-logs?from=2026-10-25T00:30:00Z").Find(".chip-value").Text()
		if chip != "Oct 25, 2026, 02:30:00 +02:00" {
			t.Errorf("the chip says %q", chip)
		}
	})
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

// Around an entry the log keeps the filters of the page it was opened on, or drops them, and fills the fields.
func TestAroundAnEntryKeepsTheFiltersAndFillsTheFields(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		d.zone = zone(t, "Europe/Berlin")
		entry := d.insert(d.org, models.Entry{OccurredAt: d.ago(time.Hour)})[0]
		path := "/orgs/acme/settings/audit-logs/" + entry.ID.String()
		const query = "action=service:update&q=srv&from=-7d&sort=user&limit=25"
		for name, page := range map[string]*goquery.Document{
			"with script":    d.page(path+"?"+query, fragment...),
			"without script": d.page(path + "?" + query),
		} {
			menu := page.Find(`.ways[aria-label="Around it"] a:contains("5 minutes")`)
			if got := menu.Last().AttrOr("href", ""); got != "/orgs/acme/settings/audit-logs?from=2026-06-15T12:55&to=2026-06-15T13:05:01&tz=Europe/Berlin&sort=user&limit=25" {
				t.Errorf("%s: without the filters it leads to %s", name, got)
			}
			around := menu.First().AttrOr("href", "")
			const want = "/orgs/acme/settings/audit-logs?action=service:update&q=srv&from=2026-06-15T12:55&to=2026-06-15T13:05:01&tz=Europe/Berlin&sort=user&limit=25"
			if around != want {
				t.Errorf("%s: leads to %s, want %s", name, around, want)
			}
			user := page.Find(`a:contains("Only this user")`).AttrOr("href", "")
			if want := "/orgs/acme/settings/audit-logs?action=service:update&actor=usr_1&q=srv&from=-7d&tz=Europe/Berlin&sort=user&limit=25"; user != want {
				t.Errorf("%s: leads to %s, want %s", name, user, want)
			}
			shown := d.page(around)
			if rows := shown.Find("[data-entry-id]").Length(); rows != 1 {
				t.Errorf("%d entries around it", rows)
			}
			for name, want := range map[string]string{"from": "2026-06-15T12:55", "to": "2026-06-15T13:05:01"} {
				if got := shown.Find(`#range [name=`+name+`]`).AttrOr("value", ""); got != want {
					t.Errorf("the field %s holds %q, want %q", name, got, want)
				}
			}
		}
	})
}

// The fields of the range show what the address says, and saying it again changes nothing.
func TestTheFieldsOfTheRangeSayWhatTheAddressSays(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		d.zone = zone(t, "Europe/Berlin")
		for query, want := range map[string][2]string{
			"from=2026-06-01&to=2026-06-01":                               {"2026-06-01T00:00", "2026-06-02T00:00"},
			"from=2026-06-01T13:00&to=2026-06-01T14:00:05":                {"2026-06-01T13:00", "2026-06-01T14:00:05"},
			"from=2026-06-01T13:00&tz=America/New_York":                   {"2026-06-01T13:00", ""},
			"from=2026-06-01T11:00:00Z":                                   {"2026-06-01T13:00", ""},
			"from=-7d":                                                    {"", ""},
			"from=2025-10-25T00:30:00Z&to=2025-10-26T00:30:00Z":           {"2025-10-25T02:30", ""}, // which of the two?
			"from=2025-10-26T02:30&to=2025-10-26T02:30":                   {"2025-10-26T02:30", "2025-10-26T02:30"},
			"from=2026-06-01T11:00:00.25Z&to=2026-06-01T11:00:00.5-04:00": {"", ""},
		} {
			page := d.page("/orgs/acme/settings/audit-logs?" + query)
			for i, name := range []string{"from", "to"} {
				field := page.Find("#range #" + name)
				if field.AttrOr("type", "") != "datetime-local" || field.AttrOr("value", "") != want[i] {
					t.Errorf("%s: the field %s is %q", query, name, field.AttrOr("value", ""))
				}
			}
			// What the form sends: a control comes after what is carried along, and the last one counts.
			form := url.Values{}
			page.Find("#filters [name=from], #filters [name=to], #filters [name=tz]").Each(func(_ int, field *goquery.Selection) {
				if value := field.AttrOr("value", ""); value != "" {
					form.Add(field.AttrOr("name", ""), value)
				}
			})
			asked, sent := bounds(t, query, d), bounds(t, form.Encode(), d)
			if asked != sent {
				t.Errorf("%s: the form sends %s, which is %v and not %v", query, form.Encode(), sent, asked)
			}
		}
	})
}

func bounds(t *testing.T, query string, d *logFixture) [2]models.Micros {
	t.Helper()
	filter, err := ParseFilter(query, d.zone, d.now)
	if err != nil {
		t.Fatal(err)
	}
	return [2]models.Micros{filter.From.At, filter.To.At}
}
