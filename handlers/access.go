package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/handlers/sessions"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// WithScope is middleware that finds out who asks, once per request, and saves their session after
// the handler. What it finds is the Scope, and the actor of whatever the request records: all of it is
// the app's own doing, and stored while audit logging is off, too.
func (h *Handlers) WithScope(c *fiber.Ctx) error {
	exchange, err := h.Sessions.Open(contextOf(c), c)
	if err != nil {
		return err
	}
	c.SetUserContext(models.AsAdministration(contextOf(c)))
	scope := &Scope{Session: exchange.Session, Location: time.UTC}
	c.Locals(scopeKey, scope)
	if user, access, ok := sessions.User(exchange.Session); ok {
		identify(c, scope, user, access)
	}
	readPreferences(c, scope)

	answer := c.Next()
	if err := exchange.Close(c); err != nil {
		// What the handler did is done; only what the session remembers of it is lost.
		h.Log.ErrorContext(contextOf(c), "save the session", "error", err)
	}
	return answer
}

// identify fills the scope with the signed-in user and what they may read.
func identify(c *fiber.Ctx, scope *Scope, user accounts.User, access []accounts.Access) {
	scope.User, scope.access = &user, access
	for _, a := range access {
		scope.Organizations = append(scope.Organizations, a.Organization)
	}
	c.SetUserContext(audit.WithActor(contextOf(c), actorOf(user)))
}

// actorOf is the user as entries name them.
func actorOf(user accounts.User) audit.Actor {
	return audit.Actor{ID: user.ID, Name: user.Name, Email: user.Email}
}

// SignedIn is middleware for pages that need somebody signed in. Everybody else is led to the
// sign-in page, whatever the address, and from there back.
func (h *Handlers) SignedIn(c *fiber.Ctx) error {
	if scopeOf(c).User != nil {
		return c.Next()
	}
	path := loginPath(returnAddress(c))
	if c.Method() == fiber.MethodPost && !fromHTMX(c) && strings.Contains(path, "?") {
		path += "&notice=not-saved" // the page itself, where it has script, keeps the form
	}
	return redirect(c, path)
}

// InOrganization is middleware for everything under /orgs/:slug, after SignedIn. An organization
// the user may not read is not found, exactly like one that does not exist. One that has been
// deleted can be read and not changed. What the user is refused for their role is recorded.
func (h *Handlers) InOrganization(c *fiber.Ctx) error {
	scope, slug := scopeOf(c), c.Params("slug")
	for _, access := range scope.access {
		if access.Slug == slug {
			scope.Organization, scope.Role, scope.DefaultView = access.Organization, access.Role, access.DefaultView
		}
	}
	if scope.Organization.ID == 0 {
		return models.ErrNotFound
	}
	reading := c.Method() == fiber.MethodGet || c.Method() == fiber.MethodHead
	if !reading && scope.Organization.Closed() {
		return models.ErrClosed
	}
	if reading && scope.User.LastOrgID != scope.Organization.ID {
		ctx := contextOf(c)
		if err := accounts.SetLastOrganization(ctx, h.Store.Writer(ctx), scope.User.ID, scope.Organization.ID); err != nil {
			// Only where "/" leads next time is lost; the page can be read all the same.
			h.Log.ErrorContext(ctx, "remember the organization last used", "error", err)
		}
	}
	answer := c.Next()
	if errors.Is(answer, models.ErrNotAdmin) && refuseForeign(c) == nil { // nor what another site makes a browser ask for
		h.recordDenied(c, answer)
	}
	return answer
}

// Admin is middleware for what sets something, after InOrganization: it refuses everybody else. It goes by the
// role at the beginning of the request; asAdmin decides.
func (h *Handlers) Admin(c *fiber.Ctx) error {
	if !scopeOf(c).Admin() {
		return models.ErrNotAdmin
	}
	return c.Next()
}

// errNotAuditor is what members are told who ask for what auditors and admins read.
var errNotAuditor = fmt.Errorf("only auditors and admins read this: %w", models.ErrNotAdmin)

