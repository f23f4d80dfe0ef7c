package handlers_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/handlers/github"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

const integrations = "/orgs/acme/settings/integrations"

// connectGitHub connects acme as its admin and returns the webhook's path and secret.
func connectGitHub(t *testing.T, admin *apptest.Client) (path, secret string) {
	t.Helper()
	page := admin.Post(integrations + "/github").Expect(200)
	secret = page.Find("#webhook-secret").AttrOr("value", "")
	address := page.Find("#webhook-address").AttrOr("value", "")
	_, id, found := strings.Cut(address, "/webhooks/github/")
	if !found || len(secret) != 43 {
		t.Fatalf("connecting shows the address %q and a secret of %d characters", address, len(secret))
	}
	return "/webhooks/github/" + id, secret
}

func TestConnectUpdateAndDisconnectGitHub(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme := p.organization("acme", ada)
		admin := p.signedIn(ada)
		if page := admin.Get(integrations).Expect(200); page.Find("#github").AttrOr("data-connected", "") != "no" || page.Find("form[action='"+integrations+"/github'] button").Length() != 1 {
			t.Error("the page offers no way to connect")
		}

		path, secret := connectGitHub(t, admin)
		again := admin.Get(integrations).Expect(200)
		if strings.Contains(again.Body, secret) || again.Find("#webhook-secret").Length() != 0 {
			t.Error("the secret is shown a second time")
		}
		if got := again.Find("#webhook-address").AttrOr("value", ""); got != p.URL+path {
			t.Errorf("the address is %q", got)
		}
		if text := again.Text("#github .facts"); !strings.Contains(text, "Connected") || !strings.Contains(text, "None yet") {
			t.Errorf("the state reads %q", text)
		}
		if page := admin.Post(integrations + "/github").Expect(422); page.Find("#webhook-secret").Length() != 0 || !strings.Contains(page.Text("[role=alert]"), "connected already") {
			t.Error("connecting twice does not say that GitHub is connected")
		}

		admin.Post(integrations + "/github/secret").Expect(200) // the question
		if _, sealed := p.github(acme); len(sealed) == 0 || strings.Contains(string(sealed), secret) {
			t.Error("the secret is stored in the clear")
		}
		_, before := p.github(acme)
		page := admin.Post(integrations+"/github/secret", "confirm", "yes").Expect(200)
		renewed := page.Find("#webhook-secret").AttrOr("value", "")
		if _, after := p.github(acme); renewed == secret || len(renewed) != 43 || string(after) == string(before) {
			t.Error("the secret was not replaced")
		}

		admin.Post(integrations + "/github/disconnect").Expect(200) // the question
		if id, _ := p.github(acme); "/webhooks/github/"+id != path {
			t.Error("asking disconnects")
		}
		admin.Post(integrations+"/github/disconnect", "confirm", "yes").ExpectRedirect(integrations)
		if id, _ := p.github(acme); id != "" {
			t.Error("GitHub is still connected")
		}
		if page := admin.Get(integrations); !strings.Contains(page.Text("[role=status]"), "disconnected") {
			t.Error("nothing says that GitHub was disconnected")
		}
		admin.Post(integrations+"/github/secret", "confirm", "yes").Expect(404)
		admin.Post(integrations+"/github/disconnect", "confirm", "yes").Expect(404)
		admin.Post(integrations + "/github/disconnect").Expect(404)

		id := strings.TrimPrefix(path, "/webhooks/github/")
		for _, action := range []string{"link", "update", "unlink"} {
			e := p.wantEntry(acme, "github_installation:"+action, ada, accounts.User{ID: id, Name: "GitHub"})
			if strings.Contains(e.Metadata, secret) || strings.Contains(e.Metadata, renewed) {
				t.Errorf("%s holds a secret", action)
			}
		}
	})
}

// github is the connection of an organization as it is stored, empty for none.
func (p *town) github(org models.Organization) (id string, sealed []byte) {
	p.t.Helper()
	var all []accounts.GitHubConnection
	if err := p.Store.Reader(p.t.Context()).Where("org_id = ?", org.ID).Find(&all).Error; err != nil {
		p.t.Fatal(err)
	}
	if len(all) == 0 {
		return "", nil
	}
	return all[0].ID, all[0].Secret
}

