package handlers_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// opened is a form as somebody has it open.
type opened struct {
	t      *testing.T
	client *apptest.Client
	action string
	fields map[string]string
}

// open reads the form that a selector finds on a page, with what a browser would send of it.
func open(t *testing.T, client *apptest.Client, page *apptest.Page, selector string) *opened {
	t.Helper()
	form := page.Find(selector)
	if form.Length() != 1 {
		t.Fatalf("%s finds %d forms in\n%s", selector, form.Length(), page.Body)
	}
	o := &opened{t: t, client: client, action: form.AttrOr("action", ""), fields: map[string]string{}}
	form.Find("input[name], select[name]").Each(func(_ int, field *goquery.Selection) {
		if _, checked := field.Attr("checked"); field.AttrOr("type", "") == "checkbox" && !checked {
			return
		}
		value := field.AttrOr("value", "")
		if goquery.NodeName(field) == "select" {
			value = field.Find("option[selected]").AttrOr("value", "")
		}
		o.fields[field.AttrOr("name", "")] = value
	})
	return o
}

func (o *opened) set(name, value string) *opened {
	o.fields[name] = value
	return o
}

func (o *opened) clear(name string) *opened {
	delete(o.fields, name)
	return o
}

func (o *opened) pairs() (fields []string) {
	for name, value := range o.fields {
		fields = append(fields, name, value)
	}
	return fields
}

func (o *opened) send() *apptest.Page { o.t.Helper(); return o.client.Post(o.action, o.pairs()...) }

// wantConflict reads what the answer says of a form that was not saved.
func wantConflict(t *testing.T, page *apptest.Page, want ...string) *apptest.Page {
	t.Helper()
	page.Expect(409)
	said := page.Text("[data-conflict]")
	for _, words := range append(want, "Not saved: this was changed in the meantime.") {
		if !strings.Contains(said, words) {
			t.Errorf("the page says %q, want %q", said, words)
		}
	}
	return page
}

const byGrace = "by Grace (grace@example.com) on May 20, 2026, 09:31:00 UTC"

// eachCouncil runs test with two admins, Ada and Grace, of acme, and Bob, who is a member; a minute
// passes before what Grace does.
func eachCouncil(t *testing.T, test func(t *testing.T, p *town, acme models.Organization, ada, grace *apptest.Client, bob accounts.User)) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, grace, bob := p.user("Ada"), p.user("Grace"), p.user("Bob")
		acme := p.organization("acme", ada, grace)
		p.join(acme, bob, accounts.RoleMember)
		test(t, p, acme, p.signedIn(ada), p.signedIn(grace), bob)
	})
}

func (p *town) settings() models.Organization {
	p.t.Helper()
	return logtest.FindOrganization(p.t, p.Store, "acme")
}

func TestAuditSettingsAreNotUndoneByASave(t *testing.T) {
	eachCouncil(t, func(t *testing.T, p *town, _ models.Organization, ada, grace *apptest.Client, _ accounts.User) {
		page := ada.Get(settingsPage)
		days, toggle := open(t, ada, page, "#audit-form"), open(t, ada, page, "#audit-form")
		p.Clock.Advance(time.Minute)
		open(t, grace, grace.Get(settingsPage), "#audit-form").set("retention_days", "365").send().ExpectRedirect(settingsPage)
		open(t, grace, grace.Get(settingsPage), "#audit-form").clear("enabled").set("confirm", "yes").send().ExpectRedirect(settingsPage)

		answer := wantConflict(t, days.set("retention_days", "200").send(), "The retention period is now 365 days", byGrace)
		if strings.Contains(answer.Text("[data-conflict]"), "Audit logging is now on") {
			t.Error("it says what is not so")
		}
		form := open(t, ada, answer, "#audit-form")
		if form.fields["retention_days"] != "200" || form.fields["enabled"] != "on" || form.fields["loaded_retention_days"] != "365" || form.fields["loaded_enabled"] != "off" {
			t.Errorf("the form holds %v", form.fields)
		}
		if org := p.settings(); org.RetentionDays != 365 || org.LoggingEnabled {
			t.Errorf("the organization is %+v", org)
		}
		// The switch alone would have undone the retention as well. A fragment says the same.
		part := wantConflict(t, postFragment(ada, toggle.action, toggle.pairs()...), "365 days", "Audit logging is now off", byGrace)
		if strings.Contains(part.Body, "<html") || part.Find("section#audit-log-configuration #audit-form").Length() != 1 {
			t.Errorf("htmx gets %s", part.Body)
		}
		// What is wrong with a value does not make the form forget what it was loaded with.
		invalid := toggle.set("retention_days", "none").send().Expect(422)
		wantConflict(t, open(t, ada, invalid, "#audit-form").set("retention_days", "90").send(), "365 days")
		// Nor does the question: here asked by a form that knew, and answered when it is not so any more.
		question := form.set("retention_days", "100").send().Expect(200)
		open(t, grace, grace.Get(settingsPage), "#audit-form").set("retention_days", "300").set("confirm", "yes").send().ExpectRedirect(settingsPage)
		wantConflict(t, open(t, ada, question, `form[action="`+auditForm+`"]`).send(), "300 days")
		// Nor does a quick choice.
		choice := ada.Fragment(settingsPage + "?days=7&retention_days=365&loaded_retention_days=365&loaded_enabled=off").Expect(200)
		if fields := open(t, ada, choice, "#audit-form").fields; fields["loaded_retention_days"] != "365" || fields["retention_days"] != "7" {
			t.Errorf("after a quick choice the form holds %v", fields)
		}

		// Sent again, knowing what is stored, it is saved.
		again := open(t, ada, wantConflict(t, days.send()), "#audit-form").set("confirm", "yes")
		again.send().ExpectRedirect(settingsPage)
		if org := p.settings(); org.RetentionDays != 200 || !org.LoggingEnabled {
			t.Errorf("the organization is %+v", org)
		}
		// Who wants the same as what is stored is no conflict, and a script is served as it always was.
		days.send().ExpectRedirect(settingsPage)
		ada.Post(auditForm, "enabled", "on", "retention_days", "365").ExpectRedirect(settingsPage)
		if org := p.settings(); org.RetentionDays != 365 {
			t.Errorf("the organization is %+v", org)
		}
	})
}