// Auditor is middleware for what auditors and admins read, after InOrganization: it refuses members.
func (h *Handlers) Auditor(c *fiber.Ctx) error {
	if !scopeOf(c).Oversees() {
		return errNotAuditor
	}
	return c.Next()
}

// AdminOrSelf is Admin that lets members do with themselves, as :user, what admins do with anybody.
func (h *Handlers) AdminOrSelf(c *fiber.Ctx) error {
	if c.Params("user") == scopeOf(c).User.ID {
		return c.Next()
	}
	return h.Admin(c)
}

// asAdmin runs change in a transaction in which the reader is an admin of the organization, and
// stays one until it ends.
func (h *Handlers) asAdmin(c *fiber.Ctx, change func(ctx context.Context, tx *gorm.DB) error) error {
	ctx, scope := contextOf(c), scopeOf(c)
	return h.Store.Transaction(ctx, func(tx *gorm.DB) error {
		if err := accounts.LockAsAdmin(ctx, tx, scope.Organization.ID, scope.User.ID); err != nil {
			return err
		}
		return change(ctx, tx)
	})
}

// asMember runs change in a transaction in which the reader is a member of the organization with a role, and stays that
// until it ends.
func (h *Handlers) asMember(c *fiber.Ctx, change func(ctx context.Context, tx *gorm.DB, role accounts.Role) error) error {
	scope := scopeOf(c)
	return h.inTransaction(c, func(ctx context.Context, tx *gorm.DB) error {
		member, err := accounts.LockMember(ctx, tx, scope.Organization.ID, scope.User.ID)
		if err != nil {
			return err
		}
		return change(ctx, tx, member.Role)
	})
}

// inTransaction runs change in a transaction that asks for no role.
func (h *Handlers) inTransaction(c *fiber.Ctx, change func(ctx context.Context, tx *gorm.DB) error) error {
	ctx := contextOf(c)
	return h.Store.Transaction(ctx, func(tx *gorm.DB) error { return change(ctx, tx) })
}

// loginPath is the sign-in page that leads on to the return address.
func loginPath(returnTo string) string {
	if returnTo == "" || returnTo == "/" {
		return "/login"
	}
	return "/login?" + url.Values{"return": {returnTo}}.Encode()
}

// returnAddress is the page somebody wanted to see when they had to sign in: for a fragment the
// page it belongs to, as it would have become, and for a form the page that holds it.
func returnAddress(c *fiber.Ctx) string {
	from := c.OriginalURL()
	page := localPart(c.Get("HX-Current-URL"))
	path, _, _ := strings.Cut(page, "?")
	switch {
	case fromHTMX(c) && path == c.Path() && c.Method() == fiber.MethodGet:
	case fromHTMX(c) && page != "":
		from = page
	case c.Method() != fiber.MethodGet:
		from = localPart(c.Get(fiber.HeaderReferer))
	}
	return safeReturn(pageOf(from))
}

// pageOf is the page that leads to an address which is none itself: a file would be saved right after
// signing in, and leave one at the sign-in page.
func pageOf(address string) string {
	path, query, _ := strings.Cut(address, "?")
	page, isExport := strings.CutSuffix(path, "/export")
	isExport = isExport && strings.HasSuffix(page, "/settings/audit-logs")
	parameters, err := url.ParseQuery(query)
	if !isExport || err != nil {
		return address
	}
	parameters.Del("format")
	if len(parameters) == 0 {
		return page
	}
	return page + "?" + readable.Replace(parameters.Encode())
}

// localPart is path and query of an address, whoever's it is; empty for none.
func localPart(address string) string {
	u, err := url.Parse(address)
	if err != nil || address == "" {
		return ""
	}
	return u.RequestURI()
}

// safeReturn is path where it surely stays on this server, and empty otherwise. Browsers read
// "//host" and "/\host" as another server's address, and leave out tabs and line breaks first.
func safeReturn(path string) string {
	if len(path) > 2000 || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") ||
		strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == '\\' || r == 0x7f }) {
		return ""
	}
	u, err := url.Parse(path)
	if err != nil || u.Host != "" || u.Scheme != "" {
		return ""
	}
	return path
}
