package handlers_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

func TestSettingsOverviewLeadsToItsSections(t *testing.T) {
	d := newSettingsFixture(t, databasetest.SQLite(t))
	page := d.member.Get("/orgs/acme/settings").Expect(200)
	for _, section := range []string{"organization", "members", "audit-logs"} {
		if page.Find(`main a[href="/orgs/acme/settings/`+section+`"]`).Length() != 1 {
			t.Errorf("no link to %s", section)
		}
	}
}

func TestRetentionPeriodRefusesBadValues(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newSettingsFixture(t, db)
		for _, value := range []string{"0", "366", "-1", "1.5", "", "ninety", "9999999999", "99999999999999999999", "1e2", "0x10", "١٢", "30 days", "-"} {
			for _, confirm := range []string{"", "yes"} {
				page := d.admin.Post(auditForm, "enabled", "on", "retention_days", value, "confirm", confirm).Expect(422)
				field := page.Find(`form input[name=retention_days]`)
				if got := field.AttrOr("value", "absent"); got != value {
					t.Errorf("%q: the field holds %q", value, got)
				}
				if field.AttrOr("aria-invalid", "") != "true" {
					t.Errorf("%q: the field is not marked", value)
				}
				if reason := page.Text("#" + field.AttrOr("aria-describedby", "none")); !strings.Contains(reason, "1 to 365") {
					t.Errorf("%q: the reason is %q", value, reason)
				}
			}
		}
		fragment := postFragment(d.admin, auditForm, "retention_days", "ninety").Expect(422)
		if strings.Contains(fragment.Body, "<html") || fragment.Find("#audit-log-configuration").Length() != 1 {
			t.Errorf("htmx gets %s", fragment.Body)
		}
		if fragment.Find("input[name=enabled][checked]").Length() != 0 {
			t.Error("the switch is not as it was ticked")
		}
		d.wantSettings(90, true)
		if n := len(d.entries(action.OrganizationAuditConfigUpdate)); n != 0 {
			t.Errorf("%d entries were recorded", n)
		}
	})
}

func TestRaisingRetentionIsSavedAtOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newSettingsFixture(t, db)
		d.admin.Post(auditForm, "enabled", "on", "retention_days", "365").ExpectRedirect(settingsPage)
		d.wantSettings(365, true)
		page := d.admin.Get(settingsPage).Expect(200)
		if got := page.Text(".banner.success"); got != "Saved. Retention period: 90 → 365 days." {
			t.Errorf("the page says %q", got)
		}
		if d.admin.Get(settingsPage).Find(".banner.success").Length() != 0 {
			t.Error("the page says so twice")
		}
		change := d.changes(action.OrganizationAuditConfigUpdate)
		if len(change) != 1 || change["retention_days"] != (audit.Change{Before: 90.0, After: 365.0}) {
			t.Errorf("the entry holds %v", change)
		}
		entry := d.entries(action.OrganizationAuditConfigUpdate)[0]
		if entry.EntityType != "organization" || entry.EntityID != "acme" || entry.ActorEmail != "admin@example.com" {
			t.Errorf("the entry is %+v", entry)
		}
		row := page.Find("[data-settings-change]")
		if row.Length() != 1 || !strings.Contains(row.Text(), "90 → 365 days") || !strings.Contains(row.Text(), "admin@example.com") {
			t.Errorf("the history reads %q", row.Text())
		}
	})
}

