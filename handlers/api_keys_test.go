package handlers_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

const apiKeys = "/settings/api-keys"

// apiKey makes a key that never expires.
func (p *town) apiKey(org models.Organization, by accounts.User, name string) (key accounts.APIKey, token string) {
	p.t.Helper()
	p.do(func(tx *gorm.DB) (err error) {
		key, token, err = accounts.CreateAPIKey(p.t.Context(), tx, org.ID, name, accounts.ScopeWrite, by.ID, 0)
		return err
	})
	return key, token
}

// shownKey is the key a page shows once, or empty.
func shownKey(page *apptest.Page) string { return page.Find("#shown-key").AttrOr("value", "") }

// wantKeyEntry is the one entry with an action, about a key.
func (p *town) wantKeyEntry(org models.Organization, action string, actor accounts.User, id, name string) (metadata map[string]any) {
	p.t.Helper()
	entries := p.entries(org, action)
	if len(entries) != 1 {
		p.t.Fatalf("%d entries %s, want 1", len(entries), action)
	}
	if e := entries[0]; e.ActorID != actor.ID || e.EntityType != "api_key" || e.EntityID != id || e.EntityName != name {
		p.t.Errorf("%s was recorded as %+v", action, e)
	}
	return metadataOf(p.t, entries[0])
}

func TestMakingAnAPIKey(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme, page := p.organization("acme", ada), "/orgs/acme"+apiKeys
		admin := p.signedIn(ada)

		empty := admin.Get(page).Expect(200)
		if got := empty.Text("main"); !strings.Contains(got, "No keys yet") || !strings.Contains(got, "curl "+p.URL+"/api/v1/events") {
			t.Errorf("without keys it says %q", got)
		}
		made := admin.Post(page, "name", " Build server ", "scope", "write", "expires", "90").Expect(200)
		token := shownKey(made)
		key, org, err := p.Accounts.APIKeyByToken(t.Context(), token)
		if err != nil || org.ID != acme.ID || key.Name != "Build server" || key.Scope != accounts.ScopeWrite || key.CreatedBy != ada.ID {
			t.Fatalf("the key %q opens %+v of %s, %v", token, key, org.Slug, err)
		}
		expires := p.Store.Now().AddDate(0, 0, 90)
		if key.ExpiresAt != models.MicrosOf(expires) {
			t.Errorf("it expires at %s, want %s", key.ExpiresAt.Time(), expires)
		}
		if made.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("the page with the key may be kept: %q", made.Header.Get("Cache-Control"))
		}
		facts := p.wantKeyEntry(acme, "api_key:create", ada, key.ID, "Build server")
		if len(facts) != 2 || facts["scope"] != "write" || facts["expires_at"] != expires.Format(time.RFC3339Nano) {
			t.Errorf("it was recorded with %v", facts)
		}

		listed := admin.Get(page).Expect(200)
		if strings.Contains(listed.Body, token) {
			t.Error("the key is shown a second time")
		}
		row := listed.Text("[data-key-id=" + key.ID + "]")
		for _, part := range []string{"Build server", "…" + token[len(token)-4:], "Write", "by Ada", expires.Format("Jan 2, 2006"), "Never"} {
			if !strings.Contains(row, part) {
				t.Errorf("the list says %q without %q", row, part)
			}
		}
		if err := p.Accounts.NoteAPIKeyUse(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if used := admin.Get(page).Text("[data-key-id] [data-label='Last used']"); used != p.Store.Now().Format("Jan 2, 2006") {
			t.Errorf("it was last used %q", used)
		}
		p.Clock.Advance(90 * 24 * time.Hour)
		admin.SignIn(ada.Email, password)
		if row := admin.Get(page).Text("[data-key-id]"); !strings.Contains(row, "Expired") {
			t.Errorf("an expired key is listed as %q", row)
		}
	})
}

func TestWhenAnAPIKeyExpires(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		p.organization("acme", ada)
		admin, page := p.signedIn(ada), "/orgs/acme"+apiKeys
		admin.Post("/preferences", "tz", "Asia/Tokyo")

		never := shownKey(admin.Post(page, "name", "Never", "scope", "read", "expires", "never").Expect(200))
		if key, _, err := p.Accounts.APIKeyByToken(t.Context(), never); err != nil || key.ExpiresAt != 0 || key.Scope != accounts.ScopeRead {
			t.Errorf("the key is %+v, %v", key, err)
		}
		day := p.Store.Now().AddDate(0, 1, 0).Format(time.DateOnly)
		made := admin.Post(page, "name", "A day", "scope", "read", "expires", "date", "expires_on", day).Expect(200)
		key, _, err := p.Accounts.APIKeyByToken(t.Context(), shownKey(made))
		if want := day + " 14:59:59.999999"; err != nil || key.ExpiresAt.Time().Format("2006-01-02 15:04:05.000000") != want {
			t.Errorf("the key expires at %s, %v, want the end of the day in Tokyo, %s", key.ExpiresAt.Time(), err, want)
		}
	})
}

