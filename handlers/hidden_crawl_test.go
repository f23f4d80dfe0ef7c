package handlers_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"golang.org/x/net/html"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/importer"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// hidden is what nobody sees, in every field that takes it, and hiddenShown what pages say instead.
const (
	hidden      = "x\u202e\u200b\u2066y"
	hiddenShown = "x⟨U+202E⟩⟨U+200B⟩⟨U+2066⟩y"
)

// No page, part of a page or refusal holds a character that cannot be seen but for values that
// programs read, whatever way it came in.
func TestNoPageHoldsWhatCannotBeSeen(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme := p.organization("acme", ada)
		if err := p.Store.Writer(t.Context()).Model(&ada).Update("name", "Ada "+hidden).Error; err != nil {
			t.Fatal(err)
		}
		admin := p.signedIn(ada)
		plantEverywhere(t, p, acme, ada, admin)

		crawl := &crawler{t: t, client: admin, seen: map[string]bool{}}
		crawl.from("/", "/account", "/orgs/new", "/logout", "/orgs/acme/settings", "/orgs/acme/settings/audit-logs/actors?text="+url.QueryEscape(hidden))
		for _, sort := range []string{"action", "entity_type", "user"} {
			crawl.from("/orgs/acme/settings/audit-logs?sort=" + sort)
		}
		h := url.QueryEscape(hidden)
		for _, query := range []string{"q=" + h, "actor=" + h, "actor=usr_" + h, "q=" + h + "&actor=" + h, "action=" + h, "entity_type=" + h,
			"from=" + h, "tz=" + h, "cursor=" + h, "sort=" + h, "limit=" + h, "dir=" + h} {
			crawl.from("/orgs/acme/settings/audit-logs?" + query)
		}
		crawl.from("/orgs/acme/resources/service?id=nothing"+h, "/orgs/acme/resources/service?id="+h+"&cursor="+h, "/orgs/acme/actors?id="+h, "/orgs/acme/resources/"+url.PathEscape(hidden)+"?id="+h, "/orgs/acme/settings/members?"+h,
			"/orgs/"+url.PathEscape(hidden)+"/settings", "/invitations/"+url.PathEscape(hidden), "/reset/"+url.PathEscape(hidden))
		crawl.posts("/orgs/acme/settings/organization", "name", strings.Repeat(hidden, 100))
		crawl.posts("/orgs/acme/settings/audit", "enabled", "on", "retention_days", hidden)
		crawl.posts("/orgs/acme/settings/links", "entity_type", hidden, "url_template", hidden)
		crawl.posts("/orgs/acme/settings/delete", "confirm", hidden)
		crawl.posts("/orgs/acme/settings/members/invitations", "email", hidden, "role", hidden)
		crawl.posts("/orgs/acme/settings/members/"+ada.ID+"/role", "role", hidden)
		crawl.posts("/orgs/acme/settings/members/" + ada.ID + "/remove")
		crawl.posts("/orgs/acme/settings/members/" + ada.ID + "/reset-link")
		crawl.posts("/orgs/acme/settings/api-keys", "name", strings.Repeat(hidden, 100), "scope", hidden, "expires", hidden)
		crawl.posts("/orgs/new", "name", hidden, "slug", hidden)
		crawl.posts("/login", "email", hidden, "password", hidden, "return", "/"+hidden)
		keys, err := p.Accounts.APIKeys(t.Context(), acme.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			crawl.posts("/orgs/acme/settings/api-keys/" + key.ID + "/revoke")
		}
		if crawl.shown < 30 {
			t.Errorf("only %d of %d pages show what was planted", crawl.shown, len(crawl.seen))
		}

		row := admin.Get("/orgs/acme/settings/audit-logs?q=svc_&limit=100").Expect(200)
		copied := row.Find(`.copy[data-copy]`).Map(func(_ int, s *goquery.Selection) string { return s.AttrOr("data-copy", "") })
		if !slices.Contains(copied, "svc_"+hidden) {
			t.Errorf("the buttons copy %q", copied)
		}
		row.Find(`[data-col=entity_id] [data-value]`).Each(func(_ int, s *goquery.Selection) {
			if s.Text() != "svc_"+hiddenShown {
				t.Errorf("an entity ID reads %q", s.Text())
			}
		})
		if got := admin.Get("/orgs/acme/settings/organization").Find("#organization-name").AttrOr("value", ""); got != "Acme "+hidden {
			t.Errorf("the form holds the name %q", got)
		}
	})
}

