package handlers_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/handlers"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// wantDead is a link that leads nowhere any more, whether it is looked at or used.
func (p *town) wantDead(what, link string) {
	p.t.Helper()
	client := p.Client(p.t)
	asked := client.Get(link)
	used := client.Post(link, "name", "Eve", "email", "eve@example.com", "password", "a brand new password")
	if asked.Status != 404 || used.Status != 404 {
		p.t.Errorf("%s, %s… answers %d, and %d when it is used", what, link[:8], asked.Status, used.Status)
	}
}

func TestLinksEndWithTheRightsOfWhoMadeThem(t *testing.T) {
	for name, end := range map[string]struct {
		path  func(ada accounts.User) string
		as    string // who asks for it
		words string
	}{
		"demoted": {func(ada accounts.User) string { return members + "/" + ada.ID + "/role" }, "Bob",
			"1 invitation and 1 reset link they had made no longer work."},
		"steps down": {func(ada accounts.User) string { return members + "/" + ada.ID + "/role" }, "Ada", ""},
		"removed": {func(ada accounts.User) string { return members + "/" + ada.ID + "/remove" }, "Bob",
			"1 invitation and 1 reset link they had made no longer work."},
		"leaves":  {func(ada accounts.User) string { return members + "/" + ada.ID + "/remove" }, "Ada", ""},
		"deletes": {func(accounts.User) string { return "/settings/delete" }, "Bob", ""},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			eachTown(t, func(t *testing.T, p *town) {
				ada, bob, eve, kim := p.user("Ada"), p.user("Bob"), p.user("Eve"), p.user("Kim")
				acme := p.organization("acme", ada, bob)
				p.organization("zoo", ada)
				p.join(acme, eve, accounts.RoleMember)
				p.join(acme, kim, accounts.RoleMember)
				first, second := p.signedIn(ada), p.signedIn(bob)
				page := "/orgs/acme" + members
				invitation := shownLink(t, p, first.Post(page+"/invitations", "role", "admin").Expect(200))
				reset := shownLink(t, p, first.Post(page+"/"+eve.ID+"/reset-link").Expect(200))
				others := shownLink(t, p, second.Post(page+"/invitations", "role", "member").Expect(200))
				othersReset := shownLink(t, p, second.Post(page+"/"+kim.ID+"/reset-link").Expect(200))
				elsewhere := shownLink(t, p, first.Post("/orgs/zoo"+members+"/invitations", "role", "member").Expect(200))

				by := map[string]func(string, ...string) int{
					"Ada": func(path string, fields ...string) int { return first.Post(path, fields...).Status },
					"Bob": func(path string, fields ...string) int { return second.Post(path, fields...).Status },
				}[end.as]
				confirm := "yes"
				if name == "deletes" {
					confirm = "acme"
				}
				if status := by("/orgs/acme"+end.path(ada), "role", "member", "confirm", confirm); status != 303 {
					t.Fatalf("%s answers %d", name, status)
				}
				p.wantDead(name, invitation)
				p.wantDead(name, reset)
				p.Client(t).Get(elsewhere).Expect(200)
				if name == "deletes" {
					p.wantDead(name, others)
					p.wantDead(name, othersReset)
					return
				}
				p.Client(t).Get(others).Expect(200)
				p.Client(t).Get(othersReset).Expect(200)
				shown := second.Get(page).Expect(200)
				if end.words != "" && !strings.HasSuffix(shown.Text("main [role=status]"), end.words) {
					t.Errorf("the admin who did it reads %q", shown.Text("main [role=status]"))
				}
				if n := shown.Find("[data-invitation-id], [data-reset-link-id]").Length(); n != 2 {
					t.Errorf("%d open links are listed, want the other admin's 2", n)
				}
				entries := append(p.entries(acme, "member:role_update"), p.entries(acme, "member:remove")...)
				if len(entries) != 1 || !strings.Contains(entries[0].Metadata, `"ended_links":{"invitations":1,"reset_links":1}`) {
					t.Errorf("recorded: %+v", entries)
				}

				// What ended stays ended, also when the rights come back.
				if name == "removed" || name == "leaves" {
					p.join(acme, ada, accounts.RoleAdmin)
				} else {
					second.Post(page+"/"+ada.ID+"/role", "role", "admin").ExpectRedirect(page)
				}
				p.wantDead("an admin again", invitation)
				p.wantDead("an admin again", reset)
			})
		})
	}
}