func TestLoweringRetentionAsksFirst(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newSettingsFixture(t, db)
		d.record(31*settingsDay, 12)
		d.record(29*settingsDay, 3)
		d.record(91*settingsDay, 2) // expired already: nobody loses it now

		question := d.admin.Post(auditForm, "enabled", "on", "retention_days", "30").Expect(200)
		if !strings.Contains(question.Text("main"), "12 entries") || !strings.Contains(question.Text("main"), "before Apr 20, 2026") {
			t.Errorf("the question reads %q", question.Text("main"))
		}
		if !strings.Contains(question.Text("#side"), "Organization") {
			t.Error("without script the question is no page of its own")
		}
		d.wantSettings(90, true)

		fragment := postFragment(d.admin, auditForm, "enabled", "on", "retention_days", "30").Expect(200)
		if strings.Contains(fragment.Body, "<html") || fragment.Find("section#audit-log-configuration input[name=confirm]").Length() != 1 {
			t.Errorf("htmx gets %s", fragment.Body)
		}
		// What is in the address is not a confirmation.
		d.admin.Post(auditForm+"?confirm=yes", "enabled", "on", "retention_days", "30").Expect(200)
		d.wantSettings(90, true)

		// Answering the question by its own form.
		var fields []string
		question.Find(`form[action="` + auditForm + `"] input`).Each(func(_ int, input *goquery.Selection) {
			fields = append(fields, input.AttrOr("name", ""), input.AttrOr("value", ""))
		})
		d.admin.Post(auditForm, fields...).ExpectRedirect(settingsPage)
		d.wantSettings(30, true)
		visible, err := entries.NewLog(d.Store).Page(t.Context(), d.org(), entries.Query{Actions: []string{"service:update"}, Limit: 100})
		if err != nil || len(visible.Entries) != 3 {
			t.Errorf("%d entries are visible, want 3 (%v)", len(visible.Entries), err)
		}
		if change := d.changes(action.OrganizationAuditConfigUpdate); change["retention_days"] != (audit.Change{Before: 90.0, After: 30.0}) {
			t.Errorf("the entry holds %v", change)
		}

		// Raised again, what had expired stays so.
		d.admin.Post(auditForm, "enabled", "on", "retention_days", "365").ExpectRedirect(settingsPage)
		visible, err = entries.NewLog(d.Store).Page(t.Context(), d.org(), entries.Query{Actions: []string{"service:update"}, Limit: 100})
		if err != nil || len(visible.Entries) != 3 {
			t.Errorf("after raising %d entries are visible, want 3 (%v)", len(visible.Entries), err)
		}
	})
}

func TestTheQuestionCountsUpToTenThousand(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newSettingsFixture(t, db)
		d.record(40*settingsDay, 1)
		ask := func() string {
			t.Helper()
			return d.admin.Post(auditForm, "enabled", "on", "retention_days", "30").Expect(200).Text("main")
		}
		if got := ask(); !strings.Contains(got, "1 entry from") {
			t.Errorf("the question reads %q", got)
		}
		d.copyEntry(10_000)
		if got := ask(); !strings.Contains(got, "10,000+ entries") {
			t.Errorf("the question reads %q", got)
		}
	})
}

func TestSwitchingLoggingOffAndOn(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newSettingsFixture(t, db)
		question := d.admin.Post(auditForm, "retention_days", "90").Expect(200)
		if !strings.Contains(question.Text("main"), "Nothing will be recorded from now on") {
			t.Errorf("the question reads %q", question.Text("main"))
		}
		d.wantSettings(90, true)
		// What an address carries is not part of the form.
		if n := d.admin.Post(auditForm+"?enabled=on&confirm=yes", "retention_days", "90").Expect(200).Find("input[name=confirm]").Length(); n != 1 {
			t.Error("an address answers the question")
		}
		d.wantSettings(90, true)

		saved := postFragment(d.admin, auditForm, "retention_days", "90", "confirm", "yes").Expect(200)
		if got := saved.Text(".banner.success"); !strings.Contains(got, "on → off") {
			t.Errorf("the section says %q", got)
		}
		d.wantSettings(90, false)
		off := models.MicrosOf(d.Clock.Now())
		if n := d.record(0, 1); n != 0 {
			t.Error("an event was stored while logging is off")
		}
		if change := d.changes(action.OrganizationAuditConfigUpdate); change["enabled"] != (audit.Change{Before: true, After: false}) {
			t.Errorf("the entry holds %v", change)
		}
		if got := d.member.Get(settingsPage).Expect(200).Text("#audit-log-configuration .facts"); !strings.Contains(got, "Off since May 20, 2026, 09:30:00 UTC") {
			t.Errorf("a member reads %q", got)
		}

		d.Clock.Advance(3 * time.Hour)
		d.admin.Post(auditForm, "enabled", "on", "retention_days", "90").ExpectRedirect(settingsPage)
		d.wantSettings(90, true)
		gaps, err := d.Store.LoggingGaps(t.Context(), d.org())
		if err != nil || len(gaps) != 1 || gaps[0] != (models.Gap{From: off, To: off + models.Micros(3*time.Hour/time.Microsecond)}) {
			t.Errorf("the gaps are %v (%v)", gaps, err)
		}
	})
}

