package handlers_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models/accounts"
)

const members = "/settings/members"

// shownLink is the path of the link a page shows once.
func shownLink(t *testing.T, p *town, page *apptest.Page) string {
	t.Helper()
	path, ok := strings.CutPrefix(page.Find("#shown-link").AttrOr("value", ""), p.URL)
	if !ok || path == "" {
		t.Fatalf("the page shows no link:\n%s", page.Body)
	}
	return path
}

func TestAdminsSetAndMembersRead(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob, eve := p.user("Ada"), p.user("Bob"), p.user("Eve")
		acme := p.organization("acme", ada)
		p.join(acme, bob, accounts.RoleMember)
		p.join(acme, eve, accounts.RoleMember)
		page := "/orgs/acme" + members

		shown := p.signedIn(ada).Get(page).Expect(200)
		if n := shown.Find("[data-member-id]").Length(); n != 3 {
			t.Errorf("%d members are listed, want 3", n)
		}
		if shown.Find("select[name=role]").Length() != 4 { // one a member, and the invitation's
			t.Error("an admin cannot choose roles")
		}
		member := p.signedIn(bob)
		shown = member.Get(page).Expect(200)
		if n := shown.Find("[data-member-id]").Length(); n != 3 {
			t.Errorf("a member sees %d members, want 3", n)
		}
		forms := shown.Find("main form")
		if forms.Length() != 1 || forms.AttrOr("action", "") != page+"/"+bob.ID+"/remove" {
			t.Errorf("a member gets %d forms, want only the one to leave", forms.Length())
		}
		for _, path := range []string{"/invitations", "/invitations/revoke", "/" + eve.ID + "/role", "/" + eve.ID + "/remove", "/" + eve.ID + "/reset-link", "/" + bob.ID + "/role"} {
			member.Post(page+path, "role", "admin", "confirm", "yes").Expect(403)
		}
		for _, action := range []string{"member:invite", "member:role_update", "member:remove"} {
			if n := len(p.entries(acme, action)); n != 0 {
				t.Errorf("%d entries %s for what was refused", n, action)
			}
		}
	})
}

func TestChangingARole(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob := p.user("Ada"), p.user("Bob")
		acme := p.organization("acme", ada)
		p.join(acme, bob, accounts.RoleMember)
		admin, page := p.signedIn(ada), "/orgs/acme"+members

		refused := admin.Post(page+"/"+ada.ID+"/role", "role", "member").Expect(422)
		if got := refused.Text("[role=alert]"); !strings.Contains(got, "at least one admin") {
			t.Errorf("the last admin is told %q", got)
		}
		admin.Post(page+"/"+bob.ID+"/role", "role", "owner").Expect(422)
		admin.Post(page+"/"+bob.ID+"/role", "role", "admin").ExpectRedirect(page)
		if got := admin.Get(page).Expect(200).Text("main [role=status]"); got != "Saved. Bob is now an admin." {
			t.Errorf("the page that follows says %q", got)
		}
		if n := admin.Get(page).Expect(200).Find("main [role=status]").Length(); n != 0 {
			t.Error("what was done is said again later")
		}
		admin.Post(page+"/"+bob.ID+"/role", "role", "admin").ExpectRedirect(page) // no change, no entry

		e := p.wantEntry(acme, "member:role_update", ada, bob)
		if got := fmt.Sprint(metadataOf(t, e)["changes"]); e.EntityType != "member" || got != "map[role:map[after:admin before:member]]" {
			t.Errorf("entity type %s, changes %s", e.EntityType, got)
		}
		admin.Post(page+"/"+ada.ID+"/role", "role", "member").ExpectRedirect(page)
		admin.Post(page+"/"+ada.ID+"/role", "role", "admin").Expect(403)
		p.signedIn(bob).Post(page+"/usr_aaaaaaaaaaaaaaaaaaaaaaaaaa/role", "role", "admin").Expect(404)
		p.signedIn(bob).Post(page+"/%00%ff/role", "role", "admin").Expect(404)
	})
}