func TestOneOfManySavesAtOnceWins(t *testing.T) {
	eachCouncil(t, func(t *testing.T, p *town, _ models.Organization, ada, _ *apptest.Client, _ accounts.User) {
		var saving sync.WaitGroup
		var saved, refused atomic.Int32
		page := ada.Get(settingsPage)
		for i := range 8 {
			form := open(t, ada, page, "#audit-form").set("retention_days", fmt.Sprint(200+i))
			saving.Go(func() {
				switch page := form.send(); page.Status {
				case 303:
					saved.Add(1)
				case 409:
					refused.Add(1)
				default:
					t.Errorf("saving answers %d", page.Status)
				}
			})
		}
		saving.Wait()
		if saved.Load() != 1 || refused.Load() != 7 {
			t.Errorf("%d were saved and %d refused, want 1 and 7", saved.Load(), refused.Load())
		}
	})
}

func TestANameIsNotUndoneByASave(t *testing.T) {
	eachCouncil(t, func(t *testing.T, p *town, _ models.Organization, ada, grace *apptest.Client, _ accounts.User) {
		form := open(t, ada, ada.Get(settingsPage), "#general form")
		p.Clock.Advance(time.Minute)
		open(t, grace, grace.Get(settingsPage), "#general form").set("name", "Acme Inc.").send().ExpectRedirect(settingsPage)
		wantConflict(t, open(t, ada, form.set("name", "").send().Expect(422), "#general form").set("name", "Acme Ltd.").send(), "The name is now Acme Inc.")
		answer := wantConflict(t, form.set("name", "Acme Ltd.").send(), "The name is now Acme Inc.", byGrace)
		again := open(t, ada, answer, "#general form")
		if again.fields["name"] != "Acme Ltd." || again.fields["loaded_name"] != "Acme Inc." || p.settings().Name != "Acme Inc." {
			t.Errorf("the form holds %v, and the name is %s", again.fields, p.settings().Name)
		}
		again.send().ExpectRedirect(settingsPage)
		form.clear("loaded_name").set("name", "Acme").send().ExpectRedirect(settingsPage)
		if name := p.settings().Name; name != "Acme" {
			t.Errorf("a script leaves the name %q", name)
		}
	})
}

