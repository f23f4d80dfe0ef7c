package handlers_test

import (
	"strings"
	"sync/atomic"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

func TestWhoHasJustLostTheRoleChangesNothing(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob, eve := p.user("Ada"), p.user("Bob"), p.user("Eve")
		acme := p.organization("acme", ada, bob)
		p.join(acme, eve, accounts.RoleMember)
		admin, settings := p.signedIn(ada), "/orgs/acme/settings"
		admin.Post(settings+"/links", "entity_type", "service", "url_template", "https://example.com/{id}").Expect(303)
		admin.Post(settings+"/members/invitations", "role", "member").Expect(200)
		connectGitHub(t, admin)
		open, err := p.Accounts.OpenInvitations(t.Context(), acme.ID)
		if err != nil || len(open) != 1 {
			t.Fatalf("%d invitations are open: %v", len(open), err)
		}

		admin.Post(settings + "/members/" + eve.ID + "/reset-link").Expect(200)
		resets, err := p.Accounts.OpenPasswordResets(t.Context(), acme.ID)
		if err != nil || len(resets) != 1 {
			t.Fatalf("%d reset links are open: %v", len(resets), err)
		}
		key, _ := p.apiKey(acme, eve, "Build server")

		admin.Post(settings+"/audit-logs/views", "name", "Ours", "query", "q=x", "shared", "on").Expect(303)
		view := admin.Get(settings+"/audit-logs/views").Find("[data-view-id]").First().AttrOr("data-view-id", "")

		// Ada loses the role between the moment a request reads what she may do and its change.
		give := func(role accounts.Role) {
			err := p.Store.Writer(t.Context()).Exec("UPDATE audit_memberships SET role = ? WHERE org_id = ? AND user_id = ?",
				role, acme.ID, ada.ID).Error
			if err != nil {
				t.Error(err)
			}
		}
		var demote atomic.Bool
		err = p.Store.Reader(t.Context()).Callback().Row().After("gorm:row").Register("test:demote", func(db *gorm.DB) {
			asked := strings.Contains(db.Statement.SQL.String(), "FROM audit_sessions") // by Store.SignedInBy
			if asked && demote.CompareAndSwap(true, false) {
				give(accounts.RoleMember)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		count := func() (n int64) {
			done := p.Store.Reader(t.Context()).Model(&models.Entry{}).Where("org_id = ? AND action <> 'access:denied'", acme.ID)
			if err := done.Count(&n).Error; err != nil {
				t.Fatal(err)
			}
			return n
		}
		before := count()
		for path, fields := range map[string][]string{
			"/organization":                         {"name", "Another"},
			"/audit":                                {"enabled", "on", "retention_days", "100"},
			"/links":                                {"entity_type", "project", "url_template", "https://example.com/{id}"},
			"/links/remove":                         {"entity_type", "service"},
			"/delete":                               {"confirm", "acme"},
			"/integrations/github":                  {},
			"/integrations/github/secret":           {"confirm", "yes"},
			"/integrations/github/disconnect":       {"confirm", "yes"},
			"/members/invitations":                  {"role", "admin"},
			"/members/invitations/revoke":           {"id", open[0].ID()},
			"/members/" + ada.ID + "/role":          {"role", "admin"},
			"/members/" + eve.ID + "/role":          {"role", "admin"},
			"/members/" + eve.ID + "/remove":        {"confirm", "yes"},
			"/members/" + eve.ID + "/reset-link":    {},
			"/members/reset-links/revoke":           {"id", resets[0].ID()},
			"/members/restrictions":                 {"role", "member", "hidden_actions", "secret:*"},
			"/audit-logs/views":                     {"name", "Another", "query", "q=x", "shared", "on"},
			"/audit-logs/views/" + view:             {"name", "Another"},
			"/audit-logs/views/" + view + "/query":  {"query", "q=y"},
			"/audit-logs/views/" + view + "/remove": {},
			"/api-keys":                             {"name", "Another", "scope", "read", "expires", "never"},
			"/api-keys/" + key.ID + "/masking":      {"mask_keys", "pin"},
			"/api-keys/" + key.ID + "/revoke":       {"confirm", "yes"},
		} {
			give(accounts.RoleAdmin)
			demote.Store(true)
			admin.Post(settings+path, fields...).Expect(403)
			if demote.Load() {
				t.Errorf("POST %s does not ask what the reader may do", path)
			}
		}
		if after := count(); after != before {
			t.Errorf("%d entries were recorded of what was refused", after-before)
		}
		admin.Post(settings+"/members/"+ada.ID+"/remove", "confirm", "yes").ExpectRedirect("/") // leaving takes no role
	})
}
