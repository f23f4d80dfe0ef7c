package sessions_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	gorilla "github.com/gorilla/sessions"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/handlers/sessions"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// site is a session store on a database, with a user and a clock the test moves.
type site struct {
	t     *testing.T
	now   time.Time
	rows  *models.Store
	store *sessions.Store
	user  accounts.User
}

func each(t *testing.T, test func(t *testing.T, s *site)) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := &site{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
		var err error
		if s.rows, err = db.Store(func() time.Time { return s.now }); err != nil {
			t.Fatal(err)
		}
		s.store = sessions.New(s.rows, "http://localhost:8080")
		err = s.rows.Transaction(t.Context(), func(tx *gorm.DB) error {
			s.user, err = accounts.CreateUser(t.Context(), tx, "Ada", "ada@example.com", "hash")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		test(t, s)
	})
}

// request is one request with the given session cookie.
func (s *site) request(token string) *http.Request {
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodGet, "/", nil)
	if token != "" {
		r.AddCookie(&http.Cookie{Name: s.store.CookieName(), Value: token})
	}
	return r
}

func (s *site) open(r *http.Request) *gorilla.Session {
	s.t.Helper()
	session, err := s.store.Get(r, s.store.CookieName())
	if err != nil {
		s.t.Fatal(err)
	}
	return session
}

// save ends a request and returns the cookies it sends.
func (s *site) save(r *http.Request) []*http.Cookie {
	s.t.Helper()
	w := httptest.NewRecorder()
	if err := gorilla.Save(r, w); err != nil {
		s.t.Fatal(err)
	}
	return w.Result().Cookies()
}

// signIn starts a session in a request with the given cookie and returns the new token.
func (s *site) signIn(token string) string {
	s.t.Helper()
	r := s.request(token)
	err := s.store.Start(s.t.Context(), s.open(r), func(*gorm.DB) (accounts.User, error) { return s.user, nil })
	if err != nil {
		s.t.Fatal(err)
	}
	cookies := s.save(r)
	if len(cookies) != 1 {
		s.t.Fatalf("signing in sent %d cookies, want 1", len(cookies))
	}
	return cookies[0].Value
}

// who is signed in with a token; empty for nobody.
func (s *site) who(token string) string {
	s.t.Helper()
	r := s.request(token)
	user := sessions.UserID(s.open(r))
	s.save(r)
	return user
}

func (s *site) countRows() int64 {
	s.t.Helper()
	var count int64
	if err := s.rows.Reader(s.t.Context()).Model(&accounts.Session{}).Count(&count).Error; err != nil {
		s.t.Fatal(err)
	}
	return count
}

func (s *site) wantSignedIn(token string, want bool) {
	s.t.Helper()
	if got := s.who(token) == s.user.ID; got != want {
		s.t.Errorf("signed in: %v, want %v", got, want)
	}
}

func TestVisitorsHaveNoRow(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		r := s.request("")
		s.open(r).Values["tz"] = "Europe/Berlin"
		if cookies := s.save(r); len(cookies) != 0 {
			t.Errorf("a visitor got cookies: %v", cookies)
		}
		if n := s.countRows(); n != 0 {
			t.Errorf("a visitor made %d session rows", n)
		}
	})
}

func TestSigningInRotatesTheToken(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		first := s.signIn("")
		r := s.request(first)
		s.open(r).Values["tz"] = "Europe/Berlin"
		s.save(r)

		second := s.signIn(first)
		if second == first {
			t.Fatal("signing in kept the token")
		}
		s.wantSignedIn(first, false)
		s.wantSignedIn(second, true)
		if got := s.open(s.request(second)).Values["tz"]; got != "Europe/Berlin" {
			t.Errorf("the zone was not carried over: %v", got)
		}
		if n := s.countRows(); n != 1 {
			t.Errorf("%d session rows, want 1", n)
		}
	})
}

func TestARefusedSignInChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		token := s.signIn("")
		r := s.request(token)
		stale := s.user
		stale.PasswordHash = "the hash before a reset"
		err := s.store.Start(t.Context(), s.open(r), func(*gorm.DB) (accounts.User, error) { return stale, nil })
		if err == nil {
			t.Fatal("a session started for a password that was replaced meanwhile")
		}
		if cookies := s.save(r); len(cookies) != 0 {
			t.Errorf("it sent cookies: %v", cookies)
		}
		s.wantSignedIn(token, true)
	})
}

