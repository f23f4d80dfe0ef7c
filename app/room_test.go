package app_test

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/handlers/github"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// hold sends the head and the beginning of a request, and the rest never. headers are lines.
func hold(t *testing.T, server *apptest.Server, path, headers string, length int) (letGo func()) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: a\r\n%sContent-Length: %d\r\n\r\n%s", path, headers, length, strings.Repeat("a", 9<<10)); err != nil {
		t.Fatal(err)
	}
	return func() { _ = conn.Close() }
}

// become asks until the answer has that status: what others hold is taken, or given back, in a moment.
func become(t *testing.T, status int, ask func() *apptest.Page) *apptest.Page {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		page := ask()
		if page.Status == status {
			return page
		}
		if time.Now().After(end) {
			page.Expect(status)
		}
	}
}

const formType = "Content-Type: application/x-www-form-urlencoded\r\n"

// Bodies that never end take the room of whoever sends them, and of nobody else. What fits into the room of its
// connection needs none.
func TestUnfinishedBodiesTakeTheirSendersRoom(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, databasetest.SQLite(t))
	acme, other := server.Organization(t, "acme"), server.Organization(t, "other")
	client := server.Client(t)
	admin := server.As(t, server.Member(t, "ada@example.com", accounts.RoleAdmin, acme))

	post := func(key string, size int) func() *apptest.Page {
		body := `{"action":"service:update","entity_id":"svc-1","actor":{"id":"u-7"}}` + strings.Repeat(" ", size)
		return func() *apptest.Page {
			return client.Do(http.MethodPost, "/api/v1/events", strings.NewReader(body), "Authorization", "Bearer "+key, "Content-Type", "application/json")
		}
	}
	form := func(client *apptest.Client, size int) func() *apptest.Page {
		body := url.Values{"theme": {"dark"}, "more": {strings.Repeat("a", size)}}.Encode()
		return func() *apptest.Page {
			return client.Do(http.MethodPost, "/preferences", strings.NewReader(body), "Content-Type", "application/x-www-form-urlencoded")
		}
	}
	deliver := func(connection string, secret string, size int) func() *apptest.Page {
		body := "{}" + strings.Repeat(" ", size)
		return func() *apptest.Page {
			return client.Do(http.MethodPost, "/webhooks/github/"+connection, strings.NewReader(body), "Content-Type", "application/json",
				"X-GitHub-Event", "ping", "X-GitHub-Delivery", "d", "X-Hub-Signature-256", github.Sign([]byte(secret), []byte(body)))
		}
	}
	page := admin.Post("/orgs/acme/settings/integrations/github").Expect(http.StatusOK)
	connection, secret := regexp.MustCompile(`ghc_[a-z2-7]{26}`).FindString(page.Body), page.Find("#webhook-secret").AttrOr("value", "")
	key, otherKey := server.Key(t, acme, accounts.ScopeWrite), server.Key(t, other, accounts.ScopeWrite)
	const signed = "X-GitHub-Event: ping\r\nX-GitHub-Delivery: d\r\nContent-Type: application/json\r\nX-Hub-Signature-256: sha256="

	fill := func(t *testing.T, count int, path, headers string, length int) (letGo func()) {
		t.Helper()
		var each []func()
		for range count {
			each = append(each, hold(t, server, path, headers, length))
		}
		return func() {
			for _, letGo := range each {
				letGo()
			}
		}
	}
	events := func(t *testing.T) func() { // an organization's room
		return fill(t, 2, "/api/v1/events", "Authorization: Bearer "+key+"\r\nContent-Type: application/json\r\n", 5<<20)
	}
	forms := func(t *testing.T) func() { return fill(t, 8, "/login", formType, 64<<10) } // an address's
	deliveries := func(t *testing.T) func() {                                            // the connection's
		return fill(t, 1, "/webhooks/github/"+connection, signed+strings.Repeat("ab", 32)+"\r\n", 5<<20)
	}
	letGo := []func(){events(t), forms(t), deliveries(t)}

	t.Run("who finds none", func(t *testing.T) {
		for name, tc := range map[string]struct {
			ask  func() *apptest.Page
			fill func(*testing.T) func()
		}{
			"events": {post(key, 9<<10), events}, "a stranger's form": {form(client, 9<<10), forms}, "a delivery": {deliver(connection, secret, 9<<10), deliveries},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel() // all of them wait for a while
				refused := become(t, http.StatusServiceUnavailable, func() *apptest.Page {
					page := tc.ask()
					if page.Status != http.StatusServiceUnavailable { // what was held has been given up meanwhile
						tc.fill(t)
					}
					return page
				})
				if refused.Header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			})
		}
	})
	post(key, 100)().Expect(http.StatusCreated)
	post(otherKey, 9<<10)().Expect(http.StatusCreated)
	form(client, 100)().Expect(http.StatusSeeOther)
	form(admin, 9<<10)().Expect(http.StatusSeeOther)
	deliver(connection, secret, 100)().Expect(http.StatusOK)
	deliver("ghc_"+strings.Repeat("a", 26), secret, 9<<10)().Expect(http.StatusUnauthorized) // nothing of it is kept

	for _, end := range letGo {
		end()
	}
	become(t, http.StatusCreated, post(key, 9<<10))
	become(t, http.StatusSeeOther, form(client, 9<<10))
	become(t, http.StatusOK, deliver(connection, secret, 9<<10))
}

// A trusted proxy is many clients: it has no room of its own, they have.
func TestBehindATrustedProxyEveryClientHasRoom(t *testing.T) {
	t.Parallel()
	server := apptest.Start(t, databasetest.SQLite(t), func(c *app.Config) { c.TrustedProxies = []string{"127.0.0.1"} })
	client := server.Client(t)
	form := url.Values{"theme": {"dark"}, "more": {strings.Repeat("a", 9<<10)}}.Encode()
	from := func(address string) func() *apptest.Page {
		headers := []string{"Content-Type", "application/x-www-form-urlencoded"}
		if address != "" {
			headers = append(headers, "X-Forwarded-For", address)
		}
		return func() *apptest.Page {
			return client.Do(http.MethodPost, "/preferences", strings.NewReader(form), headers...)
		}
	}
	for range 8 {
		hold(t, server, "/login", formType+"X-Forwarded-For: 192.0.2.7\r\n", 64<<10)
	}
	become(t, http.StatusServiceUnavailable, from("192.0.2.7")) // within the thirty seconds that the eight are waited for
	from("192.0.2.8")().Expect(http.StatusSeeOther)
	for range 16 { // the proxy itself, which may not have said who asks
		hold(t, server, "/login", formType, 64<<10)
	}
	from("")().Expect(http.StatusSeeOther)
}
