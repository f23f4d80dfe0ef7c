package handlers_test

import (
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

func TestRenaming(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newSettingsFixture(t, db)
		for _, name := range []string{"", "   ", strings.Repeat("x", 201), "two\nlines"} {
			page := d.admin.Post(settingsPage, "name", name).Expect(422)
			field := page.Find("input[name=name]")
			if page.Text("#"+field.AttrOr("aria-describedby", "none")) == "" {
				t.Errorf("%q: no reason", name)
			}
			if got, want := field.AttrOr("value", ""), strings.TrimSpace(name); strings.ReplaceAll(got, "\r", "") != want {
				t.Errorf("%q: the field holds %q", name, got)
			}
		}
		d.admin.Post(settingsPage, "name", "Acme & <Sons>").ExpectRedirect(settingsPage)
		page := d.admin.Get(settingsPage).Expect(200)
		if got := page.Find("input[name=name]").AttrOr("value", ""); got != "Acme & <Sons>" {
			t.Errorf("the field holds %q", got)
		}
		if change := d.changes(action.OrganizationUpdate); change["name"] != (audit.Change{Before: "Acme", After: "Acme & <Sons>"}) {
			t.Errorf("the entry holds %v", change)
		}
	})
}

func TestResourceLinks(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newSettingsFixture(t, db)
		const links = "/orgs/acme/settings/links"
		for _, bad := range [][2]string{
			{"service", "javascript:alert({id})"}, {"service", "https://example.com/"}, {"Service", "https://example.com/{id}"}, {"", ""},
		} {
			page := d.admin.Post(links, "entity_type", bad[0], "url_template", bad[1]).Expect(422)
			if got := page.Find("#new-link-template").AttrOr("value", ""); got != bad[1] {
				t.Errorf("the field holds %q, want %q", got, bad[1])
			}
			if page.Find("#resource-links .field-error").Length() == 0 {
				t.Errorf("%v: no reason", bad)
			}
		}
		for _, bytes := range []string{"a\x00b", "\xff"} {
			d.admin.Post(links, "entity_type", "service", "url_template", "https://example.com/"+bytes+"/{id}").Expect(422)
			d.admin.Post(links+"/remove", "entity_type", bytes).Expect(404)
		}
		d.admin.Post(links, "entity_type", "service", "url_template", "https://one.example.com/{id}").ExpectRedirect(settingsPage)
		if change := d.changes(action.OrganizationUpdate); change["resource_link"] != (audit.Change{Before: nil, After: "https://one.example.com/{id}"}) {
			t.Errorf("the entry holds %v", change)
		}
		fragment := postFragment(d.admin, links, "entity_type", "service", "url_template", "https://two.example.com/{id}").Expect(200)
		if got := fragment.Find("[data-resource-link=service] input[name=url_template]").AttrOr("value", ""); got != "https://two.example.com/{id}" {
			t.Errorf("the section shows %q", got)
		}
		if got := d.member.Get(settingsPage).Text("#resource-links dd"); got != "https://two.example.com/{id}" {
			t.Errorf("a member reads %q", got)
		}
		refused := d.admin.Post(links, "entity_type", "service", "url_template", "nowhere").Expect(422)
		if got := refused.Find("[data-resource-link=service] input[aria-invalid=true]").AttrOr("value", ""); got != "nowhere" {
			t.Errorf("what was typed stands as %q", got)
		}
		d.admin.Post(links+"/remove", "entity_type", "service").ExpectRedirect(settingsPage)
		stored, err := d.Store.ResourceLinks(t.Context(), d.org())
		if err != nil || len(stored) != 0 {
			t.Errorf("the links are %v (%v)", stored, err)
		}
		d.admin.Post(links+"/remove", "entity_type", "service").ExpectRedirect(settingsPage)
		d.admin.Post(links+"/remove", "entity_type", "a\x00b").Expect(404)
		if n := len(d.entries(action.OrganizationUpdate)); n != 3 {
			t.Errorf("%d changes were recorded, want 3", n)
		}
	})
}

// Metadata is masked under keys that look like credentials; a link is none.
func TestTheLinkOfATypeCalledAPIKeyIsRecorded(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newSettingsFixture(t, db)
		d.admin.Post("/orgs/acme/settings/links", "entity_type", "api_key", "url_template", "https://keys.example.com/{id}").ExpectRedirect(settingsPage)
		if change := d.changes(action.OrganizationUpdate); change["resource_link"] != (audit.Change{Before: nil, After: "https://keys.example.com/{id}"}) {
			t.Errorf("the entry holds %v", change)
		}
	})
}

func TestDeletingAnOrganization(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newSettingsFixture(t, db)
		const form = "/orgs/acme/settings/delete"
		for _, confirm := range []string{"", "ACME", "acm"} {
			page := d.admin.Post(form, "confirm", confirm).Expect(422)
			if page.Find("input[name=confirm]").AttrOr("value", "") != confirm || page.Text("#delete-confirm-error") == "" {
				t.Errorf("%q: the form does not say what is wrong", confirm)
			}
		}
		if d.org().Closed() {
			t.Fatal("it was deleted without a confirmation")
		}
		// It is recorded even while logging is off.
		d.admin.Post(auditForm, "retention_days", "90", "confirm", "yes").ExpectRedirect(settingsPage)
		d.admin.Post(form, "confirm", "acme").ExpectRedirect(settingsPage)

		if !d.org().Closed() {
			t.Fatal("it is not closed")
		}
		if entries := d.entries(action.OrganizationDelete); len(entries) != 1 || entries[0].EntityID != "acme" {
			t.Errorf("the entries are %+v", entries)
		}
		page := d.admin.Get(settingsPage).Expect(200)
		if !strings.Contains(page.Text(".banner.warning"), "was deleted on May 20, 2026") || page.Find("main form").Length() != 0 {
			t.Errorf("the page of a deleted organization has %d forms and says %q", page.Find("main form").Length(), page.Text(".banner"))
		}
		d.admin.Post(auditForm, "enabled", "on", "retention_days", "365").Expect(409)
		d.member.Get(settingsPage).Expect(404)
	})
}