// The link of somebody who just now loses the rights is used while that is being committed.
func TestALinkIsNotUsedWhileItsMakerLosesTheRights(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob, eve := p.user("Ada"), p.user("Bob"), p.user("Eve")
		acme, page := p.organization("acme", ada, bob), "/orgs/acme"+members
		p.join(acme, eve, accounts.RoleMember)
		admin := p.signedIn(ada)
		invitation := shownLink(t, p, admin.Post(page+"/invitations", "role", "admin").Expect(200))
		reset := shownLink(t, p, admin.Post(page+"/"+eve.ID+"/reset-link").Expect(200))

		var using sync.WaitGroup
		p.do(func(tx *gorm.DB) error {
			// Only the role, under the lock: as if the links had been made a moment later.
			if _, err := models.LockOrganization(t.Context(), tx, acme.ID); err != nil {
				return err
			}
			err := tx.Model(&accounts.Membership{}).Where("org_id = ? AND user_id = ?", acme.ID, ada.ID).Update("role", accounts.RoleMember).Error
			for _, link := range []string{invitation, reset} {
				client := p.Client(t)
				using.Go(func() {
					page := client.Post(link, "name", "Zed", "email", "zed@example.com", "password", "a brand new password")
					if page.Status != 404 {
						t.Errorf("%s… answers %d", link[:8], page.Status)
					}
				})
			}
			time.Sleep(300 * time.Millisecond) // both have read that the link is open, and wait
			return err
		})
		using.Wait()
		p.wantDead("afterwards", invitation)
		p.wantDead("afterwards", reset)
	})
}

func TestAResetLinkTakesTheRightsInEveryOrganizationOfTheAccount(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob, eve := p.user("Ada"), p.user("Bob"), p.user("Eve")
		acme, zoo := p.organization("acme", ada, bob), p.organization("zoo", ada, bob)
		p.join(acme, eve, accounts.RoleMember)
		p.join(zoo, eve, accounts.RoleMember)
		makeLink := func() string {
			return shownLink(t, p, p.signedIn(ada).Post("/orgs/acme"+members+"/"+eve.ID+"/reset-link").Expect(200))
		}
		link := makeLink()
		p.signedIn(bob).Post("/orgs/zoo"+members+"/"+ada.ID+"/role", "role", "member").Expect(303)
		p.wantDead("no admin of the other organization any more", link)
		p.signedIn(ada).Post("/orgs/acme" + members + "/" + eve.ID + "/reset-link").Expect(422)

		p.signedIn(bob).Post("/orgs/zoo"+members+"/"+eve.ID+"/remove", "confirm", "yes").Expect(303)
		link = makeLink()
		p.signedIn(bob).Post("/orgs/acme"+members+"/"+eve.ID+"/remove", "confirm", "yes").Expect(303)
		p.wantDead("the account belongs to the organization no more", link)
	})
}

