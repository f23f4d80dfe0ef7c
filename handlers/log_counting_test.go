package handlers

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/counts"
)

// chartRows are those of the chart's table.
func chartRows(page *goquery.Document) (rows []string) {
	for _, row := range page.Find(".chart-table tbody tr").EachIter() {
		rows = append(rows, text(row))
	}
	return rows
}

func TestAChartFillsInStepByStep(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		d.zone = time.FixedZone("", 5*3600+1800)
		for n := range 60 {
			e := models.Entry{OccurredAt: d.ago(time.Duration(n) * 20 * time.Hour), Action: "service:update"}
			if n%3 == 0 {
				e.Outcome = event.OutcomeDenied
			}
			d.insert(d.org, e)
		}
		const question = "/counts?outcome=denied"
		whole := d.page(logPath+question, fragment...)
		if got := text(whole.Find(".counts-total")); got != "20 entries" {
			t.Fatalf("at once %q are counted", got)
		}
		usual := d.pages.Entries.Limits
		d.pages.Entries.Limits.Rows, d.pages.Entries.Limits.FirstLook = 10, 2
		page := d.page(logPath+question, fragment...)
		if said := text(page.Find(".counts-total")); !strings.Contains(said, "+ entries back to Jun ") || !strings.HasSuffix(said, "Count exactly") {
			t.Fatalf("what is counted in part is said as %q", said)
		}
		if page.Find(".counts-total a.without-script").Length() != 1 || page.Find(".chart-unknown").Length() != 1 {
			t.Error("a chart that goes on by itself says so to everybody, or does not show what is unknown")
		}
		first, _ := page.Find(".counts-total a").Attr("href")

		steps := 0
		for ; ; steps++ {
			next, goesOn := page.Find("#counts").Attr("hx-get")
			if !goesOn {
				break
			}
			page = d.page(next, fragment...)
		}
		if steps < 3 || steps >= maxCountSteps {
			t.Fatalf("%d steps were taken", steps)
		}
		check := func(how string) {
			t.Helper()
			if got := text(page.Find(".counts-total")); got != "20 entries" {
				t.Errorf("%s %q are counted", how, got)
			}
			if got, want := chartRows(page), chartRows(whole); !slices.Equal(got, want) {
				t.Errorf("%s the table has the rows %q, want %q", how, got, want)
			}
		}
		check("step by step")
		page = d.page(first)
		check("when asked to")
		page = d.page(logPath + question + "&exact=1")
		check("at once")

		// It ends by itself, and goes on when asked to.
		d.pages.Entries.Limits.Rows, d.pages.Entries.Limits.FirstLook = 3, 1
		page = d.page(logPath+question, fragment...)
		for n := 1; n < maxCountSteps; n++ {
			page = d.page(page.Find("#counts").AttrOr("hx-get", ""), fragment...)
		}
		if _, goesOn := page.Find("#counts").Attr("hx-get"); goesOn {
			t.Errorf("after %d steps the page goes on by itself", maxCountSteps)
		}
		link := page.Find(".counts-total a:not(.without-script)").AttrOr("href", "")
		d.pages.Entries.Limits = usual
		page = d.page(link)
		check("after so many steps")

		// One count at a time.
		d.pages.Counting = NewCountingShares()
		d.pages.Counting.patience = time.Millisecond
		giveBack, err := d.pages.Counting.Await(t.Context(), d.org.ID)
		if err != nil {
			t.Fatal(err)
		}
		page = d.page(link)
		if said := text(page.Find(".counts-total")); !strings.Contains(said, "counts this log just now") || !strings.HasSuffix(said, "Try again") {
			t.Errorf("while others count the page says %q", said)
		}
		again := page.Find(".counts-total a").AttrOr("href", "")
		giveBack()
		page = d.page(again)
		check("once others have counted")

		for _, mistake := range []string{"at=x", "at=" + models.FirstEntryID(0).String() + "&counted=x", "at=" + models.FirstEntryID(0).String() + "&counted=zzzzzzz.1.1"} {
			if response, _ := d.get(logPath + "/counts?" + mistake); response.StatusCode != 400 {
				t.Errorf("%s is answered with %d", mistake, response.StatusCode)
			}
		}
	})
}

// A request stops counting in time to say so.
func TestCountingEndsBeforeTheRequestDoes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		d.insert(d.org, models.Entry{OccurredAt: d.ago(time.Hour), Action: "service:update"})
		for left, want := range map[time.Duration]bool{readTimeout/2 - time.Second: false, time.Minute: true} {
			ctx, cancel := context.WithTimeout(t.Context(), left)
			defer cancel()
			if answer, err := d.pages.countOn(ctx, d.org, wholeLog(d.zone).Query(), counts.Answer{}); err != nil || answer.All != want {
				t.Errorf("with %v left all are counted: %v, %v", left, answer.All, err)
			}
		}
	})
}
