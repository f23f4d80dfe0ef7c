package handlers_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/handlers/settings"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

const undoForm = auditForm + "/undo"

// graceFixture is a settingsFixture whose lowered retention waits for a day, with a second admin, and
// entries of 40 and of 5 days ago.
type graceFixture struct {
	*settingsFixture
	second *apptest.Client
}

func eachGraceFixture(t *testing.T, test func(t *testing.T, d *graceFixture)) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := &graceFixture{settingsFixture: newSettingsFixture(t, db, func(c *app.Config) { c.RetentionGrace = settingsDay })}
		d.second = d.As(t, d.Member(t, "second@example.com", accounts.RoleAdmin, d.org()))
		d.record(40*settingsDay, 4)
		d.record(5*settingsDay, 2)
		test(t, d)
	})
}

// lower asks for a retention, with confirmation.
func (d *graceFixture) lower(days int, fields ...string) {
	d.t.Helper()
	d.admin.Post(auditForm, append([]string{"enabled", "on", "retention_days", fmt.Sprint(days), "confirm", "yes"}, fields...)...).
		ExpectRedirect(settingsPage)
}

// wantPending compares what waits, and from when on; days 0 means that nothing does.
func (d *graceFixture) wantPending(days int, from time.Time) {
	d.t.Helper()
	org := d.org()
	want := models.Micros(0)
	if days != 0 {
		want = models.MicrosOf(from)
	}
	if org.PendingRetentionDays != days || org.PendingFrom != want {
		d.t.Errorf("%d days wait until %s, want %d until %s", org.PendingRetentionDays, org.PendingFrom.Time(), days, want.Time())
	}
}

// wantVisible counts the entries of the application that people see.
func (d *graceFixture) wantVisible(want int) {
	d.t.Helper()
	page := d.member.Get("/orgs/acme/settings/audit-logs?action=service:update").Expect(200)
	if got := page.Find("#entries tbody[data-entry-id]").Length(); got != want {
		d.t.Errorf("at %s %d entries are shown, want %d", d.Clock.Now(), got, want)
	}
}

// settle does what the clean-up does first.
func (d *graceFixture) settle() {
	d.t.Helper()
	org := d.org() // not inside: a connection that is new waits for whoever writes
	d.transaction(func(tx *gorm.DB) error { return settings.Settle(d.t.Context(), tx, org.ID, d.Clock.Now()) })
}

// facts is the metadata of the latest entry of the settings.
func (d *graceFixture) facts() (facts map[string]any, entry models.Entry) {
	d.t.Helper()
	entry = d.entries(action.OrganizationAuditConfigUpdate)[0]
	if err := json.Unmarshal([]byte(entry.Metadata), &facts); err != nil {
		d.t.Fatal(err)
	}
	return facts, entry
}