func TestSavingWithoutAChangeRecordsNothing(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newSettingsFixture(t, db)
		d.admin.Post(auditForm, "enabled", "on", "retention_days", " 90 ").ExpectRedirect(settingsPage)
		if got := d.admin.Get(settingsPage).Text(".banner"); !strings.Contains(got, "Nothing to save") {
			t.Errorf("the page says %q", got)
		}
		d.admin.Post(settingsPage, "name", "Acme").ExpectRedirect(settingsPage)
		if got := d.admin.Get(settingsPage).Text(".banner"); !strings.Contains(got, "Nothing to save") {
			t.Errorf("the page says %q", got)
		}
		if n := len(d.entries(action.OrganizationAuditConfigUpdate)) + len(d.entries(action.OrganizationUpdate)); n != 0 {
			t.Errorf("%d entries were recorded", n)
		}
		if page := d.admin.Get(settingsPage); page.Find("[data-settings-change]").Length() != 0 {
			t.Error("the history has a line")
		}
	})
}

func TestAMemberSeesSettingsWithoutControls(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newSettingsFixture(t, db)
		page := d.member.Get(settingsPage).Expect(200)
		if n := page.Find("main form, main input, main button").Length(); n != 0 {
			t.Errorf("a member has %d controls", n)
		}
		if got := page.Text("#audit-log-configuration"); !strings.Contains(got, "90 days") || !strings.Contains(got, "Entries before Feb 19, 2026 are deleted.") {
			t.Errorf("a member reads %q", got)
		}
		for path, fields := range map[string][]string{
			settingsPage:                          {"name", "Mine"},
			auditForm:                             {"retention_days", "1", "confirm", "yes"},
			"/orgs/acme/settings/links":           {"entity_type", "service", "url_template", "https://example.com/{id}"},
			"/orgs/acme/settings/links/remove":    {"entity_type", "service"},
			"/orgs/acme/settings/delete":          {"confirm", "acme"},
			"/orgs/acme/settings/audit?confirm=1": {"retention_days", "bad"},
		} {
			d.member.Post(path, fields...).Expect(403)
		}
		d.wantSettings(90, true)
		if org := d.org(); org.Name != "Acme" || org.Closed() {
			t.Errorf("the organization is %+v", org)
		}
	})
}

func TestTwoAdminsSavingAtOnceLeaveATrueHistory(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newSettingsFixture(t, db)
		d.admin.Post(auditForm, "enabled", "on", "retention_days", "100").ExpectRedirect(settingsPage)
		var saving sync.WaitGroup
		for i := range 8 {
			saving.Go(func() {
				page := d.admin.Post(auditForm, "enabled", "on", "retention_days", fmt.Sprint(200+i), "confirm", "yes")
				if page.Status != 303 {
					t.Errorf("saving %d days answers %d", 200+i, page.Status)
				}
			})
		}
		saving.Wait()
		history, err := d.Store.SettingsHistory(t.Context(), d.org(), 100)
		if err != nil || len(history) != 9 {
			t.Fatalf("the history has %d lines, want 9 (%v)", len(history), err)
		}
		for i := range len(history) - 1 {
			if history[i].OldRetentionDays != history[i+1].NewRetentionDays {
				t.Errorf("a change starts at %d days where the one before it ended at %d", history[i].OldRetentionDays, history[i+1].NewRetentionDays)
			}
		}
		if history[0].NewRetentionDays != d.org().RetentionDays {
			t.Error("the last line is not what is in force")
		}
	})
}

