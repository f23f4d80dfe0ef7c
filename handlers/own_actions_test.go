package handlers_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

func TestAKeyCannotRecordWhatTheAppDoes(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		for _, action := range []action.Action{action.MemberRemove, action.UserSignIn, action.APIKeyCreate, action.AuditLogExport,
			action.OrganizationAuditConfigUpdate, action.DeploymentStatusUpdate} {
			for _, body := range []string{
				event("action", `"`+string(action)+`"`),
				event("action", `"`+string(action)+`"`, "actor", `{"id":"system","source":"auditlogs"}`, "entity_type", `"service"`),
			} {
				p := problemOf(t, s.post(list(event(), body)), http.StatusUnprocessableEntity)
				if p.faults() != "1 action" || !strings.Contains(p.Errors[0].Detail, string(action)) {
					t.Errorf("%s: %+v", action, p)
				}
			}
		}
		// Beside what is wrong otherwise, too.
		p := problemOf(t, s.post(list(event("action", `"member:remove"`), event("entiy", `"x"`))), http.StatusUnprocessableEntity)
		if p.faults() != "0 action, 1 entiy" {
			t.Errorf("the faults are %q", p.faults())
		}
		s.wantEntries(0)
		s.post(list(event("action", `"organization:delete"`), event("entity_type", `"member"`))).Expect(http.StatusCreated)
		s.wantEntries(2)
	})
}

func TestARowSaysThatItsEntryCameByKey(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		p.organization("acme", ada)
		admin := p.signedIn(ada)
		const name = "CI & \u2066co" // nothing of it is seen, or reads otherwise
		key := admin.Post("/orgs/acme/settings/api-keys", "name", name, "scope", "write", "expires", "never").
			Expect(http.StatusOK).Find("#shown-key").AttrOr("value", "")
		answer := decoded[receipts](t, p.Client(t).Do(http.MethodPost, "/api/v1/events", strings.NewReader(event()),
			"Authorization", "Bearer "+key, "Content-Type", "application/json").Expect(http.StatusCreated))
		log := admin.Get("/orgs/acme" + auditLogs)
		row := log.Find(`tbody[data-entry-id="` + *answer.Events[0].EntryID + `"]`)
		user, mark := row.Find("[data-col=user] [data-value]"), row.Find("[data-col=user] [data-api-key]")
		if user.Text() != "Ada Lovelace" || user.Length() != 1 || mark.Length() != 1 || mark.Closest("[data-value]").Length() != 0 {
			t.Fatalf("the row is %s", row.Text())
		}
		if mark.Text() != "by key" || mark.Find("svg").Length() != 1 || mark.AttrOr("title", "") != "Sent with the API key CI & ⟨U+2066⟩co" {
			t.Errorf("the mark is %q, its title %q", mark.Text(), mark.AttrOr("title", ""))
		}
		if marks := log.Find("[data-api-key]").Length(); marks != 1 {
			t.Errorf("%d rows say so", marks)
		}
	})
}

func TestOffDoesNotHideAdministration(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newSettingsFixture(t, db)
		d.admin.Post(auditForm, "retention_days", "90", "confirm", "yes").ExpectRedirect(settingsPage)
		d.wantSettings(90, false)
		if n := d.record(0, 3); n != 0 {
			t.Errorf("%d events of an application are stored", n)
		}
		signIns := len(d.entries(action.UserSignIn))
		d.Client(t).SignIn("member@example.com", "correct horse battery")
		d.Client(t).Post("/login", "email", "member@example.com", "password", "wrong").Expect(http.StatusUnprocessableEntity)
		d.admin.Post("/orgs/acme/settings/organization", "name", "Acme Ltd").ExpectRedirect(settingsPage)
		d.admin.Post("/orgs/acme/settings/links", "entity_type", "service", "url_template", "https://example.com/{id}").ExpectRedirect(settingsPage)
		d.admin.Post("/orgs/acme/settings/members/invitations", "email", "new@example.com", "role", "member").Expect(http.StatusOK)
		d.admin.Post("/orgs/acme/settings/api-keys", "name", "CI", "scope", "write", "expires", "never").Expect(http.StatusOK)
		d.admin.Get("/orgs/acme" + auditLogs + "/export?format=csv").Expect(http.StatusOK)
		d.admin.Post("/logout").ExpectRedirect("/login")
		for action, want := range map[action.Action]int{
			action.UserSignIn: signIns + 1, action.UserSignInRefused: 1, action.UserSignOut: 1, action.OrganizationUpdate: 2,
			action.MemberInvite: 1, action.APIKeyCreate: 1, action.AuditLogExport: 1, action.OrganizationAuditConfigUpdate: 1, action.ServiceUpdate: 0,
		} {
			if n := len(d.entries(action)); n != want {
				t.Errorf("%s: %d entries, want %d", action, n, want)
			}
		}
	})
}