func TestALinkIsNotUndoneByASave(t *testing.T) {
	eachCouncil(t, func(t *testing.T, p *town, acme models.Organization, ada, grace *apptest.Client, _ accounts.User) {
		const row, add = `form[data-resource-link=service]`, `#resource-links form:not([data-resource-link])`
		template := func() string {
			links, err := p.Store.ResourceLinks(t.Context(), acme)
			if err != nil {
				t.Fatal(err)
			}
			return links["service"]
		}
		remove := func(o *opened) *apptest.Page { return o.client.Post(o.action+"/remove", o.pairs()...) }
		adding := open(t, ada, ada.Get(settingsPage), add).set("entity_type", "service").set("url_template", "https://ada.example/{id}")
		p.Clock.Advance(time.Minute)
		open(t, grace, grace.Get(settingsPage), add).set("entity_type", "service").set("url_template", "https://grace.example/{id}").send().ExpectRedirect(settingsPage)
		answer := wantConflict(t, adding.send(), "The link of type service is now https://grace.example/{id}", byGrace)
		changing := open(t, ada, answer, row)
		if changing.fields["url_template"] != "https://ada.example/{id}" || changing.fields["loaded_url_template"] != "https://grace.example/{id}" {
			t.Errorf("the form holds %v", changing.fields)
		}

		open(t, grace, grace.Get(settingsPage), row).set("url_template", "https://new.example/{id}").send().ExpectRedirect(settingsPage)
		wantConflict(t, changing.send(), "https://new.example/{id}")
		again := open(t, ada, wantConflict(t, remove(changing), "https://new.example/{id}", "Remove it again"), row)
		if template() != "https://new.example/{id}" {
			t.Errorf("the link is %q", template())
		}
		// What is wrong with an address does not make the form forget.
		invalid := open(t, ada, changing.set("url_template", "ftp://x").send().Expect(422), row)
		wantConflict(t, invalid.set("url_template", "https://ada.example/{id}").send(), "https://new.example/{id}")

		remove(open(t, grace, grace.Get(settingsPage), row)).ExpectRedirect(settingsPage)
		remove(again).ExpectRedirect(settingsPage) // both wanted it gone
		gone := wantConflict(t, again.set("url_template", "https://ada.example/{id}").send(), "The link of type service was removed "+byGrace)
		readd := open(t, ada, gone, add)
		if readd.fields["entity_type"] != "service" || readd.fields["loaded_url_template"] != "" {
			t.Errorf("the form holds %v", readd.fields)
		}
		readd.send().ExpectRedirect(settingsPage)
		grace.Post("/orgs/acme/settings/links", "entity_type", "service", "url_template", "https://script.example/{id}").ExpectRedirect(settingsPage)
		if template() != "https://script.example/{id}" {
			t.Errorf("a script leaves the link %q", template())
		}
	})
}

func TestMaskingIsNotUndoneByASave(t *testing.T) {
	eachCouncil(t, func(t *testing.T, p *town, acme models.Organization, ada, grace *apptest.Client, _ accounts.User) {
		key, _ := p.apiKey(acme, accounts.User{ID: "usr_1"}, "Build server")
		list := "/orgs/acme" + apiKeys
		masking := list + "/" + key.ID + "/masking"
		stored := func() accounts.Masking {
			key, err := p.Accounts.APIKey(t.Context(), acme.ID, key.ID)
			if err != nil {
				t.Fatal(err)
			}
			return key.Masking
		}
		both, one := open(t, ada, ada.Get(masking), "main form"), open(t, ada, ada.Get(masking), "main form")
		p.Clock.Advance(time.Minute)
		open(t, grace, grace.Get(masking), "main form").set("mask_keys", "pin, door").set("keep_keys", "token").send().ExpectRedirect(list)

		// What is wrong with a name does not make the form forget.
		invalid := open(t, ada, both.set("mask_keys", "_").send().Expect(422), "main form")
		wantConflict(t, invalid.set("mask_keys", "pin").send(), "What is masked is now pin, door", byGrace)
		answer := wantConflict(t, one.set("mask_keys", "pin door").send(), "What is kept is now token", byGrace)
		if strings.Contains(answer.Text("[data-conflict]"), "What is masked") {
			t.Error("it says what is not so")
		}
		again := open(t, ada, answer, "main form")
		if again.fields["mask_keys"] != "pin door" || again.fields["keep_keys"] != "" || stored() != (accounts.Masking{MaskKeys: "pin door", KeepKeys: "token"}) {
			t.Errorf("the form holds %v, and it is %+v", again.fields, stored())
		}
		again.send().ExpectRedirect(list)
		open(t, ada, ada.Get(masking), "main form").set("mask_keys", "").send().ExpectRedirect(list)
		wantConflict(t, again.set("mask_keys", "pin").send(), "What is masked is now nothing")
		ada.Post(masking, "mask_keys", "script").ExpectRedirect(list)
		if stored() != (accounts.Masking{MaskKeys: "script"}) {
			t.Errorf("a script leaves %+v", stored())
		}
	})
}