func TestTheMeaningFollowsTyping(t *testing.T) {
	d := newSettingsFixture(t, databasetest.SQLite(t))
	for typed, want := range map[string]string{
		"30":  "Entries before Apr 20, 2026 are deleted.",
		"90":  "Entries before Feb 19, 2026 are deleted.",
		"365": "Entries are kept for 365 days. Those before Feb 19, 2026 have expired already and stay deleted.",
		"0":   "Choose 1 to 365 days.",
		"":    "Enter a number of days, 1 to 365.",
	} {
		if got := d.admin.Fragment(auditForm + "?retention_days=" + typed).Expect(200).Text("#retention-meaning"); got != want {
			t.Errorf("%q means %q, want %q", typed, got, want)
		}
	}
	d.admin.Get(auditForm).ExpectRedirect(settingsPage)

	// A quick choice fills the field in, and keeps the switch as it is ticked.
	page := d.admin.Get(settingsPage + "?days=7").Expect(200)
	if page.Find("input[name=retention_days]").AttrOr("value", "") != "7" || page.Find("input[name=enabled][checked]").Length() != 1 {
		t.Error("a quick choice does not fill the form in")
	}
	section := d.admin.Fragment(settingsPage + "?days=7&retention_days=90").Expect(200)
	if section.Find("input[name=retention_days]").AttrOr("value", "") != "7" || section.Find("input[name=enabled][checked]").Length() != 0 {
		t.Error("a quick choice does not keep the switch as it was ticked")
	}
	d.wantSettings(90, true)
}

func TestTheCleanupIsShown(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newSettingsFixture(t, db)
		if got := d.member.Get(settingsPage).Text("#cleanup"); !strings.Contains(got, "None yet") {
			t.Errorf("before the first it reads %q", got)
		}
		now := models.MicrosOf(d.Clock.Now())
		minute := models.Micros(time.Minute / time.Microsecond)
		cleanup := models.Cleanup{OrgID: d.org().ID, StartedAt: now - minute, FinishedAt: now, SucceededAt: now, Deleted: 12345}
		job := models.Job{Name: models.RetentionJob, StartedAt: now - minute, FinishedAt: now, NextRunAt: now + 5*minute}
		save := func() {
			t.Helper()
			if err := d.Store.SaveCleanup(t.Context(), cleanup); err != nil {
				t.Fatal(err)
			}
			if err := d.Store.SaveJob(t.Context(), job); err != nil {
				t.Fatal(err)
			}
		}
		save()
		page := d.member.Get(settingsPage)
		if got := page.Text("#cleanup dd:nth-of-type(1)") + "; " + page.Text("#cleanup dd:nth-of-type(2)") + "; " + page.Text("#cleanup dd:nth-of-type(3)"); got !=
			"May 20, 2026, 09:30:00; 12,345; May 20, 2026, 09:35:00" {
			t.Errorf("last run, deleted entries and next run read %q", got)
		}
		cleanup.Error = "The database did not delete all that has expired."
		save()
		if got := d.admin.Get(settingsPage).Text("[data-cleanup-error]"); !strings.Contains(got, "The last clean-up failed. The database did not delete all that has expired.") {
			t.Errorf("a failure reads %q", got)
		}
		d.Clock.Advance(time.Hour)
		if got := d.admin.Get(settingsPage).Text("[data-cleanup-overdue]"); !strings.Contains(got, "overdue") {
			t.Errorf("one that is overdue reads %q", got)
		}
	})
}
