package handlers_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

func TestTheAPINeedsAKey(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		revoked, expired := s.key(s.org, accounts.ScopeRead, 0), s.key(s.org, accounts.ScopeRead, models.MicrosOf(s.Clock.Now().Add(time.Hour)))
		err := s.Store.Transaction(t.Context(), func(tx *gorm.DB) error {
			_, err := accounts.RevokeAPIKey(t.Context(), tx, s.org.ID, revoked.ID)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		s.client.Get("/api/v1/entries", "Authorization", "bearer "+expired.token).Expect(http.StatusOK)
		s.Clock.Advance(time.Hour)
		forged := s.read.token[:len(s.read.token)-1] + "!"
		for name, authorization := range map[string]string{
			"nothing": "", "a password": "Basic YTpi", "no key": "Bearer", "blanks": "Bearer  ", "a forged key": "Bearer " + forged,
			"a revoked key": "Bearer " + revoked.token, "an expired key": "Bearer " + expired.token,
			"a long one": "Bearer " + strings.Repeat("a", 20000),
		} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				path := map[string]string{http.MethodGet: "/api/v1/entries", http.MethodPost: "/api/v1/events"}[method]
				page := s.client.Do(method, path, strings.NewReader(event()), "Authorization", authorization, "Content-Type", "application/json")
				problemOf(t, page, http.StatusUnauthorized)
				if got := page.Header.Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer ") {
					t.Errorf("%s: WWW-Authenticate is %q", name, got)
				}
				if page.Header.Get("Set-Cookie") != "" {
					t.Errorf("%s: a program is given a cookie", name)
				}
			}
		}
		s.wantEntries(0)
	})
}

func TestAKeyDoesWhatItsScopeAllows(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		s.post(event()).Expect(http.StatusCreated)
		entry := s.entries()[0].ID.String()
		for _, tc := range []struct {
			key          apiKey
			method, path string
			status       int
		}{
			{s.read, "POST", "/events", 403}, {s.read, "GET", "/entries", 200}, {s.read, "GET", "/entries/" + entry, 200}, {s.read, "GET", "/actions", 200},
			{s.write, "POST", "/events", 201}, {s.write, "GET", "/entries", 403}, {s.write, "GET", "/entries/" + entry, 403}, {s.write, "GET", "/actions", 200},
		} {
			page := s.client.Do(tc.method, "/api/v1"+tc.path, strings.NewReader(event()), "Authorization", "Bearer "+tc.key.token, "Content-Type", "application/json").Expect(tc.status)
			if tc.status == http.StatusForbidden {
				problemOf(t, page, tc.status)
				if got := page.Header.Get("WWW-Authenticate"); !strings.Contains(got, `error="insufficient_scope"`) {
					t.Errorf("WWW-Authenticate is %q", got)
				}
			}
		}
		s.wantEntries(2)
	})
}

func TestTheKeysOfADeletedOrganizationDoNothing(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		s.post(event(), "Idempotency-Key", "k").Expect(http.StatusCreated)
		entry := s.entries()[0].ID.String()
		s.Clock.Advance(time.Hour)
		s.set("UPDATE audit_organizations SET closed_at = ?", models.MicrosOf(s.Clock.Now()))
		for range 2 {
			for _, page := range []*apptest.Page{
				s.post(event()), s.post("{"), s.post(event(), "Idempotency-Key", "k"), // which is no replay of the first
				s.get("/entries"), s.get("/entries/" + entry), s.get("/actions"),
				s.client.Get("/api/v1/entries", "Authorization", "Bearer "+s.write.token),
			} {
				if p := problemOf(t, page, http.StatusConflict); !strings.HasSuffix(p.Type, "#organization-deleted") || strings.Contains(page.Body, "svc-1") {
					t.Errorf("it is answered %s", page.Body)
				}
			}
			s.Clock.Advance(91 * 24 * time.Hour) // until the last entry has expired
		}
		if key, err := s.Accounts.APIKey(t.Context(), s.org.ID, s.read.ID); err != nil || key.LastUsedAt != 0 {
			t.Errorf("the key was used at %d, %v", key.LastUsedAt, err)
		}
		problemOf(t, s.client.Get("/api/v1/entries", "Authorization", "Bearer "+s.read.token+"x"), http.StatusUnauthorized)
	})
}

func TestAKeyRemembersWhenItWasUsed(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		used := func() models.Micros {
			t.Helper()
			key, err := s.Accounts.APIKey(t.Context(), s.org.ID, s.read.ID)
			if err != nil {
				t.Fatal(err)
			}
			return key.LastUsedAt
		}
		if got := used(); got != 0 {
			t.Errorf("a new key was used at %d", got)
		}
		s.get("/actions").Expect(http.StatusOK)
		if got, want := used(), models.MicrosOf(s.Clock.Now()); got != want {
			t.Errorf("it was used at %d, want %d", got, want)
		}
	})
}