func TestOnlyOneOfTwoConnectsGitHub(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme := p.organization("acme", ada)
		var clients sync.WaitGroup
		answers := make([]int, 2)
		for i := range answers {
			client := p.signedIn(ada)
			clients.Go(func() { answers[i] = client.Post(integrations + "/github").Status })
		}
		clients.Wait()
		if answers[0]+answers[1] != 200+422 {
			t.Errorf("they are answered %v", answers)
		}
		if n := len(p.entries(acme, "github_installation:link")); n != 1 {
			t.Errorf("%d connections were recorded", n)
		}
	})
}

func TestMembersSeeIntegrationsAndSetNothing(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada, mel := p.user("Ada"), p.user("Mel")
		acme, zoo := p.organization("acme", ada), p.organization("zoo", mel)
		p.join(acme, mel, accounts.RoleMember)
		admin, member := p.signedIn(ada), p.signedIn(mel)
		member.Post(integrations + "/github").Expect(403)
		connectGitHub(t, admin)

		page := member.Get(integrations).Expect(200)
		if page.Find("#github").AttrOr("data-connected", "") != "yes" || page.Find("main form, main button, main input").Length() != 0 {
			t.Errorf("a member sees %q", page.Text("main"))
		}
		for _, path := range []string{"", "/secret", "/disconnect"} {
			member.Post(integrations + "/github" + path).Expect(403)
			member.Post(integrations+"/github"+path, "confirm", "yes").Expect(403)
			admin.Post("/orgs/zoo/settings/integrations/github"+path, "confirm", "yes").Expect(404)
		}
		if id, _ := p.github(zoo); id != "" {
			t.Error("another organization was connected")
		}

		p.close(acme)
		if page := admin.Get(integrations).Expect(200); page.Find("main form, main button").Length() != 0 {
			t.Error("a closed organization can be connected")
		}
		for _, path := range []string{"", "/secret", "/disconnect"} {
			admin.Post(integrations+"/github"+path, "confirm", "yes").Expect(409)
		}
	})
}

func TestDeletingAnOrganizationForgetsTheSecret(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme := p.organization("acme", ada)
		admin := p.signedIn(ada)
		connectGitHub(t, admin)
		admin.Post("/orgs/acme/settings/delete", "confirm", "acme").Expect(303)
		if id, _ := p.github(acme); id != "" {
			t.Error("the connection is still there")
		}
	})
}

func TestWithoutASecretKeyNothingIsConnected(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		acme := p.organization("acme", ada)
		admin := p.signedIn(ada)
		for _, page := range []*apptest.Page{admin.Get(integrations).Expect(200), admin.Post(integrations + "/github").Expect(422)} {
			if text := page.Text("#github"); !strings.Contains(text, "--secret-key") || page.Find("#github form").Length() != 0 {
				t.Errorf("the page says %q", text)
			}
		}
		if id, _ := p.github(acme); id != "" || len(p.entries(acme, "github_installation:link")) != 0 {
			t.Error("GitHub was connected")
		}
		// By a server that has a key.
		connection := accounts.GitHubConnection{ID: "ghc_" + strings.Repeat("a", 26), OrgID: acme.ID, Secret: []byte("sealed"), CreatedBy: ada.ID}
		if err := p.Store.Transaction(t.Context(), func(tx *gorm.DB) error { return tx.Create(&connection).Error }); err != nil {
			t.Fatal(err)
		}
		delivery := p.Client(t).Do(http.MethodPost, "/webhooks/github/"+connection.ID, strings.NewReader("{}"),
			"Content-Type", "application/json", "X-Hub-Signature-256", github.Sign([]byte("hush"), []byte("{}")))
		if delivery.Expect(500); !strings.Contains(delivery.Body, "starts it with --secret-key") {
			t.Errorf("a delivery that cannot be checked is answered %s", delivery.Body)
		}
	}, func(c *app.Config) { c.SecretKey = "" })
}