func TestARoleIsNotUndoneByASave(t *testing.T) {
	eachCouncil(t, func(t *testing.T, p *town, acme models.Organization, ada, grace *apptest.Client, bob accounts.User) {
		const list = "/orgs/acme/settings/members"
		form := `form[action="` + list + "/" + bob.ID + `/role"]`
		role := func() accounts.Role {
			members, err := p.Accounts.Members(t.Context(), acme.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range members {
				if m.UserID == bob.ID {
					return m.Role
				}
			}
			return ""
		}
		open(t, grace, grace.Get(list), form).set("role", "admin").send().ExpectRedirect(list)
		opened := open(t, ada, ada.Get(list), form)
		question := open(t, ada, ada.Post(list+"/"+bob.ID+"/remove").Expect(200), "main form")
		p.Clock.Advance(time.Minute)
		open(t, grace, grace.Get(list), form).set("role", "member").send().ExpectRedirect(list)

		// Saving the form as it was would make Bob an admin again.
		answer := wantConflict(t, opened.send(), "The role of Bob is now member", byGrace)
		again := open(t, ada, answer, form)
		if again.fields["role"] != "admin" || again.fields["loaded_role"] != "member" || role() != accounts.RoleMember {
			t.Errorf("the form holds %v, and Bob is %s", again.fields, role())
		}
		asked := wantConflict(t, question.send(), "The role of Bob is now member", byGrace)
		again.send().ExpectRedirect(list)
		ada.Post(list+"/"+bob.ID+"/role", "role", "member").ExpectRedirect(list)

		open(t, grace, grace.Post(list+"/"+bob.ID+"/remove").Expect(200), "main form").send().ExpectRedirect(list)
		gone := "The member was removed " + byGrace
		wantConflict(t, again.send(), gone)
		wantConflict(t, open(t, ada, asked, "main form").send(), gone)
		if role() != "" {
			t.Errorf("Bob is %s again", role())
		}
		// Of somebody who never was a member nothing is said.
		stranger := p.user("Stranger")
		ada.Post(list+"/"+stranger.ID+"/role", "role", "admin", "loaded_role", "member").Expect(404)
		ada.Post(list+"/"+bob.ID+"/role", "role", "admin").Expect(404)
	})
}

func TestAConnectionIsNotUndoneByASave(t *testing.T) {
	eachCouncil(t, func(t *testing.T, p *town, acme models.Organization, ada, grace *apptest.Client, _ accounts.User) {
		const page = "/orgs/acme/settings/integrations"
		grace.Post(page + "/github").Expect(200)
		secret := open(t, ada, ada.Post(page+"/github/secret").Expect(200), "main form")
		end := open(t, ada, ada.Post(page+"/github/disconnect").Expect(200), "main form")
		p.Clock.Advance(time.Minute)
		open(t, grace, grace.Post(page+"/github/secret").Expect(200), "main form").send().Expect(200)
		wantConflict(t, secret.send(), "The secret is now a new one", byGrace)
		again := open(t, ada, wantConflict(t, end.send(), "The secret is now a new one", byGrace), "main form")
		again.send().ExpectRedirect(page)
		wantConflict(t, secret.send(), "The connection was removed by Ada")
		grace.Post(page + "/github").Expect(200)
		wantConflict(t, again.send(), "The connection is now another one", byGrace)
		ada.Post(page+"/github/disconnect", "confirm", "yes").ExpectRedirect(page)
		ada.Post(page+"/github/disconnect", "confirm", "yes").Expect(404)
		if n := len(p.entries(acme, string(action.GitHubInstallationUnlink))); n != 2 {
			t.Errorf("%d endings were recorded, want 2", n)
		}
	})
}

func TestADeletedOrganizationIsNoConflict(t *testing.T) {
	eachCouncil(t, func(t *testing.T, p *town, _ models.Organization, ada, grace *apptest.Client, _ accounts.User) {
		form := open(t, ada, ada.Get(settingsPage), "#general form")
		grace.Post("/orgs/acme/settings/delete", "confirm", "acme").ExpectRedirect(settingsPage)
		answer := form.set("name", "Late").send().Expect(409)
		if got := answer.Text(".failure"); !strings.Contains(got, "This organization has been deleted") || answer.Find("[data-conflict]").Length() != 0 {
			t.Errorf("the page says %q", got)
		}
	})
}

func TestTheLastChangeOutlivesItsEntry(t *testing.T) {
	eachCouncil(t, func(t *testing.T, p *town, acme models.Organization, ada, grace *apptest.Client, _ accounts.User) {
		form := open(t, ada, ada.Get(settingsPage), "#general form").set("name", "Mine")
		p.Clock.Advance(time.Minute)
		grace.Post(settingsPage, "name", "Acme Inc.").ExpectRedirect(settingsPage)
		p.do(func(tx *gorm.DB) error {
			_, _, err := models.ChangeAuditSettings(t.Context(), tx, acme.ID, models.Actor{ID: "u", Name: "u"},
				models.AuditSettings{RetentionDays: 1, LoggingEnabled: true}, 0, p.Clock.Now())
			return err
		})
		p.Clock.Advance(49 * time.Hour)
		ada.SignIn("ada@example.com", password)
		if n := ada.Get("/orgs/acme/settings/audit-logs?action=organization:update").Expect(200).Find("[data-entry-id]").Length(); n != 0 {
			t.Fatalf("%d entries are shown", n)
		}
		wantConflict(t, form.send(), byGrace)
	})
}
