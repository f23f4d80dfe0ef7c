package handlers_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

const views = "/orgs/acme/settings/audit-logs/views"

// library is an organization with two admins, a member and an auditor, who keep views.
type library struct {
	*town
	acme                           models.Organization
	ada, bob                       accounts.User
	admin, second, member, auditor *apptest.Client
}

func eachLibrary(t *testing.T, test func(t *testing.T, l *library)) {
	t.Helper()
	eachTown(t, func(t *testing.T, p *town) {
		ada, eve, bob, ivy := p.user("Ada"), p.user("Eve"), p.user("Bob"), p.user("Ivy")
		l := &library{town: p, ada: ada, bob: bob, acme: p.organization("acme", ada, eve)}
		p.join(l.acme, bob, accounts.RoleMember)
		p.join(l.acme, ivy, accounts.RoleAuditor)
		l.admin, l.second, l.member, l.auditor = p.signedIn(ada), p.signedIn(eve), p.signedIn(bob), p.signedIn(ivy)
		test(t, l)
	})
}

// beside lists the views that stand beside the log, and the one that is current in brackets.
func beside(client *apptest.Client, query string) string {
	page := client.Get("/orgs/acme" + auditLogs + query).Expect(200)
	var names []string
	for _, link := range page.Find("#side-views a").EachIter() {
		name := strings.TrimSpace(link.Text())
		if link.AttrOr("aria-current", "") != "" {
			name = "[" + name + "]"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// save saves a view and returns its ID.
func (l *library) save(client *apptest.Client, name, query string, more ...string) string {
	l.t.Helper()
	client.Post(views, append([]string{"name", name, "query", query}, more...)...).ExpectRedirect(views)
	for _, row := range client.Get(views).Expect(200).Find("[data-view-id]").EachIter() {
		if row.Find("th a").Text() == name {
			return row.AttrOr("data-view-id", "")
		}
	}
	l.t.Fatalf("%s is not listed", name)
	return ""
}

const builtIn = "Deletions, Failed and denied, Outside of office hours, By agents, Settings and access"

func TestAViewIsANameForAnAddress(t *testing.T) {
	eachLibrary(t, func(t *testing.T, l *library) {
		log := "/orgs/acme" + auditLogs
		if got := beside(l.member, ""); got != builtIn+", Edit views" {
			t.Errorf("at first there are %s", got)
		}
		// What is saved is the canonical question, of the first page.
		form := l.member.Get(log+"?outcome=denied&q=action:user:*+web&sort=action&dir=asc").Find("#save-view").AttrOr("href", "")
		page := l.member.Get(form).Expect(200)
		if got := page.Text("#save-title + p"); got != "Search web, Action user:*, Outcome denied, sorted by action, A to Z" {
			t.Errorf("to be saved is %q", got)
		}
		query := page.Find("[name=query]").AttrOr("value", "")
		own := l.save(l.member, "Refused", query)
		l.member.Get(views + "/" + own).ExpectRedirect(log + "?outcome=denied&q=web+action:user:*&sort=action")
		shared := l.save(l.admin, "Sign-ins", "q=action:user:*&limit=50", "shared", "on")
		if got := beside(l.member, "?q=action:user:*"); got != builtIn+", Refused, [Sign-ins], Edit views" {
			t.Errorf("the member has %s", got)
		}
		if got := beside(l.auditor, "?q=action:user:*&sort=action"); got != builtIn+", Sign-ins, Edit views" {
			t.Errorf("the auditor has %s", got)
		}
		if got := l.member.Fragment(log + "?outcome=failure&outcome=denied").Expect(200).Find("#side-views [aria-current]").Text(); got != "Failed and denied" {
			t.Errorf("htmx has %q marked", got)
		}
		// One's own are nobody else's, not even an admin's.
		for _, client := range []*apptest.Client{l.admin, l.auditor} {
			client.Get(views + "/" + own).Expect(404)
			client.Post(views+"/"+own, "name", "Mine").Expect(404)
			client.Post(views + "/" + own + "/remove").Expect(404)
			client.Post(views+"/default", "view", own).Expect(404)
		}
		l.member.Get(views + "/nowhere").Expect(404)

		l.member.Post(views+"/"+own, "name", "Refused web", "loaded_name", "Refused").ExpectRedirect(views)
		if got := l.member.Get(views).Text("[role=status]"); got != "Saved. The view is called Refused web now." {
			t.Errorf("it says %q", got)
		}
		l.member.Post(views+"/"+own+"/remove", "loaded_name", "Refused web").ExpectRedirect(views)
		l.member.Get(views + "/" + own).Expect(404)
		l.member.Get(views + "/" + shared).Expect(303)
		// Nobody's business.
		for _, act := range []string{"audit_view:update", "audit_view:delete"} {
			if n := len(l.entries(l.acme, act)); n != 0 {
				t.Errorf("%d entries of %s are about one's own views", n, act)
			}
		}
	})
}

func TestSharedViewsAreTheAdmins(t *testing.T) {
	eachLibrary(t, func(t *testing.T, l *library) {
		id := l.save(l.admin, "Staging", "q=staging", "shared", "on")
		for _, client := range []*apptest.Client{l.member, l.auditor} {
			client.Post(views, "name", "Mine", "query", "q=x", "shared", "on").Expect(403)
			client.Post(views+"/"+id, "name", "Mine").Expect(403)
			client.Post(views + "/" + id + "/remove").Expect(403)
			page := client.Get(views + "?q=x").Expect(200)
			if page.Find("[name=shared]").Length() != 0 || page.Find(`[data-view-id="`+id+`"] [name=name]`).Length() != 0 {
				t.Error("the page offers what only admins may")
			}
		}
		l.admin.Post(views+"/"+id, "name", "The staging").Expect(303)
		l.admin.Post(views+"/"+id, "name", "The staging").Expect(303) // nothing to save
		l.admin.Post(views + "/" + id + "/remove").Expect(303)
		for act, want := range map[string]string{
			"audit_view:create": "Staging map[query:q=staging]",
			"audit_view:update": "Staging map[changed_fields:[name] changes:map[name:map[after:The staging before:Staging]]]",
			"audit_view:delete": "The staging map[query:q=staging]",
		} {
			found := l.entries(l.acme, act)
			if len(found) != 1 || found[0].ActorID != l.ada.ID || found[0].EntityID != id || found[0].EntityType != "audit_view" {
				t.Fatalf("%s is recorded as %+v", act, found)
			}
			if got := fmt.Sprint(found[0].EntityName, " ", metadataOf(t, found[0])); got != want {
				t.Errorf("%s is recorded of %s, want %s", act, got, want)
			}
		}
	})
}

func TestAViewIsNotSavedOverAnothers(t *testing.T) {
	eachLibrary(t, func(t *testing.T, l *library) {
		id := l.save(l.admin, "Staging", "q=staging", "shared", "on")
		l.second.Post(views+"/"+id, "name", "Stage", "loaded_name", "Staging").Expect(303)
		page := l.admin.Post(views+"/"+id, "name", "Pre-production", "loaded_name", "Staging").Expect(409)
		if got := page.Text("[data-conflict]"); !strings.Contains(got, "The name is now Stage, changed by Eve (eve@example.com)") {
			t.Errorf("it says %q", got)
		}
		row := page.Find(`[data-view-id="` + id + `"]`)
		if row.Find("[name=name]").AttrOr("value", "") != "Pre-production" || row.Find("[name=loaded_name]").AttrOr("value", "") != "Stage" {
			t.Error("the form is not shown with what was typed, ready to be sent again")
		}
		l.admin.Post(views+"/"+id+"/remove", "loaded_name", "Staging").Expect(409)
		l.admin.Post(views+"/"+id+"/remove", "loaded_name", "Stage").Expect(303)
		gone := l.second.Post(views+"/"+id, "name", "Stages", "loaded_name", "Stage").Expect(409)
		if got := gone.Text("[data-conflict]"); !strings.Contains(got, "The view Stage was removed by Ada (ada@example.com)") {
			t.Errorf("it says %q", got)
		}
		l.second.Post(views+"/"+id+"/remove", "loaded_name", "Stage").Expect(409)
	})
}

func TestAViewAsksForSomethingElse(t *testing.T) {
	eachLibrary(t, func(t *testing.T, l *library) {
		log := "/orgs/acme" + auditLogs
		id := l.save(l.admin, "Staging", "q=staging", "shared", "on")
		if l.admin.Get(views).Find("[name=loaded_query]").Length() != 0 || l.admin.Get(views+"?q=staging").Find("[name=loaded_query]").Length() != 0 {
			t.Error("a view is to be changed to nothing, or to what it asks already")
		}
		row := l.admin.Get(views + "?outcome=denied&q=+staging").Find(`[data-view-id="` + id + `"]`)
		form := row.Find(`[action$="/query"]`)
		if form.AttrOr("action", "") != views+"/"+id+"/query" || form.Find("[name=query]").AttrOr("value", "") != "outcome=denied&q=staging" {
			t.Fatal("the row does not offer the question")
		}
		replace := func(client *apptest.Client, query string) *apptest.Page {
			return client.Post(views+"/"+id+"/query", "query", query, "loaded_query", "q=staging", "loaded_name", "Staging")
		}
		replace(l.second, "outcome=denied&q=+staging").ExpectRedirect(views)
		if got := l.second.Get(views).Text("[role=status]"); got != "Saved. Staging asks for this now." {
			t.Errorf("it says %q", got)
		}
		l.member.Get(views + "/" + id).ExpectRedirect(log + "?outcome=denied&q=staging")
		replace(l.admin, "outcome=denied&q=staging").Expect(303) // nothing to save
		page := replace(l.admin, "q=prod").Expect(409)
		if got := page.Text("[data-conflict]"); !strings.Contains(got, "The address it asks for is now ?outcome=denied&q=staging, changed by Eve (eve@example.com)") {
			t.Errorf("it says %q", got)
		}
		if again := page.Find(`[data-view-id="` + id + `"] [action$="/query"]`); again.Find("[name=query]").AttrOr("value", "") != "q=prod" ||
			again.Find("[name=loaded_query]").AttrOr("value", "") != "outcome=denied&q=staging" {
			t.Error("the form is not shown ready to be sent again")
		}
		replace(l.admin, "sort=nonsense").Expect(400)
		replace(l.admin, "").Expect(400) // a form that lost it asks for everything
		for _, client := range []*apptest.Client{l.member, l.auditor} {
			replace(client, "q=prod").Expect(403)
		}
		found := l.entries(l.acme, "audit_view:update")
		if len(found) != 1 {
			t.Fatalf("%d changes are recorded", len(found))
		}
		if got := fmt.Sprint(metadataOf(t, found[0])); got != "map[changed_fields:[query] changes:map[query:map[after:outcome=denied&q=staging before:q=staging]]]" {
			t.Errorf("the change is recorded as %s", got)
		}
		own := l.save(l.member, "Mine", "q=x")
		l.member.Post(views+"/"+own+"/query", "query", "q=y").Expect(303)
		l.member.Get(views + "/" + own).ExpectRedirect(log + "?q=y")
		l.admin.Post(views+"/"+own+"/query", "query", "q=y").Expect(404)
		l.admin.Post(views+"/deletions/query", "query", "q=y").Expect(404)
	})
}

func TestViewsThatCannotBeSaved(t *testing.T) {
	eachLibrary(t, func(t *testing.T, l *library) {
		own := l.save(l.member, "Straße", "q=x")
		for name, reason := range map[string]string{
			"": "Enter a name.", "  ": "Enter a name.", "\u2066\u2069": "Enter a name that can be seen.",
			strings.Repeat("x", 300): "Use a shorter name", "STRASSE": "There is a view of this name already.", "a\nb": "Leave out line breaks",
		} {
			page := l.member.Post(views, "name", name, "query", "q=y", "default", "on").Expect(422)
			wantReason(t, page, "name", reason)
			if page.Find("[name=query]").AttrOr("value", "") != "q=y" || page.Find("[name=default][checked]").Length() != 1 {
				t.Errorf("%q: what was chosen is lost", name)
			}
		}
		page := l.member.Post(views+"/"+own, "name", "").Expect(422)
		if page.Find(`[data-view-id="`+own+`"] [aria-invalid]`).Length() != 1 || page.Text("#"+own+"-error") != "Enter a name." {
			t.Error("the row does not say what is wrong with its name")
		}
		l.member.Post(views+"/"+own, "name", "STRASSE").Expect(303) // of itself
		for _, bad := range []string{"sort=nonsense", "q=ip:10.0.0.0/99", "q=%22open", "from=yesterday", "view=mine"} {
			name, _, _ := strings.Cut(bad, "=")
			if got := l.member.Post(views, "name", "Bad", "query", bad).Expect(400).Text("main"); !strings.Contains(got, "“"+name+"”") {
				t.Errorf("%s: %q", bad, got)
			}
			l.member.Get(views + "?" + bad).ExpectRedirect("/orgs/acme" + auditLogs + "?" + bad)
		}
		l.member.Post(views, "name", "Long", "query", "q=x&actor="+strings.Repeat("x", 5000)).Expect(400)
		for i := range accounts.MaxViews - 1 {
			l.member.Post(views, "name", fmt.Sprint("View ", i), "query", "q=x").Expect(303)
		}
		wantReason(t, l.member.Post(views, "name", "One more", "query", "q=x").Expect(422), "name", "There are 50 already")
		l.save(l.admin, "One more", "q=x", "shared", "on")
	})
}

func TestTheDefaultViewBeginsTheLog(t *testing.T) {
	eachLibrary(t, func(t *testing.T, l *library) {
		log := "/orgs/acme" + auditLogs
		id := l.save(l.member, "Mine", "outcome=denied&sort=user", "default", "on")
		l.member.Get(log).ExpectRedirect(log + "?outcome=denied&sort=user")
		l.member.Get("/").ExpectRedirect(log)
		l.admin.Get(log).Expect(200) // it is one person's
		page := l.member.Get(log + "?outcome=denied&sort=user").Expect(200)
		if got := page.Find("#filter-state p a").AttrOr("href", ""); got != log+"?view=all" {
			t.Errorf("back to all entries leads %q", got)
		}
		if got := beside(l.member, "?view=all"); got != "[All entries], "+builtIn+", Mine, Edit views" {
			t.Errorf("beside all entries stand %s", got)
		}
		// What says something is what is shown, and htmx asks for what is shown.
		l.member.Get(log + "?view=all").Expect(200)
		l.member.Get(log + "?sort=timestamp").Expect(200)
		l.member.Get(log + "?limit=25").Expect(200)
		l.member.Fragment(log).Expect(200)
		l.member.Get(log + "?view=mine").Expect(400)
		if href := l.member.Get(log+"?view=all").Find(`th[data-col="action"] a`).AttrOr("href", ""); href != log+"?sort=action" {
			t.Errorf("sorting leads to %s", href)
		}
		if href := l.member.Get(log+"?outcome=denied").Find(".chip-clear").AttrOr("href", ""); href != log+"?view=all" {
			t.Errorf("clearing the filters leads to %s", href)
		}
		if href := l.member.Get(log+"?view=all").Find("#export a").First().AttrOr("href", ""); strings.Contains(href, "view=") {
			t.Errorf("the export is %s", href)
		}
		// A view of everything, one that comes with the product, one that is gone, and none.
		everything := l.save(l.member, "Everything", "view=all")
		l.member.Get(views + "/" + everything).ExpectRedirect(log + "?view=all")
		l.member.Post(views+"/default", "view", everything).Expect(303)
		l.member.Get(log).Expect(200)
		l.member.Post(views+"/default", "view", "deletions").Expect(303)
		if to := l.member.Get(log).Expect(303).Header.Get("Location"); !strings.HasPrefix(to, log+"?q=action:") {
			t.Errorf("the log begins with %s", to)
		}
		l.member.Post(views+"/default", "view", id).Expect(303)
		l.member.Post(views + "/" + id + "/remove").Expect(303)
		l.member.Get(log).Expect(200)
		l.member.Post(views+"/default", "view", "failed").Expect(303)
		l.member.Post(views+"/default", "view", "").Expect(303)
		l.member.Get(log).Expect(200)
		l.member.Post(views+"/default", "view", "nowhere").Expect(404)
	})
}

func TestViewsGoWithTheirOwner(t *testing.T) {
	eachLibrary(t, func(t *testing.T, l *library) {
		l.save(l.member, "Mine", "q=x", "default", "on")
		shared := l.save(l.admin, "Ours", "q=y", "shared", "on")
		l.admin.Post("/orgs/acme/settings/members/"+l.bob.ID+"/remove", "confirm", "yes").Expect(303)
		var left []accounts.View
		if err := l.Store.Reader(t.Context()).Find(&left).Error; err != nil || len(left) != 1 || left[0].ID != shared {
			t.Errorf("%d views are left: %v", len(left), err)
		}
		l.join(l.acme, l.bob, accounts.RoleMember)
		l.member.Get("/orgs/acme" + auditLogs).Expect(200) // with no default, as somebody new
	})
}

func TestAViewOfWhatARoleDoesNotSeeIsRefused(t *testing.T) {
	eachVault(t, func(t *testing.T, v *vault) {
		l := &library{town: v.town}
		shared := l.save(v.admin, "Secrets", "action=secret:read", "shared", "on")
		own := l.save(v.member, "Words", "q=meta.word:open*", "default", "on")
		log := "/orgs/acme" + auditLogs
		v.member.Get(log).ExpectRedirect(log + "?q=meta.word:open*")
		v.admin.Post(restrictions, "role", "member", "hidden_actions", "secret:*, api_key:*", "metadata", "hidden").Expect(303)
		for _, id := range []string{shared, own, "settings"} {
			v.Clock.Advance(time.Hour)
			to := v.member.Get(views + "/" + id).Expect(303).Header.Get("Location")
			if page := v.member.Get(to).Expect(403); !strings.Contains(page.Body, "Your role in this organization does not include") {
				t.Errorf("%s says %s", to, page.Body)
			}
		}
		v.member.Get(log).Expect(200) // rather than a page that nobody gets past
		if got := beside(v.member, "?view=all"); got != "Deletions, Failed and denied, Outside of office hours, By agents, Edit views" {
			t.Errorf("the member has %s", got)
		}
		v.member.Get(views + "?action=secret:read").Expect(403)
		v.member.Get(log + "?column=word").Expect(403)
		if v.member.Get(log+"?view=all").Find(".columns-menu input.mono").Length() != 0 {
			t.Error("columns of the metadata are offered")
		}
		v.auditor.Get(log + "?column=word").Expect(200)
		v.member.Post(views, "name", "Mine", "query", "action="+url.QueryEscape("secret:*")).Expect(403)
		if got := beside(v.auditor, "?action=secret:read"); got != builtIn+", [Secrets], Edit views" {
			t.Errorf("the auditor has %s", got)
		}
	})
}