func TestReadingDoesNotWaitForThoseWhoWrite(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		s.post(event()).Expect(http.StatusCreated)
		writing := s.DB.Write.Begin()
		defer writing.Rollback()
		if err := writing.Exec("UPDATE audit_api_keys SET revoked_at = 0").Error; err != nil {
			t.Fatal(err)
		}
		// When the key was used is not written down now.
		if page := s.get("/entries").Expect(http.StatusOK); !strings.Contains(page.Body, "svc-1") {
			t.Errorf("it is answered %s", page.Body)
		}
	})
}

func TestAKeyThatAsksTooOftenWaits(t *testing.T) {
	s := newService(t, databasetest.SQLite(t), func(c *app.Config) { c.APIRateLimit = 2 })
	for range 4 {
		s.post(event()).Expect(http.StatusCreated)
	}
	page := s.post(event())
	p := problemOf(t, page, http.StatusTooManyRequests)
	if got := page.Header.Get("Retry-After"); got != "1" || !strings.HasSuffix(p.Type, "#rate-limited") {
		t.Errorf("it is to come again after %q: %+v", got, p)
	}
	s.get("/entries").Expect(http.StatusOK) // another key
	s.wantEntries(4)
	s.Clock.Advance(time.Second)
	s.post(event()).Expect(http.StatusCreated)
	s.post(event()).Expect(http.StatusCreated)
	s.post(event()).Expect(http.StatusTooManyRequests)
	s.Clock.Advance(time.Hour)
	for range 4 {
		s.post(event()).Expect(http.StatusCreated)
	}
	s.post(event()).Expect(http.StatusTooManyRequests)
}

func TestWhoeverShowsWrongKeysWaits(t *testing.T) {
	s := newService(t, databasetest.SQLite(t))
	s.get("/entries").Expect(http.StatusOK)
	guess := func(i int) int {
		return s.client.Get("/api/v1/entries", "Authorization", fmt.Sprintf("Bearer alk_%043d", i)).Status
	}
	for i := range 60 {
		if status := guess(i); status != http.StatusUnauthorized {
			t.Fatalf("guess %d is answered %d", i, status)
		}
	}
	if status := guess(60); status != http.StatusTooManyRequests {
		t.Errorf("one guess more is answered %d", status)
	}
	s.get("/entries").Expect(http.StatusOK) // whose key could be used lately
	s.Clock.Advance(time.Second)
	if status := guess(61); status != http.StatusUnauthorized {
		t.Errorf("a second later a guess is answered %d", status)
	}
}

func TestAddressesTheAPIDoesNotHave(t *testing.T) {
	s := newService(t, databasetest.SQLite(t))
	for _, path := range []string{"/api", "/api/", "/api/v1", "/api/v1/event", "/api/v1/entries/x/y", "/api/v2/entries"} {
		problemOf(t, s.client.Get(path), http.StatusNotFound)
	}
	for path, allowed := range map[string]string{"/events": "POST", "/entries": "GET, HEAD", "/entries/x": "GET, HEAD", "/actions": "GET, HEAD", "/openapi.yaml": "GET, HEAD"} {
		page := s.client.Do(http.MethodDelete, "/api/v1"+path, nil)
		problemOf(t, page, http.StatusMethodNotAllowed)
		if got := page.Header.Get("Allow"); got != allowed {
			t.Errorf("%s allows %q, want %q", path, got, allowed)
		}
	}
	problemOf(t, s.client.Get("/api/v1/events"), http.StatusMethodNotAllowed)
	problemOf(t, s.client.Do(http.MethodOptions, "/api/v1/events", nil, "Origin", "https://evil.example"), http.StatusMethodNotAllowed)
	problemOf(t, s.post(event(), "Origin", "https://evil.example"), http.StatusForbidden)
}

func TestAFailureInsideIsAProblemWithAReference(t *testing.T) {
	s := newService(t, databasetest.SQLite(t))
	s.get("/entries").Expect(http.StatusOK)
	s.set("ALTER TABLE audit_entries RENAME TO gone")
	for _, page := range []string{s.get("/entries").Expect(500).Body, s.post(event()).Expect(500).Body} {
		for _, secret := range []string{"audit_entries", "SQL", "no such table"} {
			if strings.Contains(page, secret) {
				t.Errorf("the problem tells %q", secret)
			}
		}
	}
	problemOf(t, s.get("/entries"), http.StatusInternalServerError)
}