func TestRemovingAsksFirst(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob, eve := p.user("Ada"), p.user("Bob"), p.user("Eve")
		acme := p.organization("acme", ada)
		p.join(acme, bob, accounts.RoleMember)
		p.join(acme, eve, accounts.RoleMember)
		admin, leaver, page := p.signedIn(ada), p.signedIn(eve), "/orgs/acme"+members

		asked := admin.Post(page + "/" + bob.ID + "/remove").Expect(200)
		if asked.Find(`form input[name=confirm][value=yes]`).Length() != 1 || !strings.Contains(asked.Text("main h1"), "Remove Bob") {
			t.Errorf("it asks %q", asked.Text("main"))
		}
		admin.Post(page + "/" + bob.ID + "/remove?confirm=yes").Expect(200)
		if n := len(p.entries(acme, "member:remove")); n != 0 {
			t.Error("asking removed already")
		}
		member := p.signedIn(bob)
		admin.Post(page+"/"+bob.ID+"/remove", "confirm", "yes").ExpectRedirect(page)
		p.wantEntry(acme, "member:remove", ada, bob)
		member.Get(page).Expect(404)

		leaver.Post(page + "/" + eve.ID + "/remove").Expect(200)
		leaver.Post(page+"/"+eve.ID+"/remove", "confirm", "yes").ExpectRedirect("/")
		if e := p.entries(acme, "member:remove"); len(e) != 2 || e[1].ActorID != eve.ID || e[1].EntityID != eve.ID {
			t.Errorf("leaving was recorded as %+v", e)
		}
		leaver.Get("/").ExpectRedirect("/orgs/new")
		admin.Post(page+"/"+ada.ID+"/remove", "confirm", "yes").Expect(422)
	})
}

func TestInvitingSomebodyNew(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme := p.organization("acme", ada)
		admin, page := p.signedIn(ada), "/orgs/acme"+members

		refused := admin.Post(page+"/invitations", "role", "member", "email", "no address").Expect(422)
		wantReason(t, refused, "email", "Enter an e-mail address")
		made := admin.Post(page+"/invitations", "role", "admin", "email", "bob@example.com").Expect(200)
		link := shownLink(t, p, made)
		if made.Find("[data-invitation-id]").Length() != 1 {
			t.Error("the invitation is not listed")
		}
		if strings.Contains(admin.Get(page).Expect(200).Body, link) {
			t.Error("the link is shown a second time")
		}

		guest := p.Client(t)
		form := guest.Get(link).Expect(200)
		if got := form.Find("input[name=email][readonly]").AttrOr("value", ""); got != "bob@example.com" {
			t.Errorf("the e-mail of the invitation is filled in as %q", got)
		}
		for _, other := range []string{"ceo@example.com", "ADA@example.com", "bob@example.com.evil.example"} {
			refused := guest.Post(link, "name", "Boss", "email", other, "password", password).Expect(422)
			wantReason(t, refused, "email", "for bob@example.com only")
			if got := refused.Find("input[name=email]").AttrOr("value", ""); got != "bob@example.com" {
				t.Errorf("the form goes on with %q", got)
			}
		}
		wantReason(t, guest.Post(link, "name", "Bob", "email", "bob@example.com", "password", "short").Expect(422), "password", "at least 10")
		wantReason(t, guest.Post(link, "name", "Bob", "email", "bob@example.com", "password", "Bob@example.com").Expect(422), "password", "easy to guess")
		guest.Post(link, "name", "Bob", "email", "Bob@Example.com", "password", password).ExpectRedirect("/orgs/acme" + auditLogs)
		guest.Get(page).Expect(200)

		bob, err := p.Accounts.UserByEmail(t.Context(), "bob@example.com")
		if err != nil {
			t.Fatal(err)
		}
		invited := p.entries(acme, "member:invite")
		if len(invited) != 1 || invited[0].ActorID != ada.ID || invited[0].EntityName != "bob@example.com" || strings.Contains(invited[0].Metadata, link[len("/invitations/"):]) {
			t.Errorf("the invitation was recorded as %+v", invited)
		}
		joined := p.wantEntry(acme, "member:join", bob, bob)
		if m := metadataOf(t, joined); m["role"] != "admin" || m["invited_by"] != ada.ID || m["invitation"] != invited[0].EntityID ||
			fmt.Sprint(m["link_made_by"]) != fmt.Sprint(map[string]any{"id": ada.ID, "name": ada.Name, "email": ada.Email}) {
			t.Errorf("joining carries %v", m)
		}
		if got := admin.Get("/orgs/acme" + auditLogs + "/" + joined.ID.String()).Expect(200).Text("[data-link-maker]"); !strings.HasPrefix(got, "Ada ada@example.com") {
			t.Errorf("of the link the entry says %q", got)
		}
		p.Client(t).Get(link).Expect(404)
		p.Client(t).Post(link, "name", "Eve", "email", "eve@example.com", "password", password).Expect(404)
	})
}

