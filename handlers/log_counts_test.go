package handlers

import (
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/counts"
)

func TestTheLogSaysHowManyEntriesThereAreAndWhen(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		d.zone = time.FixedZone("", 5*3600+1800) // the clocks show 17:30
		d.insert(d.org,
			models.Entry{OccurredAt: d.ago(30 * time.Hour), Action: "service:create"},
			models.Entry{OccurredAt: d.ago(29*time.Hour + 40*time.Minute), Action: "service:update", Outcome: event.OutcomeDenied},
			models.Entry{OccurredAt: d.ago(time.Hour), Action: "service:update"},
		)
		place := d.page(logPath + "?action=service:*").Find("#counts")
		if text(place) != "Count these entries" {
			t.Errorf("before anything is counted the page says %q", text(place))
		}
		// The page with the rows does not count.
		page := d.page(place.AttrOr("hx-get", ""), fragment...)
		if got := text(page.Find(".counts-total")); got != "3 entries" {
			t.Errorf("%q are counted", got)
		}
		var rows []string
		for _, row := range page.Find(".chart-table tbody tr").EachIter() {
			rows = append(rows, text(row.Find("th"))+" "+text(row.Find("td").First())+" "+text(row.Find("td").Last()))
		}
		// By what those clocks show: 11:30 to 11:50, and 16:30.
		want := []string{"Jun 14, 11:00 1 1", "Jun 15, 16:00 1 0"}
		if strings.Join(rows, "; ") != strings.Join(want, "; ") {
			t.Errorf("the table has the rows %q, want %q", rows, want)
		}
		if n := page.Find("svg.chart .chart-failed").Length(); n != 1 {
			t.Errorf("%d bars show what failed", n)
		}
		// A bar leads to its entries.
		found := d.page(page.Find("svg.chart a").First().AttrOr("href", ""))
		if n := found.Find("#entries .entry").Length(); n != 2 {
			t.Errorf("the first bar leads to %d entries", n)
		}
		// Also without script.
		if got := text(d.page(place.Find("a").AttrOr("href", "")).Find(".counts-total")); got != "3 entries" {
			t.Errorf("without script %q are counted", got)
		}
		if d.page(logPath+"/counts?action=none:such", fragment...).Find("svg").Length() > 0 {
			t.Error("there is a chart of nothing")
		}
		if response, _ := d.get(logPath+"/counts?from=x", fragment...); response.StatusCode != 400 {
			t.Errorf("a mistake is answered with %d", response.StatusCode)
		}
	})
}

func TestLargeNumbersAreRounded(t *testing.T) {
	for _, c := range []struct {
		answer       counts.Answer
		total, exact string // rounded, and not
	}{
		{counts.Answer{Count: 1, All: true}, "1 entry", "1 entry"},
		{counts.Answer{Count: 10_000, All: true}, "10,000 entries", "10,000 entries"},
		{counts.Answer{Count: 10_000}, "10,000+ entries", "10,000+ entries"},
		{counts.Answer{}, "None so far", "None so far"},
		{counts.Answer{Count: 123_456, All: true}, "About 123,000 entries", "123,456 entries"},
		{counts.Answer{Count: 2_345_678, All: true}, "About 2.3 million entries", "2,345,678 entries"},
	} {
		if total, exact := totalOf(c.answer, false), totalOf(c.answer, true); total != c.total || exact != c.exact {
			t.Errorf("%+v is said as %q (%q), want %q (%q)", c.answer, total, exact, c.total, c.exact)
		}
	}
}

// Where clocks are put forward at midnight, a day begins later.
func TestBarsGoOnOverEveryChangeOfTheClocks(t *testing.T) {
	for _, name := range []string{"UTC", "America/Santiago", "America/Havana", "Africa/Cairo", "Europe/Berlin", "Australia/Lord_Howe"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Date(2026, 1, 1, 12, 30, 0, 0, zone)
		for _, unit := range units {
			for at := unit.begin(begin); at.Year() < 2027; at = unit.next(at) {
				if next := unit.next(at); !next.After(at) || unit.longest > 7*24*time.Hour && next.Day() == at.Day() {
					t.Fatalf("in %s the %s from %s is followed by that from %s", name, unit.name, at, next)
				}
			}
		}
		for _, day := range []time.Month{time.March, time.September} {
			if at := time.Date(2026, day, 6, 12, 0, 0, 0, zone); beginOfDay(at).Day() != 6 {
				t.Errorf("in %s the day of %s begins at %s", name, at, beginOfDay(at))
			}
		}
	}
}
