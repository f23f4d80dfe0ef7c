// Package sessions keeps who is signed in: gorilla/sessions over the table audit_sessions.
//
// The cookie holds 32 random bytes and the table their SHA-256. A row comes to be in Start only;
// Save changes a live row and never inserts one, so a request that ends after a sign-out brings
// nothing back. Visitors who are not signed in have no row.
package sessions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	gorilla "github.com/gorilla/sessions"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// seenEvery is how exactly the idle deadline is kept: a session in use is written no more often.
const seenEvery = time.Minute

// Store implements gorilla's sessions.Store. Values of its sessions are strings under strings.
type Store struct {
	rows   *models.Store
	people *accounts.Store
	cookie string
	secure bool
}

var _ gorilla.Store = (*Store)(nil)

// New keeps sessions in rows. baseURL is the address people use: with https the cookie is Secure
// and bound to the host by its name (__Host-), which browsers refuse over plain HTTP.
func New(rows *models.Store, baseURL string) *Store {
	s := &Store{rows: rows, people: accounts.NewStore(rows), cookie: "audit_session"}
	if strings.HasPrefix(baseURL, "https://") {
		s.cookie, s.secure = "__Host-"+s.cookie, true
	}
	return s
}

// CookieName is the name of the session's cookie.
func (s *Store) CookieName() string { return s.cookie }

// stateKey holds, among a session's values, what the store knows of it. It is never stored.
type stateKey struct{}

type state struct {
	row     accounts.Session
	user    accounts.User // zero where the session was started in this request
	access  []accounts.Access
	started bool // in this request: the browser does not know the token yet
}

// UserID is who is signed in with the session; empty for nobody.
func UserID(session *gorilla.Session) string { return stateOf(session).row.UserID }

// Row is what is stored of the session; zero for nobody's.
func Row(session *gorilla.Session) accounts.Session { return stateOf(session).row }

// User is who was signed in when the request began, and what they could read; ok is false for nobody.
func User(session *gorilla.Session) (user accounts.User, access []accounts.Access, ok bool) {
	known := stateOf(session)
	return known.user, known.access, known.user.ID != ""
}

func stateOf(session *gorilla.Session) state {
	known, _ := session.Values[stateKey{}].(state)
	return known
}

// Get is the session of the request, the same one each time it is asked for.
func (s *Store) Get(r *http.Request, name string) (*gorilla.Session, error) {
	return gorilla.GetRegistry(r).Get(s, name)
}

// New reads the session the request's cookie names, and with it its user. A cookie of a session that has ended is
// treated like none, and left alone: another answer may just be replacing it.
func (s *Store) New(r *http.Request, name string) (*gorilla.Session, error) {
	session := gorilla.NewSession(s, name)
	session.IsNew = true
	session.Options = &gorilla.Options{
		Path:     "/",
		MaxAge:   int(accounts.SessionLifetime / time.Second),
		Secure:   s.secure,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	}
	cookie, err := r.Cookie(name)
	if err != nil {
		return session, nil
	}
	found, err := s.people.SignedInBy(r.Context(), cookie.Value)
	if errors.Is(err, models.ErrNotFound) {
		return session, nil
	}
	if err != nil {
		return session, err
	}
	values := map[string]string{}
	if err := json.Unmarshal(found.Session.Data, &values); err != nil {
		return session, fmt.Errorf("read session: %w", err)
	}
	for key, value := range values {
		session.Values[key] = value
	}
	session.Values[stateKey{}] = state{row: found.Session, user: found.User, access: found.Access}
	session.ID, session.IsNew = cookie.Value, false
	return session, nil
}

// Save stores what changed, and sends the cookie of a session started in this request. Of a
// session nobody changed it writes only that it was seen, once a minute. Options.MaxAge below zero
// ends the session.
func (s *Store) Save(r *http.Request, w http.ResponseWriter, session *gorilla.Session) error {
	if session.ID == "" {
		return nil
	}
	ctx, known := r.Context(), stateOf(session)
	if session.Options.MaxAge < 0 {
		if err := accounts.EndSession(ctx, s.rows.Writer(ctx), session.ID); err != nil {
			return err
		}
		http.SetCookie(w, gorilla.NewCookie(session.Name(), "", session.Options))
		return nil
	}
	if known.started {
		http.SetCookie(w, gorilla.NewCookie(session.Name(), session.ID, session.Options))
	}
	data, err := encode(session)
	if err != nil {
		return err
	}
	if bytes.Equal(data, known.row.Data) {
		if s.rows.Now().Sub(known.row.SeenAt.Time()) < seenEvery {
			return nil
		}
		data = nil // another request may have changed it meanwhile
	}
	err = accounts.SaveSession(ctx, s.rows.Writer(ctx), known.row, browserOf(ctx), data)
	if errors.Is(err, models.ErrNotFound) {
		return nil // it ended while this request ran
	}
	return err
}

// Start signs somebody in: in one transaction sign decides who, and does whatever belongs to it, the
// old session ends and a new one with a token of its own begins. Values are carried over. When it
// returns an error nothing has changed.
//
// models.ErrNotFound (not wrapped by sign) means that the password was reset meanwhile.
func (s *Store) Start(ctx context.Context, session *gorilla.Session, sign func(tx *gorm.DB) (accounts.User, error)) error {
	data, err := encode(session)
	if err != nil {
		return err
	}
	var row accounts.Session
	var token string
	err = s.rows.Transaction(ctx, func(tx *gorm.DB) error {
		user, err := sign(tx)
		if err != nil {
			return err
		}
		if token, row, err = accounts.StartSession(ctx, tx, user, browserOf(ctx), data); err != nil {
			return err
		}
		// After the user's row, which StartSession locks: the order a password reset keeps, too.
		return accounts.EndSession(ctx, tx, session.ID)
	})
	if err != nil {
		return err
	}
	// Housekeeping: an expired row lets nobody in, and the next sign-in tries again.
	_ = s.people.ClearExpiredSessions(ctx)
	session.ID, session.IsNew = token, true
	session.Values[stateKey{}] = state{row: row, started: true}
	return nil
}

// End signs out: in one transaction the session's row goes and also does what belongs to it. The
// browser forgets the cookie.
func (s *Store) End(ctx context.Context, session *gorilla.Session, also func(tx *gorm.DB) error) error {
	err := s.rows.Transaction(ctx, func(tx *gorm.DB) error {
		if err := also(tx); err != nil {
			return err
		}
		return accounts.EndSession(ctx, tx, session.ID)
	})
	if err != nil {
		return err
	}
	session.Options.MaxAge = -1
	return nil
}

// maxUserAgent is as much of a user agent as entries keep, too.
const maxUserAgent = 512

// browserOf is what the request of ctx came with, as every database can store it.
func browserOf(ctx context.Context) accounts.Browser {
	request := event.RequestFrom(ctx)
	agent := strings.ReplaceAll(request.UserAgent, "\x00", "")
	if len(agent) > maxUserAgent {
		agent = agent[:maxUserAgent]
	}
	return accounts.Browser{UserAgent: strings.ToValidUTF8(agent, ""), IP: request.IP}
}

// encode writes a session's values as they are stored: the same bytes for the same values.
func encode(session *gorilla.Session) ([]byte, error) {
	values := map[string]string{}
	for key, value := range session.Values {
		if _, own := key.(stateKey); own {
			continue
		}
		name, nameOK := key.(string)
		text, textOK := value.(string)
		if !nameOK || !textOK {
			return nil, fmt.Errorf("session value %v is not a string under a string", key)
		}
		values[name] = text
	}
	data, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("encode session: %w", err)
	}
	return data, nil
}
