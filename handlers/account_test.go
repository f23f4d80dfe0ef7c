package handlers_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/models/accounts"
)

func changePassword(client *apptest.Client, from, to string) *apptest.Page {
	return client.Post("/account/password", "current_password", from, "password", to)
}

func TestChangingOnesOwnPassword(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob := p.user("Ada"), p.user("Bob")
		acme, zoo := p.organization("acme", ada), p.organization("zoo", ada)
		p.join(acme, bob, accounts.RoleMember)
		here, elsewhere, page := p.signedIn(bob), p.signedIn(bob), "/orgs/acme"+members
		reset := shownLink(t, p, p.signedIn(ada).Post(page+"/"+bob.ID+"/reset-link").Expect(200))

		if got := here.Get(page).Expect(200).Find(`.side-foot a[href="/account"]`).Length(); got != 1 {
			t.Error("the frame does not lead to one's account")
		}
		here.Get("/account").Expect(200)
		wantReason(t, changePassword(here, "wrong horse", newPassword).Expect(422), "current_password", "not your password")
		p.wantEntry(acme, "user:password_change_refused", bob, bob)
		wantReason(t, changePassword(here, "", newPassword).Expect(422), "current_password", "Enter")
		wantReason(t, changePassword(here, password, "short").Expect(422), "password", "at least 10")
		wantReason(t, changePassword(here, password, password).Expect(422), "password", "the password you have")
		wantReason(t, changePassword(here, password, "bob@example.com").Expect(422), "password", "easy to guess")
		elsewhere.Get(page).Expect(200)
		if n := len(p.entries(acme, "user:password_change")); n != 0 {
			t.Errorf("%d changes were recorded of what was refused", n)
		}

		before := here.Cookie("audit_session")
		changed := changePassword(here, password, newPassword)
		changed.ExpectRedirect("/account")
		if got := here.Get("/account").Expect(200).Text("main [role=status]"); !strings.Contains(got, "signed out everywhere else") {
			t.Errorf("the page that follows says %q", got)
		}
		if after := here.Cookie("audit_session"); after == before || after == "" {
			t.Error("the session goes on under the same cookie")
		}
		elsewhere.Get(page).Expect(303)
		p.Client(t).Get("/account", "Cookie", "audit_session="+before).Expect(303)
		p.wantDead("after a change of the password", reset)
		p.wantEntry(acme, "user:password_change", bob, bob)
		if n := len(p.entries(zoo, "user:password_change")); n != 0 {
			t.Error("it is recorded in an organization of others")
		}
		p.Client(t).Post("/login", "email", bob.Email, "password", password).Expect(422)
		p.Client(t).SignIn(bob.Email, newPassword)
		p.Client(t).Post("/account/password", "current_password", newPassword, "password", password).ExpectRedirect("/login")
	})
}

func TestWrongPasswordsAreBoundedWhenChangingIt(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme := p.organization("acme", ada)
		thief, owner := p.signedIn(ada), p.signedIn(ada)
		for range 10 {
			changePassword(thief, "wrong horse", newPassword).Expect(422)
		}
		page := changePassword(thief, password, newPassword).Expect(429)
		if page.Header.Get("Retry-After") != "901" {
			t.Errorf("Retry-After: %q", page.Header.Get("Retry-After"))
		}
		wantReason(t, page, "current_password", "Too many wrong passwords.")
		if n := len(p.entries(acme, "user:password_change_refused")); n != 10 {
			t.Errorf("%d wrong passwords are recorded, want 10", n)
		}
		p.signedIn(ada) // signing in is counted by itself
		p.Clock.Advance(15 * time.Minute)
		changePassword(owner, password, newPassword).ExpectRedirect("/account")
	})
}

