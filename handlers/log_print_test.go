package handlers

import (
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

// On paper a page says which entries of which list it holds, and what lies before and after.
func TestAPrintedPageSaysWhatItIsAPageOf(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		var entries []models.Entry
		for i := range 60 {
			action := "service:update"
			if i < 10 {
				action = "service:create"
			}
			entries = append(entries, models.Entry{Action: action, OccurredAt: d.ago(time.Duration(i) * time.Hour)})
		}
		d.insert(d.org, entries...)
		log := "/orgs/acme/settings/audit-logs"
		said := func(path string) string {
			t.Helper()
			return text(d.page(path).Find("#entries p.print-only"))
		}
		next := func(path string) string {
			t.Helper()
			return d.page(path).Find("nav.pages a[rel=next]").AttrOr("href", "")
		}
		second := next(log + "?limit=25")
		for path, want := range map[string]string{
			log + "?limit=25":                         "25 entries, newest first: Jun 15, 2026, 12:00:00 to Jun 14, 2026, 12:00:00. This is the first page: older ones follow.",
			second:                                    "25 entries, newest first: Jun 14, 2026, 11:00:00 to Jun 13, 2026, 11:00:00. Newer entries come before this page, and older ones follow.",
			next(second):                              "10 entries, newest first: Jun 13, 2026, 10:00:00 to Jun 13, 2026, 01:00:00. This is the last page: newer entries come before it.",
			log + "?limit=100":                        "Every entry: 60 entries, newest first: Jun 15, 2026, 12:00:00 to Jun 13, 2026, 01:00:00.",
			log + "?action=service:create":            "Every entry the filters show: 10 entries, newest first: Jun 15, 2026, 12:00:00 to Jun 15, 2026, 03:00:00.",
			log + "?q=srv&sort=action":                "50 entries of those the filters show, sorted by action, A to Z: service:create to service:update. This is the first page: more follow.",
			"/orgs/acme/resources/service?id=srv_1":   "50 entries, newest first: Jun 15, 2026, 12:00:00 to Jun 13, 2026, 11:00:00. This is the first page: older ones follow.",
			log + "?action=service:delete":            "",
			log + "?dir=asc&from=2026-06-15&limit=25": "Every entry the filters show: 13 entries, oldest first: Jun 15, 2026, 00:00:00 to Jun 15, 2026, 12:00:00.",
		} {
			if got := said(path); got != want {
				t.Errorf("%s says\n%q, want\n%q", path, got, want)
			}
		}
	})
}

// The help with the first event stands until an application has recorded one, whatever the app records of itself.
func TestHelpWithTheFirstEventStandsUntilThereIsOne(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		log := "/orgs/acme/settings/audit-logs"
		helps := func(path string) int { return d.page(path).Find(`pre:contains("audit.Record(ctx, tx")`).Length() }
		if n := helps(log); n != 1 {
			t.Errorf("an empty log shows the help %d times", n)
		}
		d.insert(d.org,
			models.Entry{Action: "organization:create"}, models.Entry{Action: "organization:audit_config_update"},
			models.Entry{Action: "user:sign_in"}, models.Entry{Action: "member:invite"}, models.Entry{Action: "api_key:create"})
		for _, path := range []string{log, log + "?q=nothing", log + "?action=user:sign_in&sort=user"} {
			page := d.page(path)
			if page.Find("#first-event ~ #entries").Length() != 1 || helps(path) != 1 {
				t.Errorf("%s does not show the help above the list", path)
			}
		}
		d.insert(d.org, models.Entry{Action: "organization:ai_config_update"})
		if n := helps(log); n != 0 {
			t.Errorf("a log with an event shows the help %d times", n)
		}
	})
}