func TestAnAPIKeyThatCannotBe(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme, page := p.organization("acme", ada), "/orgs/acme"+apiKeys
		admin := p.signedIn(ada)
		for _, wrong := range []struct{ name, scope, expires, day, field, reason string }{
			{"", "write", "never", "", "name", "Enter a name"},
			{strings.Repeat("a", 201), "write", "never", "", "name", "shorter"},
			{"a", "admin", "never", "", "scope", "Choose one of"},
			{"a", "", "never", "", "scope", "Choose one of"},
			{"a", "write", "31", "", "expires", "Choose one of"},
			{"a", "write", "", "", "expires", "Choose one of"},
			{"a", "write", "date", "", "expires_on", "Enter a date"},
			{"a", "write", "date", "tomorrow", "expires_on", "Enter a date"},
			{"a", "write", "date", "1969-12-31", "expires_on", "still to come"},
			{"a", "write", "date", "0000-12-31", "expires_on", "still to come"},
			{"a", "write", "date", "9999-12-31", "expires_on", "within 10 years"},
		} {
			refused := admin.Post(page, "name", wrong.name, "scope", wrong.scope, "expires", wrong.expires, "expires_on", wrong.day).Expect(422)
			wantReason(t, refused, wrong.field, wrong.reason)
			if shownKey(refused) != "" || refused.Find("[name=name]").AttrOr("value", "") != wrong.name {
				t.Errorf("%+v: the form lost what was typed, or a key was made", wrong)
			}
		}
		if n := len(p.entries(acme, "api_key:create")); n != 0 {
			t.Errorf("%d entries of what was refused", n)
		}
	})
}

func TestRevokingAnAPIKeyAsksFirst(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, eve := p.user("Ada"), p.user("Eve")
		acme, other := p.organization("acme", ada), p.organization("other", eve)
		admin, page := p.signedIn(ada), "/orgs/acme"+apiKeys
		key, token := p.apiKey(acme, ada, "Build server")
		foreign, _ := p.apiKey(other, eve, "Theirs")
		revoke := page + "/" + key.ID + "/revoke"

		asked := admin.Post(revoke).Expect(200)
		if asked.Find("form input[name=confirm][value=yes]").Length() != 1 || asked.Text("main h1") != "Revoke Build server?" || !strings.Contains(asked.Text("main"), token[len(token)-4:]) {
			t.Errorf("it asks %q", asked.Text("main"))
		}
		admin.Post(revoke + "?confirm=yes").Expect(200)
		if _, _, err := p.Accounts.APIKeyByToken(t.Context(), token); err != nil {
			t.Errorf("asking revoked already: %v", err)
		}
		admin.Post(revoke, "confirm", "yes").ExpectRedirect(page)
		if _, _, err := p.Accounts.APIKeyByToken(t.Context(), token); err == nil {
			t.Error("the revoked key still works")
		}
		if facts := p.wantKeyEntry(acme, "api_key:revoke", ada, key.ID, "Build server"); fmt.Sprint(facts) != "map[scope:write]" {
			t.Errorf("it was recorded with %v", facts)
		}
		after := admin.Get(page).Expect(200)
		if got := after.Text("main [role=status]"); got != "Build server was revoked and no longer works." || after.Find("[data-key-id]").Length() != 0 {
			t.Errorf("the page that follows says %q", got)
		}
		admin.Post(revoke).Expect(404)
		admin.Post(revoke, "confirm", "yes").ExpectRedirect(page) // by two admins at once: one entry
		if got := admin.Get(page).Text("main [role=status]"); !strings.Contains(got, "revoked already") {
			t.Errorf("revoking again says %q", got)
		}
		if n := len(p.entries(acme, "api_key:revoke")); n != 1 {
			t.Errorf("%d entries of one revocation", n)
		}
		for _, id := range []string{foreign.ID, "key_aaaaaaaaaaaaaaaaaaaaaaaaaa", "%00%ff", "x"} {
			admin.Post(page + "/" + id + "/revoke").Expect(404)
			admin.Post(page+"/"+id+"/revoke", "confirm", "yes").Expect(404)
		}
	})
}

func TestMembersSeeAPIKeysAndSetNone(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob := p.user("Ada"), p.user("Bob")
		acme, page := p.organization("acme", ada), "/orgs/acme"+apiKeys
		p.join(acme, bob, accounts.RoleMember)
		key, _ := p.apiKey(acme, ada, "Build server")
		admin, member := p.signedIn(ada), p.signedIn(bob)

		shown := member.Get(page).Expect(200)
		if !strings.Contains(shown.Text("[data-key-id]"), "Build server") || shown.Find("main form, main button").Length() != 0 {
			t.Errorf("a member sees %q", shown.Text("main"))
		}
		member.Post(page, "name", "Mine", "scope", "read", "expires", "never").Expect(403)
		member.Post(page+"/"+key.ID+"/revoke", "confirm", "yes").Expect(403)

		p.close(acme)
		if closed := admin.Get(page).Expect(200); closed.Find("main form").Length() != 0 || closed.Find("[data-key-id]").Length() != 1 ||
			!strings.Contains(closed.Text("main"), "its keys do nothing any more") {
			t.Errorf("in a deleted organization an admin sees %q", closed.Text("main"))
		}
	})
}