func TestInvitingSomebodyWithAnAccount(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob := p.user("Ada"), p.user("Bob")
		acme := p.organization("acme", ada)
		admin, guest := p.signedIn(ada), p.Client(t)
		link := shownLink(t, p, admin.Post("/orgs/acme"+members+"/invitations", "role", "member").Expect(200))

		login := guest.Get(link).Expect(200).Find(`main a[href^="/login"]`).AttrOr("href", "")
		back := guest.Get(login).Expect(200).Find("input[name=return]").AttrOr("value", "")
		guest.Post("/login", "email", "bob@example.com", "password", password, "return", back).ExpectRedirect(link)
		guest.Get(link).Expect(200)
		guest.Post(link).ExpectRedirect("/orgs/acme" + auditLogs)
		p.wantEntry(acme, "member:join", bob, bob)
		guest.Get("/orgs/acme" + members).Expect(200)
	})
}

func TestInvitationsCanBeRevokedAndExpire(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme, page := p.organization("acme", ada), "/orgs/acme"+members
		admin := p.signedIn(ada)
		invite := func() (link, id string) {
			made := admin.Post(page+"/invitations", "role", "member").Expect(200)
			return shownLink(t, p, made), made.Find("[data-invitation-id]").AttrOr("data-invitation-id", "")
		}
		revoked, id := invite()
		admin.Post(page+"/invitations/revoke", "id", id).ExpectRedirect(page)
		admin.Post(page+"/invitations/revoke", "id", id).Expect(404)
		admin.Post(page+"/invitations/revoke", "id", "inv_zz").Expect(404)
		if e := p.entries(acme, "member:remove"); len(e) != 1 || e[0].EntityID != id {
			t.Errorf("revoking was recorded as %+v", e)
		}
		p.Client(t).Get(revoked).Expect(404)

		late, _ := invite()
		p.Clock.Advance(7 * 24 * time.Hour)
		p.Client(t).Get(late).Expect(404)
		p.Client(t).Post(late, "name", "Eve", "email", "eve@example.com", "password", password).Expect(404)
	})
}

func TestResettingAPassword(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob := p.user("Ada"), p.user("Bob")
		acme := p.organization("acme", ada)
		p.join(acme, bob, accounts.RoleMember)
		admin, laptop := p.signedIn(ada), p.signedIn(bob)
		link := shownLink(t, p, admin.Post("/orgs/acme"+members+"/"+bob.ID+"/reset-link").Expect(200))
		p.wantEntry(acme, "user:password_reset_link", ada, bob)

		owner := p.Client(t)
		owner.Get(link).Expect(200)
		wantReason(t, owner.Post(link, "password", "short").Expect(422), "password", "at least 10")
		wantReason(t, owner.Post(link, "password", "password123").Expect(422), "password", "easy to guess")
		laptop.Get("/orgs/acme" + members).Expect(200)
		owner.Post(link, "password", "a new password").ExpectRedirect("/login?notice=password-changed")
		laptop.Get("/orgs/acme" + members).Expect(303)
		e := p.wantEntry(acme, "user:password_reset", bob, bob)
		if got := fmt.Sprint(metadataOf(t, e)["link_made_by"]); got != fmt.Sprint(map[string]any{"id": ada.ID, "name": "Ada", "email": ada.Email}) {
			t.Errorf("the link was made by %s", got)
		}
		// Neither the row nor the entry reads as done by Bob alone.
		row := admin.Get("/orgs/acme" + auditLogs + "?action=user:password_reset").Expect(200).Find(`#entries [data-entry-id] [data-col=user]`)
		if row.Find("[data-value]").Text() != "Bob" || row.Find(".by-link").Text() != "by link" {
			t.Errorf("the row says %q", row.Text())
		}
		opened := admin.Get("/orgs/acme" + auditLogs + "/" + e.ID.String()).Expect(200)
		if got := opened.Text("[data-link-maker]"); got != "Ada ada@example.com "+ada.ID || !strings.Contains(opened.Text("main header"), "by Bob, with a link Ada made") {
			t.Errorf("the entry says %q and %q", got, opened.Text("main header"))
		}
		owner.Get(link).Expect(404)
		owner.Post(link, "password", "another password").Expect(404)
		owner.Post("/login", "email", bob.Email, "password", password).Expect(422)
		owner.SignIn(bob.Email, "a new password")
	})
}

