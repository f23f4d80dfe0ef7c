package app_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/apptest"
	"github.com/auditlogs/auditlogs/app/database/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

func TestTwoServersShareSessions(t *testing.T) {
	url := databasetest.PostgresURL(t)
	clock := apptest.NewClock()
	one := apptest.StartAt(t, databasetest.Open(t, url), clock)
	two := apptest.StartAt(t, databasetest.Open(t, url), clock)
	user := one.Member(t, "jo@example.com", models.RoleMember, one.Organization(t, "acme"))

	const page = "/orgs/acme/settings/members"
	browser := one.As(t, user)
	browser.Get(page).Expect(http.StatusOK)
	browser.At(two).Get(page).Expect(http.StatusOK)
	browser.At(two).Post("/logout").Expect(http.StatusSeeOther)
	browser.Get(page).Expect(http.StatusSeeOther)
}

func TestSomebodyElsesOrganizationIsNotFound(t *testing.T) {
	server := apptest.Start(t, databasetest.SQLite(t))
	server.Organization(t, "other")
	user := server.Member(t, "jo@example.com", models.RoleAdmin, server.Organization(t, "acme"))
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