func TestOnlyTheHashIsStored(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		token := s.signIn("")
		var row accounts.Session
		if err := s.rows.Reader(t.Context()).Take(&row).Error; err != nil {
			t.Fatal(err)
		}
		if len(token) != 43 || len(row.TokenHash) != 32 || string(row.TokenHash) == token {
			t.Errorf("token %q, stored %x", token, row.TokenHash)
		}
	})
}

func TestARequestThatEndsAfterSignOutBringsNothingBack(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		token := s.signIn("")
		slow := s.request(token)
		s.open(slow).Values["theme"] = "dark"

		leaving := s.request(token)
		err := s.store.End(t.Context(), s.open(leaving), func(*gorm.DB) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		cookies := s.save(leaving)
		if len(cookies) != 1 || cookies[0].MaxAge >= 0 || cookies[0].Value != "" {
			t.Errorf("signing out sent %v, want the cookie's end", cookies)
		}

		s.save(slow)
		s.wantSignedIn(token, false)
		if n := s.countRows(); n != 0 {
			t.Errorf("%d session rows after signing out", n)
		}
	})
}

func TestARequestThatChangesNothingOverwritesNothing(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		token := s.signIn("")
		slow := s.request(token)
		s.open(slow)
		changing := s.request(token)
		s.open(changing).Values["theme"] = "dark"
		s.save(changing)
		s.now = s.now.Add(2 * time.Minute) // so that it writes down that the session was seen
		s.save(slow)
		if theme := s.open(s.request(token)).Values["theme"]; theme != "dark" {
			t.Errorf("the session keeps %v", theme)
		}
	})
}

func TestASessionEndsWhenNobodyUsesIt(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		token := s.signIn("")
		s.now = s.now.Add(accounts.SessionIdle - time.Minute)
		s.wantSignedIn(token, true) // and is used by this
		s.now = s.now.Add(accounts.SessionIdle - time.Minute)
		s.wantSignedIn(token, true)
		s.now = s.now.Add(accounts.SessionIdle + time.Second)
		s.wantSignedIn(token, false)
	})
}

func TestASessionEndsInAnyCase(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		token, end := s.signIn(""), s.now.Add(accounts.SessionLifetime)
		for s.now.Before(end.Add(-time.Hour)) {
			s.wantSignedIn(token, true)
			s.now = s.now.Add(23 * time.Hour)
		}
		s.now = end
		s.wantSignedIn(token, false)
	})
}

func TestASessionInUseIsWrittenOnceAMinute(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		token := s.signIn("")
		seen := func() models.Micros {
			var row accounts.Session
			if err := s.rows.Reader(t.Context()).Take(&row).Error; err != nil {
				t.Fatal(err)
			}
			return row.SeenAt
		}
		started := seen()
		s.now = s.now.Add(59 * time.Second)
		s.who(token)
		if seen() != started {
			t.Error("written again within a minute")
		}
		s.now = s.now.Add(2 * time.Second)
		s.who(token)
		if seen() != models.MicrosOf(s.now) {
			t.Error("not written after a minute")
		}
	})
}

func TestSigningInClearsSessionsThatExpired(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.signIn("")
		s.now = s.now.Add(accounts.SessionIdle)
		s.signIn("")
		if n := s.countRows(); n != 1 {
			t.Errorf("%d session rows, want 1", n)
		}
	})
}

func TestAllSessionsOfAUserEndTogether(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		laptop, phone := s.signIn(""), s.signIn("")
		err := accounts.EndSessions(t.Context(), s.rows.Writer(t.Context()), s.user.ID)
		if err != nil {
			t.Fatal(err)
		}
		s.wantSignedIn(laptop, false)
		s.wantSignedIn(phone, false)
	})
}

func TestTheCookie(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		for _, test := range []struct {
			baseURL, name string
			secure        bool
		}{
			{"http://localhost:8080", "audit_session", false},
			{"https://audit.example.com", "__Host-audit_session", true},
		} {
			s.store = sessions.New(s.rows, test.baseURL)
			r := s.request("")
			err := s.store.Start(t.Context(), s.open(r), func(*gorm.DB) (accounts.User, error) { return s.user, nil })
			if err != nil {
				t.Fatal(err)
			}
			cookie := s.save(r)[0]
			if cookie.Name != test.name || cookie.Secure != test.secure || !cookie.HttpOnly ||
				cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" {
				t.Errorf("%s: cookie %v", test.baseURL, cookie)
			}
		}
	})
}