// plantEverywhere brings what cannot be seen into acme through every way in.
func plantEverywhere(t *testing.T, p *town, acme models.Organization, ada accounts.User, admin *apptest.Client) {
	t.Helper()
	event := func(way string) map[string]any {
		return map[string]any{
			"organization": "acme", "action": "service:update", "entity_id": "svc_" + hidden, "entity_name": way + hidden,
			"actor":    map[string]any{"id": "usr_" + hidden, "name": "Grace " + hidden, "email": "grace@" + hidden},
			"metadata": metadataWith(hidden), "url": "https://example.com/?" + url.QueryEscape(hidden), "occurred_at": p.Store.Now().Add(-time.Hour).Format(time.RFC3339),
		}
	}

	// In the application's own process, by a person and by the system.
	for _, actor := range []audit.Actor{{ID: "usr_" + hidden, Name: "Grace " + hidden, Email: "grace@" + hidden}, {ID: "usr_2" + hidden, Name: "Grace " + hidden}, audit.System("cron" + hidden)} {
		p.do(func(tx *gorm.DB) error {
			_, err := audit.Record(t.Context(), tx, audit.Event{
				Organization: "acme", Action: action.ServiceUpdate, EntityID: "svc_" + hidden, EntityName: "name" + hidden, Actor: actor,
				Metadata: metadataWith(hidden), URL: "https://example.com/" + hidden,
				Request: audit.Request{ID: "req" + hidden, IP: "192.0.2.1" + hidden, UserAgent: "Mozilla/5.0 (X11; Linux x86_64) Chrome/120.0" + hidden},
			})
			return err
		})
	}

	// Over HTTP, with a key.
	made := admin.Post("/orgs/acme"+apiKeys, "name", "Key "+hidden, "scope", "write", "expires", "never").Expect(200)
	sent, err := json.Marshal(event("api"))
	if err != nil {
		t.Fatal(err)
	}
	admin.Do(http.MethodPost, "/api/v1/events", strings.NewReader(string(sent)), "Authorization", "Bearer "+shownKey(made), "Content-Type", "application/json",
		"X-Request-ID", "req", "User-Agent", "Build").Expect(201)

	// As history.
	line, err := json.Marshal(event("import"))
	if err != nil {
		t.Fatal(err)
	}
	if summary, err := importer.Run(t.Context(), p.Store, strings.NewReader(string(line)), importer.Config{Report: io.Discard}); err != nil || summary.Imported != 1 {
		t.Fatalf("%+v, %v", summary, err)
	}

	// From GitHub.
	h := &hook{town: p, org: acme, admin: admin, client: p.Client(t)}
	h.path, h.secret = connectGitHub(t, admin)
	delivered, err := json.Marshal(map[string]any{
		"action": "created",
		"deployment": map[string]any{"id": 1, "task": "deploy" + hidden, "environment": "prod" + hidden, "ref": "main" + hidden, "sha": "abc",
			"creator": map[string]any{"login": "octo" + hidden, "id": 5, "type": "User"}},
		"repository": map[string]any{"id": 7, "full_name": "acme/" + hidden, "html_url": "https://github.com/acme/web"},
		"sender":     map[string]any{"login": "octo" + hidden, "id": 5, "type": "User"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if page := h.deliver("d1", "deployment", string(delivered)); page.Status >= 300 {
		t.Fatalf("the delivery is answered %d: %s", page.Status, page.Body)
	}

	// By forms.
	admin.Post("/orgs/acme/settings/organization", "name", "Acme "+hidden).Expect(303)
	admin.Post("/orgs/acme/settings/links", "entity_type", "service", "url_template", "https://example.com/"+hidden+"/{id}").Expect(303)
	admin.Post("/orgs/acme/settings/audit", "enabled", "on", "retention_days", "120").Expect(303)
	admin.Post("/orgs/acme"+members+"/invitations", "role", "member", "email", "bob@example.com").Expect(200)
	link := shownLink(t, p, admin.Post("/orgs/acme"+members+"/invitations", "role", "member").Expect(200))
	p.Client(t).Post(link, "name", "Eve "+hidden, "email", "eve@example.com", "password", password).Expect(303)
	p.do(func(tx *gorm.DB) error { // as earlier versions took them
		return errors.Join(tx.Exec("UPDATE audit_invitations SET email = ? WHERE email <> ''", "bob"+hidden+"@example.com").Error,
			tx.Exec("UPDATE audit_users SET email = ? WHERE email = 'eve@example.com'", "eve"+hidden+"@example.com").Error)
	})
	admin.Post("/orgs/new", "name", "Other "+hidden, "slug", "other").Expect(303)
	open := shownLink(t, p, admin.Post("/orgs/acme"+members+"/invitations", "role", "member").Expect(200))
	stranger := &crawler{t: t, client: p.Client(t), seen: map[string]bool{}}
	stranger.look(open, stranger.client.Get(open))
	stranger.posts(open, "name", strings.Repeat(hidden, 100), "email", hidden, "password", hidden)
}

// metadataWith has text in its keys, values and changes.
func metadataWith(text string) map[string]any {
	long := strings.Repeat("a line\n", 50)
	return map[string]any{
		"key" + text: "value" + text, "list": []any{text, map[string]any{text: text}}, "service_name": text,
		"changes": map[string]any{
			"field" + text: map[string]any{"before": "old" + text, "after": "new" + text},
			"config":       map[string]any{"before": long + text + long, "after": long + "new" + text + long},
			"limits":       map[string]any{"before": map[string]any{text: text, "n": 1}, "after": map[string]any{text: text + text, "n": 2}},
			"plain":        map[string]any{"before": nil, "after": []any{text}},
		},
	}
}

// crawler follows every link and looks at what it finds.
type crawler struct {
	t      *testing.T
	client *apptest.Client
	seen   map[string]bool
	shown  int // pages that show what was planted
}

func (c *crawler) from(paths ...string) {
	for len(paths) > 0 {
		path := paths[0]
		paths = paths[1:]
		if c.seen[path] || len(c.seen) > 600 || strings.Contains(path, "/export") || strings.HasPrefix(path, "/static/") {
			continue
		}
		c.seen[path] = true
		page := c.client.Get(path)
		c.look(path, page)
		c.look(path+" as a part", c.client.Fragment(path))
		paths = append(paths, page.Header.Get("Location"))
		for _, attribute := range []string{"href", "hx-get", "formaction"} {
			page.Find("[" + attribute + "]").Each(func(_ int, s *goquery.Selection) { paths = append(paths, s.AttrOr(attribute, "")) })
		}
		paths = slices.DeleteFunc(paths, func(path string) bool { return !strings.HasPrefix(path, "/") })
	}
}

// posts sends a form and looks at the answer.
func (c *crawler) posts(path string, fields ...string) {
	page := c.client.Post(path, fields...)
	c.look("POST "+path, page)
	if next := page.Header.Get("Location"); next != "" {
		c.look(next, c.client.Get(next))
	}
	c.look("POST "+path+" as a part", postFragment(c.client, path, fields...))
}

// look reports what cannot be seen in a page's texts, and in all attributes that are not values for
// programs.
func (c *crawler) look(path string, page *apptest.Page) {
	c.t.Helper()
	if page.Status >= 500 {
		c.t.Errorf("%s answers %d", path, page.Status)
	}
	if strings.Contains(page.Text("body"), "⟨U+202E⟩") {
		c.shown++
	}
	raw := func(text string) bool { return strings.ContainsFunc(text, models.Invisible) }
	for node := range page.Nodes[0].Descendants() {
		switch {
		case node.Type == html.TextNode && raw(node.Data) && node.Parent.Data != "textarea":
			c.t.Errorf("%s: the text of a %s holds %+q", path, node.Parent.Data, node.Data)
		case node.Type == html.CommentNode:
			c.t.Errorf("%s has a comment %q", path, node.Data)
		case node.Type == html.ElementNode:
			for _, attribute := range node.Attr {
				forPrograms := attribute.Key == "value" || strings.HasPrefix(attribute.Key, "data-") && !strings.HasPrefix(attribute.Key, "data-shown")
				if raw(attribute.Val) && !forPrograms {
					c.t.Errorf("%s: %s of a %s holds %+q", path, attribute.Key, node.Data, attribute.Val)
				}
			}
		}
	}
}
