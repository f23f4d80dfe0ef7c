package handlers_test

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/handlers/passwords"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

const auditLogs = "/settings/audit-logs"

// password is that of every account the tests make.
const password = "correct horse"

func init() { passwords.Cost = apptest.CheapPasswords }

// town is a running app with accounts and organizations.
type town struct {
	*apptest.Server
	t    *testing.T
	hash string
}

// eachTown runs test on both databases, with nobody in it yet.
func eachTown(t *testing.T, test func(t *testing.T, town *town), options ...func(*app.Config)) {
	t.Helper()
	hash := apptest.PasswordHash(t, password)
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		test(t, &town{apptest.Start(t, db, options...), t, hash})
	})
}

func (p *town) do(change func(tx *gorm.DB) error) {
	p.t.Helper()
	if err := p.Store.Transaction(p.t.Context(), change); err != nil {
		p.t.Fatal(err)
	}
}

// user makes an account with the address name@example.com.
func (p *town) user(name string) (user accounts.User) {
	p.t.Helper()
	p.do(func(tx *gorm.DB) (err error) {
		user, err = accounts.CreateUser(p.t.Context(), tx, name, strings.ToLower(name)+"@example.com", p.hash)
		return err
	})
	return user
}

// organization makes one with its admins.
func (p *town) organization(slug string, admins ...accounts.User) (org models.Organization) {
	p.t.Helper()
	org = logtest.Organization(p.t, p.Store, slug)
	for _, admin := range admins {
		p.join(org, admin, accounts.RoleAdmin)
	}
	return org
}

func (p *town) join(org models.Organization, user accounts.User, role accounts.Role) {
	p.t.Helper()
	p.do(func(tx *gorm.DB) error { return accounts.AddMember(p.t.Context(), tx, org.ID, user.ID, role) })
}

// close deletes an organization as far as its readers can tell.
func (p *town) close(org models.Organization) {
	p.t.Helper()
	p.do(func(tx *gorm.DB) error {
		return tx.Model(&models.Organization{}).Where("id = ?", org.ID).
			Update("closed_at", models.MicrosOf(p.Store.Now())).Error
	})
}

// signedIn is a browser in which the user has signed in.
func (p *town) signedIn(user accounts.User) *apptest.Client {
	p.t.Helper()
	client := p.Client(p.t)
	client.SignIn(user.Email, password)
	return client
}

// entries are the organization's entries with an action, oldest first.
func (p *town) entries(org models.Organization, action string) []models.Entry {
	p.t.Helper()
	var entries []models.Entry
	err := p.Store.Reader(p.t.Context()).Where("org_id = ? AND action = ?", org.ID, action).Order("id").Find(&entries).Error
	if err != nil {
		p.t.Fatal(err)
	}
	return entries
}

// wantEntry is the one entry with an action, by an actor, about a member.
func (p *town) wantEntry(org models.Organization, action string, actor, about accounts.User) models.Entry {
	p.t.Helper()
	entries := p.entries(org, action)
	if len(entries) != 1 {
		p.t.Fatalf("%d entries %s in %s, want 1", len(entries), action, org.Slug)
	}
	e := entries[0]
	if e.ActorID != actor.ID || e.ActorName != actor.Name || e.ActorEmail != actor.Email {
		p.t.Errorf("%s was recorded as done by %s %s, want %s", action, e.ActorID, e.ActorName, actor.Name)
	}
	if e.EntityID != about.ID || e.EntityName != about.Name {
		p.t.Errorf("%s was recorded about %s %s, want %s", action, e.EntityID, e.EntityName, about.Name)
	}
	if e.IP != "127.0.0.1" {
		p.t.Errorf("%s was recorded from %q", action, e.IP)
	}
	return e
}

func metadataOf(t *testing.T, e models.Entry) (metadata map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(e.Metadata), &metadata); err != nil {
		t.Fatal(err)
	}
	return metadata
}

// wantReason wants a page whose field says why its value was refused.
func wantReason(t *testing.T, page *apptest.Page, field, reason string) {
	t.Helper()
	control := page.Find(`[name="` + field + `"]`)
	if control.AttrOr("aria-invalid", "") != "true" {
		t.Errorf("%s is not marked invalid", field)
	}
	var said []string
	for id := range strings.FieldsSeq(control.AttrOr("aria-describedby", "")) {
		said = append(said, page.Text("#"+id))
	}
	if !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, reason) }) {
		t.Errorf("beside %s it says %q, want %q", field, said, reason)
	}
}