func TestAnAdminCannotResetTheWayIntoAnotherOrganization(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob := p.user("Ada"), p.user("Bob")
		acme, other := p.organization("acme", ada), p.organization("other", bob)
		p.join(acme, bob, accounts.RoleMember)
		page := p.signedIn(ada).Post("/orgs/acme" + members + "/" + bob.ID + "/reset-link").Expect(422)
		if page.Find("#shown-link").Length() != 0 || strings.Contains(page.Body, other.Name) {
			t.Errorf("it answers %s", page.Text("main"))
		}
	})
}

func TestAResetLinkEndsWhereItWouldLeadIntoAnotherOrganization(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob, eve := p.user("Ada"), p.user("Bob"), p.user("Eve")
		acme, other := p.organization("acme", ada), p.organization("other", eve)
		p.join(acme, bob, accounts.RoleMember)
		link := shownLink(t, p, p.signedIn(ada).Post("/orgs/acme"+members+"/"+bob.ID+"/reset-link").Expect(200))
		p.Client(t).Get(link).Expect(200)
		p.join(other, bob, accounts.RoleMember)
		p.Client(t).Get(link).Expect(404)
		p.Client(t).Post(link, "password", "a new password").Expect(404)
	})
}

func TestCreatingAnOrganization(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		client := p.signedIn(ada)
		client.Get("/").ExpectRedirect("/orgs/new")
		client.Get("/orgs/new").Expect(200)

		for slug, reason := range map[string]string{
			"": "Enter", "Acme": "lower-case", "-a": "lower-case", "new": "reserved", strings.Repeat("a", 64): "at most 63",
		} {
			page := client.Post("/orgs/new", "name", "Acme", "slug", slug).Expect(422)
			wantReason(t, page, "slug", reason)
			if got := page.Find("input[name=slug]").AttrOr("value", ""); got != slug {
				t.Errorf("%q came back as %q", slug, got)
			}
		}
		wantReason(t, client.Post("/orgs/new", "name", "  ", "slug", "acme").Expect(422), "name", "Enter a name")

		client.Post("/orgs/new", "name", "Acme", "slug", "acme").ExpectRedirect("/orgs/acme" + auditLogs)
		acme := logtest.FindOrganization(t, p.Store, "acme")
		if e := p.entries(acme, "organization:create"); len(e) != 1 || e[0].ActorID != ada.ID || e[0].EntityName != "Acme" {
			t.Errorf("recorded: %+v", e)
		}
		wantReason(t, client.Post("/orgs/new", "name", "Acme again", "slug", "acme").Expect(422), "slug", "taken")
	})
}

func TestTheFrontDoorLeadsToTheOrganizationLastUsed(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		p.organization("zoo", ada)
		gone := p.organization("abc", ada)
		p.organization("acme", ada)
		p.close(gone)
		client := p.signedIn(ada)
		client.Get("/").ExpectRedirect("/orgs/acme" + auditLogs) // the first open one by name
		client.Get("/orgs/zoo" + members).Expect(200)
		client.Get("/").ExpectRedirect("/orgs/zoo" + auditLogs)
		client.Get("/settings").ExpectRedirect("/orgs/zoo/settings")
		client.Get("/settings/audit-logs?q=web&action=a%3Ab").ExpectRedirect("/orgs/zoo" + auditLogs + "?q=web&action=a%3Ab")
		p.signedIn(ada).Get("/").ExpectRedirect("/orgs/zoo" + auditLogs)
	})
}

// Every route of an organization, whatever it does, answers the same for an organization that
// belongs to others as for one that does not exist.
func TestAForeignOrganizationIsNotThere(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		p.organization("foreign", p.user("Eve"))
		p.organization("acme", p.user("Ada"))
		ada, visitor := p.Client(t), p.Client(t)
		ada.SignIn("ada@example.com", password)

		checked := 0
		parameter := regexp.MustCompile(`[:*][a-z]*`)
		for _, route := range p.App.Routes() {
			rest, ok := strings.CutPrefix(route.Path, "/orgs/:slug")
			if !ok || route.Method != http.MethodGet && route.Method != http.MethodPost {
				continue
			}
			checked++
			rest = parameter.ReplaceAllString(rest, "x")
			headers := []string{"Sec-Fetch-Site", "same-origin"}
			foreign := ada.Do(route.Method, "/orgs/foreign"+rest, nil, headers...)
			missing := ada.Do(route.Method, "/orgs/missing"+rest, nil, headers...)
			if foreign.Status != 404 || missing.Status != 404 {
				t.Errorf("%s %s: %d for a foreign organization and %d for a missing one, want 404", route.Method, route.Path, foreign.Status, missing.Status)
			}
			if withoutReference(foreign) != withoutReference(missing) {
				t.Errorf("%s %s: the answers differ", route.Method, route.Path)
			}
			if strings.Contains(foreign.Body, "FOREIGN") {
				t.Errorf("%s %s: the answer names the organization", route.Method, route.Path)
			}
			if page := visitor.Do(route.Method, "/orgs/foreign"+rest, nil, headers...); page.Status != 303 || !strings.HasPrefix(page.Header.Get("Location"), "/login") {
				t.Errorf("%s %s: a visitor gets %d %s, want the sign-in page", route.Method, route.Path, page.Status, page.Header.Get("Location"))
			}
		}
		if checked < 7 {
			t.Errorf("only %d routes were found", checked)
		}
	})
}