func TestOpenResetLinksAreListedAndRevoked(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob, eve := p.user("Ada"), p.user("Bob"), p.user("Eve")
		acme := p.organization("acme", ada, bob)
		p.organization("zoo", bob)
		p.join(acme, eve, accounts.RoleMember)
		admin, other, page := p.signedIn(ada), p.signedIn(bob), "/orgs/acme"+members

		link := shownLink(t, p, admin.Post(page+"/"+eve.ID+"/reset-link").Expect(200))
		row := other.Get(page).Expect(200).Find("[data-reset-link-id]")
		if text := strings.Join(strings.Fields(row.Text()), " "); row.Length() != 1 || !strings.Contains(text, "Eve") || !strings.Contains(text, "Ada") {
			t.Fatalf("%d reset links are listed: %s", row.Length(), text)
		}
		id := row.AttrOr("data-reset-link-id", "")
		if strings.Contains(admin.Get(page).Expect(200).Body, link) {
			t.Error("the link itself is shown again")
		}
		revoke := page + "/reset-links/revoke"
		member := p.signedIn(eve)
		if n := member.Get(page).Expect(200).Find("[data-reset-link-id]").Length(); n != 0 {
			t.Error("a member sees the reset links")
		}
		member.Post(revoke, "id", id).Expect(403)
		other.Post("/orgs/zoo"+members+"/reset-links/revoke", "id", id).Expect(404)
		other.Post(revoke, "id", "rst_zz").Expect(404)
		p.Client(t).Get(link).Expect(200)
		other.Post(revoke, "id", id).ExpectRedirect(page)
		p.wantEntry(acme, "user:password_reset_link_revoke", bob, eve)
		other.Post(revoke, "id", id).Expect(404)
		p.wantDead("revoked", link)
		if n := other.Get(page).Expect(200).Find("[data-reset-link-id]").Length(); n != 0 {
			t.Error("the revoked link is listed")
		}
	})
}

func TestAnOperatorsLinkHasNoMaker(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, eve := p.user("Ada"), p.user("Eve")
		acme := p.organization("acme", ada)
		p.join(acme, eve, accounts.RoleMember)
		access, err := p.Accounts.AccessOf(t.Context(), eve.ID)
		if err != nil {
			t.Fatal(err)
		}
		var link string
		p.do(func(tx *gorm.DB) (err error) {
			link, err = handlers.MakeOperatorResetLink(audit.WithActor(t.Context(), audit.System("reset-password")), tx, "", access, eve)
			return err
		})
		if n := p.signedIn(ada).Get("/orgs/acme" + members).Expect(200).Find("[data-reset-link-id]").Length(); n != 0 {
			t.Error("an operator's link is listed")
		}
		p.Client(t).Post(link, "password", "a brand new password").ExpectRedirect("/login?notice=password-changed")
		e := p.wantEntry(acme, "user:password_reset", eve, eve)
		if !strings.Contains(e.Metadata, `"link_made_by":{"name":"operator"}`) {
			t.Errorf("it was recorded with %s", e.Metadata)
		}
		if got := p.signedIn(ada).Get("/orgs/acme" + auditLogs + "/" + e.ID.String()).Expect(200).Text("[data-link-maker]"); got != "an operator, on the server" {
			t.Errorf("the entry says the link was made by %q", got)
		}
	})
}

func TestAnInvitationKeepsItsAddress(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob, eve := p.user("Ada"), p.user("Bob"), p.user("Eve")
		acme := p.organization("acme", ada)
		link := shownLink(t, p, p.signedIn(ada).Post("/orgs/acme"+members+"/invitations", "role", "admin", "email", "BOB@example.com").Expect(200))

		stranger := p.signedIn(eve)
		for _, page := range []string{stranger.Get(link).Expect(200).Text("main"), stranger.Post(link).Expect(422).Text("main")} {
			for _, words := range []string{"for BOB@example.com", "signed in as eve@example.com", "Sign out", "an invitation to eve@example.com"} {
				if !strings.Contains(page, words) {
					t.Errorf("somebody else is not told %q: %s", words, page)
				}
			}
		}
		if n := stranger.Get(link).Find("main form").Length(); n != 0 {
			t.Error("somebody else gets a form")
		}
		stranger.Get("/orgs/acme" + members).Expect(404)
		if n := len(p.entries(acme, "member:join")); n != 0 {
			t.Error("somebody else joined")
		}

		guest := p.signedIn(bob)
		guest.Get(link).Expect(200)
		guest.Post(link).ExpectRedirect("/orgs/acme" + auditLogs)
		p.wantEntry(acme, "member:join", bob, bob)
		p.signedIn(ada).Get(link).Expect(404)

		// Whoever is a member already, with a page of the invitation that is still open, is led to the log.
		another := shownLink(t, p, p.signedIn(ada).Post("/orgs/acme"+members+"/invitations", "role", "member", "email", "zoe@example.com").Expect(200))
		guest.Post(another).ExpectRedirect("/orgs/acme" + auditLogs)
		p.Client(t).Get(another).Expect(200)
	})
}

