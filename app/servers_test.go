package app_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models/accounts"
)

func TestTwoServersShareSessions(t *testing.T) {
	url := databasetest.PostgresURL(t)
	clock := apptest.NewClock()
	one := apptest.StartAt(t, databasetest.Open(t, url), clock)
	two := apptest.StartAt(t, databasetest.Open(t, url), clock)
	user := one.Member(t, "jo@example.com", accounts.RoleMember, one.Organization(t, "acme"))

	const page = "/orgs/acme/settings/members"
	browser := one.As(t, user)
	browser.Get(page).Expect(http.StatusOK)
	browser.At(two).Get(page).Expect(http.StatusOK)
	browser.At(two).Post("/logout").Expect(http.StatusSeeOther)
	browser.Get(page).Expect(http.StatusSeeOther)
}

func TestTwoServersShareWhatIsDecided(t *testing.T) {
	url := databasetest.PostgresURL(t)
	clock := apptest.NewClock()
	one := apptest.StartAt(t, databasetest.Open(t, url), clock)
	two := apptest.StartAt(t, databasetest.Open(t, url), clock)
	org := one.Organization(t, "acme")
	admin := one.As(t, one.Member(t, "ada@example.com", accounts.RoleAdmin, org))
	jo := one.Member(t, "jo@example.com", accounts.RoleAdmin, org)
	browser := one.As(t, jo).At(two)
	var key accounts.APIKey
	var token string
	err := one.Store.Transaction(t.Context(), func(tx *gorm.DB) (err error) {
		key, token, err = accounts.CreateAPIKey(t.Context(), tx, org.ID, "ci", accounts.ScopeWrite, jo.ID, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	const settings, log = "/orgs/acme/settings/audit", "/orgs/acme/settings/audit-logs"
	record := func(want int) *apptest.Page {
		t.Helper()
		return two.Client(t).Do(http.MethodPost, "/api/v1/events",
			strings.NewReader(`{"action":"service:update","entity_id":"s","actor":{"id":"u","name":"U"}}`),
			"Authorization", "Bearer "+token, "Content-Type", "application/json").Expect(want)
	}
	shown := func() int {
		t.Helper()
		return browser.Get(log).Expect(http.StatusOK).Find("tbody[data-entry-id]").Length()
	}

	// Each change is made at one server, and the other goes by it from its next request on.
	record(http.StatusCreated)
	admin.Post(settings, "retention_days", "90", "confirm", "yes").Expect(http.StatusSeeOther)
	if page := record(http.StatusOK); !strings.Contains(page.Body, `"stored":false`) {
		t.Errorf("an event is stored although logging is off: %s", page.Body)
	}
	admin.Post(settings, "enabled", "on", "retention_days", "90").Expect(http.StatusSeeOther)
	record(http.StatusCreated)
	clock.Advance(25 * time.Hour)
	if shown() == 0 {
		t.Error("nothing is shown")
	}
	admin.Post(settings, "enabled", "on", "retention_days", "1", "confirm", "yes").Expect(http.StatusSeeOther)
	if n := shown(); n != 1 {
		t.Errorf("%d entries are shown, want that of the change alone", n)
	}
	browser.Post(settings, "enabled", "on", "retention_days", "2").Expect(http.StatusSeeOther)
	admin.Post("/orgs/acme/settings/members/"+jo.ID+"/role", "role", "member").Expect(http.StatusSeeOther)
	browser.Post(settings, "enabled", "on", "retention_days", "3").Expect(http.StatusForbidden)
	admin.Post("/orgs/acme/settings/members/"+jo.ID+"/remove", "confirm", "yes").Expect(http.StatusSeeOther)
	browser.Get(log).Expect(http.StatusNotFound)
	admin.Post("/orgs/acme/settings/api-keys/"+key.ID+"/revoke", "confirm", "yes").Expect(http.StatusSeeOther)
	record(http.StatusUnauthorized)
}

func TestSomebodyElsesOrganizationIsNotFound(t *testing.T) {
	server := apptest.Start(t, databasetest.SQLite(t))
	server.Organization(t, "other")
	user := server.Member(t, "jo@example.com", accounts.RoleAdmin, server.Organization(t, "acme"))
	browser := server.As(t, user)
	foreign := browser.Get("/orgs/other/settings/members").Expect(http.StatusNotFound)
	missing := browser.Get("/orgs/nothing/settings/members").Expect(http.StatusNotFound)
	if foreign.Text("main") != missing.Text("main") {
		t.Errorf("they differ: %q, %q", foreign.Text("main"), missing.Text("main"))
	}
}

func TestShutdownLetsARequestEnd(t *testing.T) {
	server := apptest.Start(t, databasetest.SQLite(t))
	// A request whose body is still on its way when the server shuts down. The server has begun to
	// read it when it asks for the body, which the transport does not send before.
	body, send := io.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/login", body)
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = int64(len("email=a&password=b"))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Expect", "100-continue")
	transport := &http.Transport{ExpectContinueTimeout: 20 * time.Second}
	answered := make(chan int, 1)
	go func() {
		answer, err := transport.RoundTrip(request)
		if err != nil {
			t.Error(err)
			answered <- 0
			return
		}
		defer answer.Body.Close()
		answered <- answer.StatusCode
	}()
	if _, err := io.WriteString(send, "email=a&"); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() { server.Stop(); close(stopped) }()
	if _, err := io.WriteString(send, "password=b"); err != nil {
		t.Fatal(err)
	}
	_ = send.Close()
	if status := <-answered; status != http.StatusUnprocessableEntity {
		t.Errorf("the request under way is answered %d", status)
	}
	<-stopped
	if _, err := http.Get(server.URL + "/healthz"); err == nil {
		t.Error("the server still takes requests")
	}
}