func (d *graceFixture) wantHistory(want ...string) {
	d.t.Helper()
	var got []string
	d.admin.Get(settingsPage).Expect(200).Find("[data-settings-change]").Each(func(_ int, row *goquery.Selection) {
		got = append(got, strings.Join(strings.Fields(row.Find("td").Eq(0).Text()+" by "+row.Find("td bdi").Eq(0).Text()), " "))
	})
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		d.t.Errorf("the history reads\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestALoweredRetentionIsInForceAfterItsGrace(t *testing.T) {
	eachGraceFixture(t, func(t *testing.T, d *graceFixture) {
		end := d.Clock.Now().Add(settingsDay)
		question := d.admin.Post(auditForm, "enabled", "on", "retention_days", "30").Expect(200)
		if got := question.Text("main"); !strings.Contains(got, "4 entries from before Apr 21, 2026 will be deleted on May 21, 2026, 09:30:00 UTC") ||
			!strings.Contains(got, "every admin sees this and can undo it") {
			t.Errorf("the question reads %q", got)
		}
		d.wantPending(0, end)
		d.lower(30)
		d.wantSettings(90, true)
		d.wantPending(30, end)
		d.wantVisible(6)
		facts, entry := d.facts()
		if entry.ActorEmail != "admin@example.com" || facts["takes_effect_at"] != "2026-05-21T09:30:00Z" ||
			d.changes(action.OrganizationAuditConfigUpdate)["retention_days"] != (audit.Change{Before: 90.0, After: 30.0}) {
			t.Errorf("lowering is recorded as %+v", entry)
		}
		for _, path := range []string{settingsPage, "/orgs/acme/settings/audit-logs"} {
			for _, admin := range []*apptest.Client{d.admin, d.second} {
				banner := admin.Get(path).Expect(200).Find("[data-pending-retention]")
				text := strings.Join(strings.Fields(banner.Text()), " ")
				if banner.Find(`form[action="`+undoForm+`"] button`).Text() != "Undo" || !strings.Contains(text, "May 21, 2026, 09:30:00 UTC") ||
					!strings.Contains(text, "30 days instead of 90") || !strings.Contains(text, "Admin (admin@example.com)") {
					t.Errorf("%s tells an admin %q", path, text)
				}
			}
		}
		if d.member.Get("/orgs/acme/settings/audit-logs").Find("[data-pending-retention]").Length() != 0 ||
			d.member.Get(settingsPage).Find("[data-pending-retention] form").Length() != 0 {
			t.Error("a member can undo it")
		}
		d.member.Post(undoForm).Expect(403)

		d.Clock.Advance(settingsDay - time.Microsecond)
		d.wantVisible(6)
		old := d.entries(action.ServiceUpdate)[5].ID.String()
		d.member.Get("/orgs/acme/settings/audit-logs/" + old).Expect(200)
		d.Clock.Advance(time.Microsecond)
		d.wantVisible(2) // at once, whether or not a clean-up has run
		d.member.Get("/orgs/acme/settings/audit-logs/" + old).Expect(404)
		page := d.member.Get(settingsPage).Expect(200)
		if got := page.Text("#audit-log-configuration .facts"); !strings.Contains(got, "30 days") {
			t.Errorf("the settings read %q", got)
		}
		if got := d.admin.Get(settingsPage).Find("input[name=retention_days]").AttrOr("value", ""); got != "30" {
			t.Errorf("the form holds %q", got)
		}

		d.Clock.Advance(time.Minute)
		d.settle()
		d.settle()
		d.wantSettings(30, true)
		d.wantPending(0, end)
		facts, entry = d.facts()
		if entry.ActorID != models.SystemActorID || entry.Source != "retention" || entry.OccurredAt != models.MicrosOf(end) || entry.IP != "" ||
			facts["took_effect_at"] != "2026-05-21T09:30:00Z" || facts["chosen_by"].(map[string]any)["email"] != "admin@example.com" ||
			d.changes(action.OrganizationAuditConfigUpdate)["retention_days"] != (audit.Change{Before: 90.0, After: 30.0}) {
			t.Errorf("that it took effect is recorded as %+v", entry)
		}
		if n := len(d.entries(action.OrganizationAuditConfigUpdate)); n != 2 {
			t.Errorf("%d entries tell of it, want 2", n)
		}
		d.wantHistory("Retention period: 90 → 30 days, now in force by system",
			"Retention period: 90 → 30 days, in force from May 21, 2026, 09:30:00 on by Admin")

		d.admin.Post(auditForm, "enabled", "on", "retention_days", "365").ExpectRedirect(settingsPage)
		d.wantVisible(2) // what had expired stays so
	})
}

func TestUndoLosesNothing(t *testing.T) {
	eachGraceFixture(t, func(t *testing.T, d *graceFixture) {
		d.lower(1)
		d.Clock.Advance(settingsDay - time.Microsecond)
		d.second.Post(undoForm).ExpectRedirect(settingsPage)
		if got := d.second.Get(settingsPage).Text(".banner.success"); got != "Undone. Entries go on being kept for 90 days." {
			t.Errorf("the page says %q", got)
		}
		d.wantPending(0, time.Time{})
		d.wantSettings(90, true)
		facts, entry := d.facts()
		if entry.ActorEmail != "second@example.com" || facts["undone"] != true ||
			d.changes(action.OrganizationAuditConfigUpdate)["retention_days"] != (audit.Change{Before: 1.0, After: 90.0}) {
			t.Errorf("undoing is recorded as %+v", entry)
		}
		d.wantHistory("Retention period: 1 → 90 days; 1 day never took effect by second@example.com",
			"Retention period: 90 → 1 day, in force from May 21, 2026, 09:30:00 on by Admin")
		d.Clock.Advance(2 * settingsDay)
		d.settle()
		d.wantVisible(6)
		d.wantSettings(90, true)
		d.second.Post(undoForm).ExpectRedirect(settingsPage)
		if got := d.second.Get(settingsPage).Text(".banner.success"); !strings.HasPrefix(got, "Nothing to undo") {
			t.Errorf("the page says %q", got)
		}

		// Too late: it is in force, and recorded as such before what comes too late.
		d.lower(30)
		d.Clock.Advance(settingsDay)
		d.second.Post(undoForm).ExpectRedirect(settingsPage)
		d.wantSettings(30, true)
		d.wantVisible(2)
		if _, entry := d.facts(); entry.ActorID != models.SystemActorID || entry.IP != "" {
			t.Errorf("the last entry is %+v", entry)
		}
	})
}

func TestNobodyGetsRoundTheUndo(t *testing.T) {
	eachGraceFixture(t, func(t *testing.T, d *graceFixture) {
		began := d.Clock.Now()
		d.lower(1)
		d.Clock.Advance(23 * time.Hour)

		// The switch alone, with the form as the page shows it.
		page := d.admin.Get(settingsPage).Expect(200)
		if got := page.Find("input[name=retention_days]").AttrOr("value", ""); got != "1" {
			t.Errorf("the form holds %q, want what waits", got)
		}
		if n := d.admin.Post(auditForm, "retention_days", "1").Expect(200).Text("main"); strings.Contains(n, "Shorten") {
			t.Errorf("the question is %q, want the switch alone", n)
		}
		d.admin.Post(auditForm, "retention_days", "1", "confirm", "yes").ExpectRedirect(settingsPage)
		d.wantSettings(90, false)
		d.wantPending(1, began.Add(settingsDay))
		d.admin.Post(auditForm, "enabled", "on", "retention_days", "1").ExpectRedirect(settingsPage)
		d.wantPending(1, began.Add(settingsDay))

		// Another lowering, higher than what waits: its grace begins anew.
		if got := d.admin.Post(auditForm, "enabled", "on", "retention_days", "2").Expect(200).Text("main"); !strings.Contains(got, "from 90 to 2 days") {
			t.Errorf("the question reads %q", got)
		}
		d.lower(2)
		d.wantPending(2, began.Add(23*time.Hour+settingsDay))
		if change := d.changes(action.OrganizationAuditConfigUpdate)["retention_days"]; change != (audit.Change{Before: 1.0, After: 2.0}) {
			t.Errorf("the entry holds %v", change)
		}
		d.Clock.Advance(2 * time.Hour)
		d.settle()
		d.wantSettings(90, true)

		// At the value in force, or above it, nothing waits any more.
		d.admin.Post(auditForm, "enabled", "on", "retention_days", "90").ExpectRedirect(settingsPage)
		d.wantPending(0, began)
		d.lower(3)
		d.admin.Post(auditForm, "enabled", "on", "retention_days", "91").ExpectRedirect(settingsPage)
		d.wantPending(0, began)
		d.wantSettings(91, true)

		// Nor after the organization was closed, where nobody could undo it.
		d.lower(1)
		d.admin.Post("/orgs/acme/settings/delete", "confirm", "acme").ExpectRedirect(settingsPage)
		d.wantPending(0, began)
		d.Clock.Advance(3 * settingsDay)
		d.admin.SignIn("admin@example.com", "correct horse battery")
		if n := d.admin.Get("/orgs/acme/settings/audit-logs?action=service:update").Expect(200).Find("tbody[data-entry-id]").Length(); n != 6 {
			t.Errorf("%d entries of the deleted organization are shown, want 6", n)
		}
		if facts, entry := d.facts(); facts["undone"] != true || entry.ActorEmail != "admin@example.com" {
			t.Errorf("the last entry of the settings is %+v", entry)
		}
		d.wantSettings(91, true)
	})
}

func TestClosingKeepsWhatCameIntoForceBefore(t *testing.T) {
	eachGraceFixture(t, func(t *testing.T, d *graceFixture) {
		d.lower(30)
		d.Clock.Advance(settingsDay)
		d.admin.Post("/orgs/acme/settings/delete", "confirm", "acme").ExpectRedirect(settingsPage)
		d.wantSettings(30, true)
		if n := len(d.entries(action.OrganizationAuditConfigUpdate)); n != 2 {
			t.Errorf("%d entries tell of it, want 2", n)
		}
	})
}

func TestTheAPIKeepsToWhatIsInForce(t *testing.T) {
	eachGraceFixture(t, func(t *testing.T, d *graceFixture) {
		var token string
		org := d.org()
		d.transaction(func(tx *gorm.DB) (err error) {
			_, token, err = accounts.CreateAPIKey(t.Context(), tx, org.ID, "key", accounts.ScopeWrite, "usr_1", 0)
			return err
		})
		post := func() *apptest.Page {
			body := fmt.Sprintf(`{"action":"service:update","entity_id":"svc","actor":{"id":"u-1"},"occurred_at":%q}`,
				d.Clock.Now().Add(-35*settingsDay).Format(time.RFC3339))
			return d.Client(t).Do("POST", "/api/v1/events", strings.NewReader(body), "Authorization", "Bearer "+token, "Content-Type", "application/json")
		}
		d.lower(30)
		d.Clock.Advance(settingsDay - time.Second)
		post().Expect(201)
		d.Clock.Advance(time.Second)
		if page := post().Expect(422); !strings.Contains(page.Body, "30 days") {
			t.Errorf("the API says %s", page.Body)
		}
	})
}

func TestRecordKeepsToWhatIsInForce(t *testing.T) {
	eachGraceFixture(t, func(t *testing.T, d *graceFixture) {
		d.lower(30)
		event := func() audit.Event {
			return audit.Event{Organization: "acme", Action: action.ServiceUpdate, EntityID: "late", Actor: audit.System("test"), OccurredAt: d.Clock.Now().Add(-35 * settingsDay)}
		}
		one := func(tx *gorm.DB) error { _, err := audit.Record(t.Context(), tx, event()); return err }
		many := func(tx *gorm.DB) error {
			_, err := audit.RecordAll(t.Context(), tx, []audit.Event{event()})
			return err
		}
		d.Clock.Advance(settingsDay - time.Microsecond)
		d.transaction(one)
		d.transaction(many)
		d.Clock.Advance(time.Microsecond) // and nobody has settled it
		for name, record := range map[string]func(*gorm.DB) error{"Record": one, "RecordAll": many} {
			err := d.Store.Transaction(t.Context(), record)
			var refused *audit.EventsError
			if errors.As(err, &refused) {
				err = refused.Events[0].Err
			}
			if !errors.Is(err, audit.ErrExpired) {
				t.Errorf("%s of what has expired answers %v", name, err)
			}
		}
	})
}

func TestOneOfManyServersRecordsThatARetentionTookEffect(t *testing.T) {
	eachGraceFixture(t, func(t *testing.T, d *graceFixture) {
		d.lower(30)
		d.Clock.Advance(settingsDay)
		org := d.org()
		var servers sync.WaitGroup
		for range 8 {
			servers.Go(func() {
				store, err := d.DB.Store(d.Clock.Now)
				if err == nil {
					err = store.Transaction(t.Context(), func(tx *gorm.DB) error {
						return settings.Settle(t.Context(), tx, org.ID, d.Clock.Now())
					})
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		servers.Wait()
		if n := len(d.entries(action.OrganizationAuditConfigUpdate)); n != 2 {
			t.Errorf("%d entries tell of it, want 2: chosen and in force", n)
		}
		if history, err := d.Store.SettingsHistory(t.Context(), d.org(), 10); err != nil || len(history) != 2 {
			t.Errorf("the history has %d lines, want 2 (%v)", len(history), err)
		}
	})
}

func TestTheSettingsHistoryOfADeletedOrganizationOutlivesItsLog(t *testing.T) {
	eachGraceFixture(t, func(t *testing.T, d *graceFixture) {
		d.admin.Post(auditForm, "enabled", "on", "retention_days", "100").ExpectRedirect(settingsPage)
		d.admin.Post("/orgs/acme/settings/delete", "confirm", "acme").ExpectRedirect(settingsPage)
		later := func(days int) *apptest.Page {
			d.Clock.Advance(time.Duration(days) * settingsDay)
			d.admin.SignIn("admin@example.com", "correct horse battery") // the session has ended, too
			return d.admin.Get(settingsPage)
		}
		page := later(101).Expect(200)
		if got := d.admin.Get("/orgs/acme/settings/audit-logs").Expect(200).Text("#entries"); !strings.Contains(got, "The last entry of this organization has expired. The history of its settings") {
			t.Errorf("its log says %q", got)
		}
		if got := page.Text("main > .banner"); !strings.Contains(got, "on Aug 28, 2026 at the latest") || !strings.Contains(got, "until Aug 28, 2027") {
			t.Errorf("the page says %q", got)
		}
		if n := later(363).Expect(200).Find("[data-settings-change]").Length(); n != 1 {
			t.Errorf("its history has %d lines, want 1", n)
		}
		later(2).Expect(404)
	})
}