// Addresses that look alike, or that a search takes for one, are those of different mailboxes.
func TestAnInvitationIsForNoAddressThatLooksLikeItsOwn(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme := p.organization("acme", ada)
		admin := p.signedIn(ada)
		for invited, other := range map[string]string{
			"ceo@strasse.example":   "ceo@straße.example",
			"zed@example.com":       "z\u200bed@example.com",
			"yan@example.com":       "yan\u00ad@example.com",
			"sam@example.com":       "\u017fam@example.com",
			"kim+audit@example.com": "\u212aim+audit@example.com",
		} {
			link := shownLink(t, p, admin.Post("/orgs/acme"+members+"/invitations", "role", "member", "email", invited).Expect(200))
			p.Client(t).Post(link, "name", "Somebody", "email", other, "password", password).Expect(422)
			p.Client(t).Post(link, "name", "Somebody", "email", strings.ToUpper(invited), "password", password).ExpectRedirect("/orgs/acme" + auditLogs)
			if _, err := p.Accounts.UserByEmail(t.Context(), invited); err != nil {
				t.Errorf("%s has no account: %v", invited, err)
			}
		}
		if n := len(p.entries(acme, "member:join")); n != 5 {
			t.Errorf("%d joined, want 5", n)
		}
	})
}

func TestOpenInvitationsAreBounded(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme, page := p.organization("acme", ada), "/orgs/acme"+members
		p.do(func(tx *gorm.DB) error {
			for range accounts.MaxOpenInvitations {
				if _, _, err := accounts.CreateInvitation(t.Context(), tx, acme.ID, ada.ID, "", accounts.RoleMember); err != nil {
					return err
				}
			}
			return nil
		})
		admin := p.signedIn(ada)
		refused := admin.Post(page+"/invitations", "role", "member", "email", "bob@example.com").Expect(422)
		wantReason(t, refused, "email", "There are 200 open invitations already; revoke one first.")
		if got := refused.Find("input[name=email]").AttrOr("value", ""); got != "bob@example.com" {
			t.Errorf("the address came back as %q", got)
		}
		if n := len(p.entries(acme, "member:invite")); n != 0 {
			t.Error("what was refused is recorded")
		}
		id := refused.Find("[data-invitation-id]").First().AttrOr("data-invitation-id", "")
		admin.Post(page+"/invitations/revoke", "id", id).ExpectRedirect(page)
		admin.Post(page+"/invitations", "role", "member", "email", "bob@example.com").Expect(200)
		admin.Post(page+"/invitations", "role", "member").Expect(422)

		p.Clock.Advance(accounts.InvitationLifetime) // those that expired do not count
		admin = p.signedIn(ada)
		admin.Post(page+"/invitations", "role", "member").Expect(200)
	})
}

func TestTheOrganizationsOfOnePersonAreBounded(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob := p.user("Ada"), p.user("Bob")
		client := p.signedIn(ada)
		client.Post("/orgs/new", "name", "First", "slug", "first").Expect(303)
		client.Post("/orgs/new", "name", "First", "slug", "first").Expect(422) // does not count
		client.Post("/orgs/first/settings/delete", "confirm", "first").Expect(303)
		p.do(func(tx *gorm.DB) error {
			for range accounts.MaxOrganizationsMade - 2 {
				if err := accounts.NoteOrganizationMade(t.Context(), tx, ada.ID); err != nil {
					return err
				}
			}
			return nil
		})
		client.Post("/orgs/new", "name", "Last", "slug", "last").Expect(303)
		page := client.Post("/orgs/new", "name", "More", "slug", "more").Expect(422)
		wantReason(t, page, "name", "You have made 50 organizations, deleted ones included")
		if _, err := models.OrganizationByRef(t.Context(), p.Store.Reader(t.Context()), models.OrganizationRef{Slug: "more"}); err == nil {
			t.Error("it was made all the same")
		}
		p.signedIn(bob).Post("/orgs/new", "name", "More", "slug", "more").Expect(303)
	})
}
