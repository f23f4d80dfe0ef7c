// Package handlers answers requests: one file a resource; each handler parses its input, asks
// the models and renders.
package handlers

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	gorilla "github.com/gorilla/sessions"

	"github.com/auditlogs/auditlogs/handlers/intake"
	"github.com/auditlogs/auditlogs/handlers/live"
	"github.com/auditlogs/auditlogs/handlers/secrets"
	"github.com/auditlogs/auditlogs/handlers/sessions"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accesslog"
	"github.com/auditlogs/auditlogs/models/accounts"
	"github.com/auditlogs/auditlogs/models/entries"
)

// Handlers answers the requests of the web app.
type Handlers struct {
	Store    *models.Store
	Accounts *accounts.Store
	Entries  *entries.Log
	Sessions *sessions.Store
	Views    fiber.Views
	Log      *slog.Logger
	Secrets  *secrets.Box // encrypts what is stored; nil where the operator gave no key
	BaseURL  string       // for links that leave the app, without a slash at the end
	Demo     bool         // show the demo accounts on the sign-in page
	// Listing is what the log's page lists: Entries, but for benchmarks.
	Listing Listing
	// APIRateLimit is how many requests a second an API key is allowed; twice as many at once. Zero
	// means any number.
	APIRateLimit int
	// RetentionGrace is how long a lowered retention can be undone before it is in force; zero: not at all.
	RetentionGrace time.Duration
	// Access keeps who read which log, for AccessLogDays; nil keeps nothing.
	Access        *accesslog.Log
	AccessLogDays int
	// Proxies are the trusted ones: bounds by address are not theirs.
	Proxies intake.Proxies
	// Budgets bound the bodies of requests.
	Budgets Budgets

	// Tally is told what becomes of the events that others send; nil tells nobody.
	Tally Tally

	// Questions, Exports and Counting are what organizations may do at once; nil: everything.
	Questions, Exports, Counting *Shares

	// Places seals places in the log that name what not everybody may know of.
	Places *secrets.Shared
	// Live hands entries to those who follow the log in their browsers, at LivePace.
	Live     *live.Server
	LivePace Pace

	signIns     throttle
	denied      denials
	keyRequests buckets[[sha256.Size]byte] // requests with a key that can be used, by the key's hash
	refusedKeys buckets[string]            // requests with one that cannot, by the client's network
}

// Listing returns the entries of a log, and with the times nothing was recorded.
type Listing interface {
	Page(context.Context, models.Organization, entries.Query) (entries.Page, error)
	LoggingGaps(context.Context, models.Organization) ([]models.Gap, error)
}

// Scope is who asks and what about. Middleware makes it once per request.
type Scope struct {
	User          *accounts.User        // nil when nobody is signed in
	Organizations []models.Organization // those User may read, by name
	Organization  models.Organization   // the one the address names; zero outside of any
	Role          accounts.Role         // User's role in Organization
	DefaultView   string                // the ID of the view that Organization's log begins with for User; empty for all entries
	Session       *gorilla.Session      // changes are saved after the handler
	Location      *time.Location        // the reader's zone; UTC until known
	Theme         string                // "light", "dark", or empty to follow the system

	access []accounts.Access // Organizations with User's role in each
}

// secure reports whether people reach the app by HTTPS.
func (h *Handlers) secure() bool { return strings.HasPrefix(h.BaseURL, "https://") }

// Admin reports whether the asker may change the organization's settings.
func (s *Scope) Admin() bool { return s.Role == accounts.RoleAdmin }

// Oversees reports whether the asker reads everything of the organization: an admin or an auditor.
func (s *Scope) Oversees() bool { return s.Role.Oversees() }

type localsKey int

const (
	scopeKey localsKey = iota
	callerKey
	roomKey
)

// scopeOf is the scope middleware set; an empty one where no middleware ran.
func scopeOf(c *fiber.Ctx) *Scope {
	if scope, ok := c.Locals(scopeKey).(*Scope); ok {
		return scope
	}
	return &Scope{Location: time.UTC}
}

// contextOf is the request's context: it has a deadline, ends when the server stops, and carries
// the actor and the request for package audit. Never hand c.Context() to the database.
func contextOf(c *fiber.Ctx) context.Context { return c.UserContext() }