func TestSigningIn(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme, zoo, closed := p.organization("acme", ada), p.organization("zoo", ada), p.organization("gone", ada)
		p.close(closed)
		client := p.Client(t)

		page := client.Get("/login").Expect(200)
		if page.Find(`form[action="/login"] input[name=email], form[action="/login"] input[type=password]`).Length() != 2 {
			t.Error("the page has no form for e-mail and password")
		}
		client.Post("/login", "email", "ADA@example.com", "password", password).ExpectRedirect("/")
		client.Get("/").ExpectRedirect("/orgs/acme" + auditLogs)
		p.wantEntry(acme, "user:sign_in", ada, ada)
		p.wantEntry(zoo, "user:sign_in", ada, ada)
		if n := len(p.entries(closed, "user:sign_in")); n != 0 {
			t.Errorf("%d sign-ins were recorded in a closed organization", n)
		}
		client.Get("/login").ExpectRedirect("/")
	})
}

func TestAWrongPasswordIsRefusedAndRecorded(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme := p.organization("acme", ada)
		client := p.Client(t)

		known := client.Post("/login", "email", "ada@example.com", "password", "wrong horse").Expect(422)
		unknown := client.Post("/login", "email", "nobody@example.com", "password", "wrong horse").Expect(422)
		for _, page := range []*apptest.Page{known, unknown} {
			wantReason(t, page, "password", "No account has this e-mail address and password.")
			if got := page.Find("input[name=password]").AttrOr("value", ""); got != "" {
				t.Errorf("the password came back: %q", got)
			}
		}
		if got := known.Find("input[name=email]").AttrOr("value", ""); got != "ada@example.com" {
			t.Errorf("the e-mail did not come back but %q", got)
		}
		if strings.ReplaceAll(known.Body, "ada@", "nobody@") != unknown.Body {
			t.Error("the answer tells whether there is an account")
		}
		p.wantEntry(acme, "user:sign_in_refused", ada, ada)
		client.Get("/").ExpectRedirect("/login")

		empty := client.Post("/login").Expect(422)
		wantReason(t, empty, "email", "Enter")
		wantReason(t, empty, "password", "Enter")
	})
}

func TestManyWrongPasswordsMustWait(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, bob := p.user("Ada"), p.user("Bob")
		p.organization("acme", ada, bob)
		client := p.Client(t)
		for range 10 {
			client.Post("/login", "email", "ada@example.com", "password", "wrong horse").Expect(422)
		}
		page := client.Post("/login", "email", "ada@example.com", "password", password).Expect(429)
		if page.Header.Get("Retry-After") != "901" {
			t.Errorf("Retry-After: %q", page.Header.Get("Retry-After"))
		}
		wantReason(t, page, "password", "Too many wrong passwords.")
		p.signedIn(bob) // others are not shut out

		p.Clock.Advance(15 * 60e9)
		p.signedIn(ada)
	})
}

func TestSigningOut(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme := p.organization("acme", ada)
		client, other := p.signedIn(ada), p.signedIn(ada)

		client.Get("/logout").Expect(200)
		client.Get("/orgs/acme/settings/members").Expect(200)
		client.Post("/logout").ExpectRedirect("/login")
		client.Get("/orgs/acme/settings/members").Expect(303)
		p.wantEntry(acme, "user:sign_out", ada, ada)
		other.Get("/orgs/acme/settings/members").Expect(200)
	})
}

func TestWhoIsNotSignedInIsLedToThePageAskedFor(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		p.organization("acme", ada)
		client := p.Client(t)

		asked := "/orgs/acme/settings/members?a=1&b=x%20y"
		login := client.Get(asked).Expect(303).Header.Get("Location")
		if login != "/login?return="+url.QueryEscape(asked) {
			t.Fatalf("led to %s", login)
		}
		for _, other := range []string{"/orgs/nowhere/settings/members", "/orgs/acme", "/orgs/acme/nothing", "/orgs/new", "/settings"} {
			location := client.Get(other).Expect(303).Header.Get("Location")
			if location != "/login?return="+url.QueryEscape(other) {
				t.Errorf("%s leads to %s", other, location)
			}
		}
		// A file is saved as it is opened, and nothing would lead on from the sign-in page.
		for file, page := range map[string]string{
			"/export?format=csv": "", "/export?format=ndjson&action=service:update&q=a%20b&tz=UTC": "?action=service:update&q=a+b&tz=UTC",
		} {
			answer := client.Get("/orgs/acme" + auditLogs + file).Expect(303)
			if location := answer.Header.Get("Location"); location != "/login?return="+url.QueryEscape("/orgs/acme"+auditLogs+page) || answer.Header.Get("Content-Disposition") != "" {
				t.Errorf("%s leads to %s", file, location)
			}
		}
		fragment := client.Fragment("/orgs/acme"+auditLogs+"/x", "HX-Current-URL", p.URL+"/orgs/acme"+auditLogs+"?q=web")
		if got := fragment.Header.Get("HX-Redirect"); got != "/login?return="+url.QueryEscape("/orgs/acme"+auditLogs+"?q=web") {
			t.Errorf("a fragment (%d) leads to %q", fragment.Status, got)
		}

		// A search that met the end of the session is asked for, not the page it was typed into.
		typed := client.Fragment("/orgs/acme"+auditLogs+"?q=web&sort=user", "HX-Current-URL", p.URL+"/orgs/acme"+auditLogs+"?q=w&sort=user")
		if got := typed.Header.Get("HX-Redirect"); got != "/login?return="+url.QueryEscape("/orgs/acme"+auditLogs+"?q=web&sort=user") {
			t.Errorf("a search (%d) leads to %q", typed.Status, got)
		}
		// A form was not saved: the sign-in page says so, and leads to the page that holds it.
		form := "/orgs/acme/settings/members?page=1"
		lost := client.Do("POST", "/orgs/acme/settings/members/invitations", strings.NewReader("email=x"),
			"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin", "Referer", p.URL+form).Expect(303).Header.Get("Location")
		if text := client.Get(lost).Expect(200).Text("main [role=status]"); !strings.Contains(text, "nothing was saved") {
			t.Errorf("%s says %q", lost, text)
		}
		if kept := client.Get(lost).Find("input[name=return]").AttrOr("value", ""); kept != form {
			t.Errorf("a form leads back to %q", kept)
		}

		page := client.Get(login).Expect(200)
		kept := page.Find("input[name=return]").AttrOr("value", "")
		client.Post("/login", "email", "ada@example.com", "password", password, "return", kept).ExpectRedirect(asked)
	})
}

