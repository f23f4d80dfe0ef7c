package handlers

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

func TestNothingToShowHasThreeFaces(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
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
		if offer := link(t, none, `#entries .message .people a[href*="actor"]`); offer != logPath+"?actor=usr_1&limit=25" {
			t.Errorf("the person's filter is %q", offer)
		}
		if status := none.Find("[role=status]").First().Text(); status != "No entries" {
			t.Errorf("the live region says %q", status)
		}
	})
}

// switchLogging switches audit logging at the logFixture's time.
func (d *logFixture) switchLogging(on bool) {
	d.t.Helper()
	ctx := d.t.Context()
	settings := models.AuditSettings{RetentionDays: 90, LoggingEnabled: on}
	_, after, err := models.ChangeAuditSettings(ctx, d.store.Writer(ctx), d.org.ID, models.Actor{ID: "usr_1", Name: "Ada"}, settings, 0, d.now)
	if err != nil {
		d.t.Fatal(err)
	}
	d.org = after
}

func TestTheLogSaysWhenLoggingWasOff(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
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
		d := newLogFixture(t, db)
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