// withoutReference is the answer but for the ID of the request.
func withoutReference(page *apptest.Page) string {
	body := page.Body
	if id := page.Header.Get("X-Request-ID"); id != "" {
		body = strings.ReplaceAll(body, id, "")
	}
	return body
}

func TestADeletedOrganizationIsReadByItsAdmins(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob := p.user("Ada"), p.user("Bob")
		acme, page := p.organization("acme", ada), "/orgs/acme"+members
		p.join(acme, bob, accounts.RoleMember)
		admin, member := p.signedIn(ada), p.signedIn(bob)
		p.close(acme)

		member.Get(page).Expect(404)
		shown := admin.Get(page).Expect(200)
		if n := shown.Find("main form").Length(); n != 0 {
			t.Errorf("it offers %d forms", n)
		}
		for _, route := range p.App.Routes() {
			if rest, ok := strings.CutPrefix(route.Path, "/orgs/:slug"); ok && route.Method == http.MethodPost {
				path := strings.ReplaceAll("/orgs/acme"+rest, ":user", ada.ID)
				admin.Post(path).Expect(409)
			}
		}
		p.Clock.Advance(91 * 24 * time.Hour) // the session has ended, too
		admin.SignIn("ada@example.com", password)
		admin.Get("/orgs/acme/settings/organization").Expect(200) // with the history of its settings
		p.Clock.Advance(365 * 24 * time.Hour)
		admin.SignIn("ada@example.com", password)
		admin.Get(page).Expect(404)
	})
}

func TestPreferences(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		p.organization("acme", ada)
		client := p.signedIn(ada)
		root := func() (theme, zone string) {
			html := client.Get("/orgs/acme" + members).Expect(200).Find("html")
			return html.AttrOr("data-theme", "?"), html.AttrOr("data-zone", "?")
		}
		want := func(what, wantTheme, wantZone string) {
			t.Helper()
			if theme, zone := root(); theme != wantTheme || zone != wantZone {
				t.Errorf("%s: theme %q, zone %q, want %q, %q", what, theme, zone, wantTheme, wantZone)
			}
		}
		want("at first", "", "UTC")
		form := "application/x-www-form-urlencoded"
		client.Do("POST", "/preferences", strings.NewReader("tz=Europe%2FBerlin"), "Content-Type", form, "HX-Request", "true").Expect(204)
		want("with a zone", "", "Europe/Berlin")
		client.Do("POST", "/preferences", strings.NewReader("theme=dark"), "Content-Type", form, "Sec-Fetch-Mode", "navigate",
			"Referer", p.URL+"/orgs/acme"+members+"?x=1").ExpectRedirect("/orgs/acme" + members + "?x=1")
		want("with a theme", "dark", "Europe/Berlin")
		client.Post("/preferences", "tz", "Nowhere/Land").Expect(400)
		client.Post("/preferences", "tz", "Local").Expect(400)
		client.Post("/preferences", "tz", "../../etc/passwd").Expect(400)
		client.Post("/preferences", "theme", "pink").Expect(400)
		want("after bad values", "dark", "Europe/Berlin")
		client.Post("/logout")
		if html := client.Get("/login").Expect(200).Find("html"); html.AttrOr("data-theme", "") != "dark" {
			t.Error("the sign-in page forgot the theme")
		}
		client.SignIn("ada@example.com", password)
		want("signed in again", "dark", "Europe/Berlin")
		client.Post("/preferences", "theme", "system").Expect(303)
		want("following the system", "", "Europe/Berlin")
	})
}