func TestSignInNeverLeadsToAnotherServer(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		p.organization("acme", p.user("Ada"))
		for _, foreign := range []string{
			"https://evil.example", "//evil.example", `/\evil.example`, "/\t/evil.example", "\n//evil.example",
			"javascript:alert(1)", "evil.example", " //evil.example", "/%5Cevil.example\r\nX: y", `\\evil.example`,
		} {
			client := p.Client(t)
			kept := client.Get("/login?return="+url.QueryEscape(foreign)).Expect(200).Find("input[name=return]").AttrOr("value", "")
			if kept != "" {
				t.Errorf("the form keeps %q as %q", foreign, kept)
			}
			client.Post("/login", "email", "ada@example.com", "password", password, "return", foreign).ExpectRedirect("/")
			client.Get("/login?return=" + url.QueryEscape(foreign)).ExpectRedirect("/")
		}
	})
}

func TestTheDemoShowsItsAccounts(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		p.organization("acme", p.user("Ada"))
		if got := p.Client(t).Get("/login").Expect(200).Text("main"); !strings.Contains(got, "audit-demo") || !strings.Contains(got, "member@example.com") {
			t.Errorf("the sign-in page of a demo says %q", got)
		}
	}, func(c *app.Config) { c.Demo = true })
	eachTown(t, func(t *testing.T, p *town) {
		p.organization("acme", p.user("Ada"))
		if got := p.Client(t).Get("/login").Expect(200).Body; strings.Contains(got, "audit-demo") {
			t.Error("the sign-in page shows demo accounts outside of a demo")
		}
	})
}

func TestSetup(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		var token string
		p.do(func(tx *gorm.DB) (err error) {
			token, err = accounts.CreateSetupToken(t.Context(), tx)
			return err
		})
		client := p.Client(t)
		client.Get("/login").ExpectRedirect("/setup")
		client.Get("/setup").Expect(200)

		fields := func(token, slug, password string) []string {
			return []string{"token", token, "name", "Ada", "email", "ada@example.com", "password", password,
				"organization", "Acme Inc.", "slug", slug}
		}
		wantReason(t, client.Post("/setup", fields("guess", "acme", password)...).Expect(422), "token", "not the token")
		page := client.Post("/setup", fields(token, "No Slug", "short")...).Expect(422)
		wantReason(t, page, "slug", "lower-case letters")
		wantReason(t, page, "password", "at least 10")
		if got := page.Find("input[name=organization]").AttrOr("value", ""); got != "Acme Inc." {
			t.Errorf("the organization's name came back as %q", got)
		}

		client.Post("/setup", fields(token, "acme", password)...).ExpectRedirect("/orgs/acme" + auditLogs)
		client.Get("/orgs/acme/settings/members").Expect(200)
		client.Get("/setup").Expect(404)
		client.Post("/setup", fields(token, "other", password)...).Expect(404)

		ada, err := p.Accounts.UserByEmail(t.Context(), "ada@example.com")
		if err != nil {
			t.Fatal(err)
		}
		acme := logtest.FindOrganization(t, p.Store, "acme")
		if e := p.entries(acme, "organization:create"); len(e) != 1 || e[0].EntityID != "acme" || e[0].EntityName != "Acme Inc." || e[0].ActorID != ada.ID {
			t.Errorf("recorded: %+v", e)
		}
		p.wantEntry(acme, "user:sign_in", ada, ada)
	})
}
