// Package apptest runs the whole web app for tests: on a test's database, with a clock the test
// sets, asked over HTTP by clients that keep cookies.
//
//	server := apptest.Start(t, db)
//	client := server.Client(t)
//	client.SignIn("admin@example.com", "…")
//	page := client.Get("/orgs/acme/settings/audit-logs?q=web").Expect(200)
//	if page.Find("#entries tbody[data-entry-id]").Length() != 1 { … }
package apptest

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// secretKey is the key of every server that an option gives no other.
const secretKey = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// Server is a running app.
type Server struct {
	URL      string // "http://127.0.0.1:41234"
	DB       *database.DB
	Store    *models.Store
	Accounts *accounts.Store
	Clock    *Clock
	App      *app.App

	stop func()
}

// Stop shuts the server down before the test ends, and returns when it has.
func (s *Server) Stop() { s.stop() }

// Metric is the value of a metric without labels, as Prometheus would read it.
func (s *Server) Metric(name string) string {
	answer := httptest.NewRecorder()
	s.App.Metrics().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(answer.Body.String()) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Start runs the app on db until the test ends, without its background jobs. Options may change
// its configuration first.
func Start(t testing.TB, db *database.DB, options ...func(*app.Config)) *Server {
	t.Helper()
	return StartAt(t, db, NewClock(), options...)
}

// StartAt is Start with a clock that several servers may share.
func StartAt(t testing.TB, db *database.DB, clock *Clock, options ...func(*app.Config)) *Server {
	t.Helper()
	store, err := db.Store(clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := app.Config{
		Addr:        listener.Addr().String(),
		SecretKey:   secretKey,
		WithoutJobs: true,
		Log:         slog.New(slog.NewTextHandler(logTo{t}, nil)),

		DB: db,
	}
	for _, option := range options {
		option(&config)
	}
	a, err := app.New(config, store)
	if err != nil {
		_ = listener.Close()
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := a.Serve(ctx, listener); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	stop := func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(stop)
	return &Server{URL: "http://" + listener.Addr().String(), DB: db, Store: store, Accounts: accounts.NewStore(store), Clock: clock, App: a, stop: stop}
}

// Clock is a clock that stands still until the test moves it.
type Clock struct {
	mutex sync.Mutex
	now   time.Time
}

// NewClock shows the morning of 20 May 2026, UTC.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, time.May, 20, 9, 30, 0, 0, time.UTC)}
}

// Now is the time the clock shows.
func (c *Clock) Now() time.Time {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.now
}

// Advance moves the clock on by d.
func (c *Clock) Advance(d time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.now = c.now.Add(d)
}

// logTo shows the server's log with the test's output, when the test fails.
type logTo struct{ t testing.TB }

func (l logTo) Write(line []byte) (int, error) {
	l.t.Logf("server: %s", line)
	return len(line), nil
}