func TestOnesSessionsAreListedAndEnded(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob := p.user("Ada"), p.user("Bob")
		acme := p.organization("acme", ada, bob)
		in := func(agent string) *apptest.Client {
			client := p.Client(t)
			client.Do("POST", "/login", strings.NewReader("email=ada%40example.com&password=correct+horse"),
				"Content-Type", "application/x-www-form-urlencoded", "User-Agent", agent).Expect(303)
			p.Clock.Advance(time.Minute)
			return client
		}
		const iPhone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
		phone := in(iPhone)
		tablet := in("bad \xff agent")
		laptop := in("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36")
		stranger := p.signedIn(bob)

		page := laptop.Get("/account", "User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36").Expect(200)
		rows := page.Find("[data-session-id]")
		var texts, ids []string
		for _, row := range rows.EachIter() {
			texts = append(texts, strings.Join(strings.Fields(row.Text()), " "))
			ids = append(ids, row.AttrOr("data-session-id", ""))
		}
		if len(texts) != 3 || !strings.Contains(texts[0], "Chrome 142 on Linux 127.0.0.1 May 20, 2026, 09:32:00 UTC") || !strings.HasSuffix(texts[0], "This one") ||
			strings.Contains(texts[1], "This one") || !strings.Contains(texts[2], "Safari 18 on iPhone") {
			t.Fatalf("the sessions are listed as %q", texts)
		}
		if strings.Contains(page.Body, laptop.Cookie("audit_session")) {
			t.Error("the page shows the session's cookie")
		}

		stranger.Post("/account/sessions/end", "id", ids[2]).ExpectRedirect("/account") // nothing of theirs
		phone.Get("/account", "User-Agent", iPhone).Expect(200)
		laptop.Post("/account/sessions/end", "id", ids[2]).ExpectRedirect("/account")
		if got := laptop.Get("/account").Expect(200).Text("main [role=status]"); got != "The session was ended." {
			t.Errorf("the page that follows says %q", got)
		}
		phone.Get("/account").Expect(303)
		tablet.Get("/account").Expect(200)
		e := p.wantEntry(acme, "user:session_end", ada, ada)
		if !strings.Contains(e.Metadata, "Safari 18 on iPhone") {
			t.Errorf("it is recorded with %s", e.Metadata)
		}
		laptop.Post("/account/sessions/end", "id", ids[2]).ExpectRedirect("/account")
		laptop.Post("/account/sessions/end", "id", "ses_zz").ExpectRedirect("/account")
		if n := len(p.entries(acme, "user:session_end")); n != 1 {
			t.Errorf("%d ends are recorded, want 1", n)
		}

		more := p.signedIn(ada)
		laptop.Post("/account/sessions/end-others").ExpectRedirect("/account")
		if got := laptop.Get("/account").Expect(200); got.Find("[data-session-id]").Length() != 1 || got.Text("main [role=status]") != "2 other sessions were ended." ||
			got.Find(`form[action="/account/sessions/end-others"]`).Length() != 0 {
			t.Errorf("afterwards the page says %q", got.Text("main"))
		}
		for _, ended := range []*apptest.Client{tablet, more} {
			ended.Get("/account").Expect(303)
		}
		stranger.Get("/account").Expect(200)
		all := p.entries(acme, "user:session_end")
		if len(all) != 2 || !strings.Contains(all[1].Metadata, `"sessions":2`) {
			t.Errorf("recorded: %+v", all)
		}
		laptop.Post("/account/sessions/end-others").ExpectRedirect("/account")
		laptop.Post("/account/sessions/end", "id", ids[0]).ExpectRedirect("/login")
		p.wantEntry(acme, "user:sign_out", ada, ada)
		if n := len(p.entries(acme, "user:session_end")); n != 2 {
			t.Errorf("%d ends are recorded, want 2", n)
		}
	})
}

func TestASessionShowsWhereItWasLastSeen(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		p.organization("acme", ada)
		client := p.signedIn(ada)
		p.Clock.Advance(2 * time.Minute)
		client.Get("/account", "User-Agent", "curl/8.5.0").Expect(200)
		page := client.Get("/account").Expect(200)
		if got := page.Text("[data-session-id]"); !strings.Contains(got, "curl 8.5.0") || !strings.Contains(got, "09:30:00 UTC") || !strings.Contains(got, "09:32:00 UTC") {
			t.Errorf("it is listed as %q", got)
		}
	})
}

func TestAccountsAreForWhoIsSignedIn(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		p.organization("acme", p.user("Ada"))
		visitor := p.Client(t)
		visitor.Get("/account").ExpectRedirect("/login?return=%2Faccount")
		posts := []string{}
		for _, route := range p.App.Routes() {
			if strings.HasPrefix(route.Path, "/account/") && route.Method == "POST" {
				posts = append(posts, route.Path)
				if page := visitor.Post(route.Path); page.Status != 303 || !strings.HasPrefix(page.Header.Get("Location"), "/login") {
					t.Errorf("POST %s answers %d", route.Path, page.Status)
				}
			}
		}
		if slices.Sort(posts); len(posts) != 3 {
			t.Errorf("the account has the forms %v", posts)
		}
	})
}
