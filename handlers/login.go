package handlers

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/handlers/passwords"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
	"github.com/auditlogs/auditlogs/views"
)

// refusalTime is the least a refused sign-in takes. It covers the writing of the entry, which there
// is only for an account: the time of the answer must not tell which addresses have one.
const refusalTime = 250 * time.Millisecond

// wrongPassword is what everybody is told, whether there is an account or not.
const wrongPassword = "No account has this e-mail address and password."

type loginForm struct {
	Email    string `form:"email" validate:"required,email_address"`
	Password string `form:"password" validate:"required" secret:"true"`
	Return   string `form:"return"`
}

type loginPage struct {
	Frame  Frame
	Form   Form
	Notice string // what happened before, such as a new password
	Lost   bool   // a form was sent after the session had ended
}

// LoginPage handles GET /login.
func (h *Handlers) LoginPage(c *fiber.Ctx) error {
	if scopeOf(c).User != nil {
		return redirect(c, orRoot(safeReturn(c.Query("return"))))
	}
	ready, err := h.Accounts.AnyUser(contextOf(c))
	if err != nil {
		return err
	}
	if !ready {
		return redirect(c, "/setup")
	}
	page := loginPage{Form: Form{Values: map[string]string{"return": safeReturn(c.Query("return"))}}}
	switch c.Query("notice") {
	case "password-changed":
		page.Notice = "Your password was changed. Sign in with the new one."
	case "not-saved":
		page.Lost = true
	}
	return h.renderLogin(c, fiber.StatusOK, page)
}

// Login handles POST /login.
func (h *Handlers) Login(c *fiber.Ctx) error {
	var input loginForm
	form, err := readForm(c, &input)
	if err != nil {
		return err
	}
	form.Values["return"] = safeReturn(input.Return)
	page := loginPage{Form: form}
	if !form.OK() {
		return h.renderLogin(c, fiber.StatusUnprocessableEntity, page)
	}
	began, ctx := time.Now(), contextOf(c)
	user, err := h.Accounts.UserByEmail(ctx, input.Email)
	if err != nil && !errors.Is(err, models.ErrNotFound) {
		return err
	}
	device, err := h.knownDevice(ctx, c, user)
	if err != nil {
		return err
	}
	bounds := atSignIn(clientIP(c), input.Email, device, BehindUnknownProxy(c))
	right, wait, err := h.tryPassword(ctx, bounds, user.PasswordHash, input.Password)
	if err != nil {
		return err
	}
	if wait > 0 {
		page.Form.Refuse("password", h.tooManyWrong(c, wait))
		return h.renderLogin(c, fiber.StatusTooManyRequests, page)
	}
	if right {
		err = h.signIn(ctx, c, user)
		if err == nil {
			return redirect(c, orRoot(form.Values["return"]))
		}
		if !errors.Is(err, models.ErrNotFound) { // changed a moment ago: the password is wrong by now
			return err
		}
	}
	if err := h.refuseSignIn(ctx, user, input.Email); err != nil {
		return err
	}
	waitUntil(ctx, began.Add(refusalTime))
	page.Form.Refuse("password", wrongPassword)
	return h.renderLogin(c, fiber.StatusUnprocessableEntity, page)
}

// tryPassword reports whether a password belongs to hash, unless too many wrong ones were tried: then it
// does not look and returns how long to wait.
func (h *Handlers) tryPassword(ctx context.Context, bounds []bound, hash, password string) (matches bool, wait time.Duration, err error) {
	attempt, wait, err := h.signIns.begin(ctx, h.Store.Now(), bounds)
	if err != nil || wait > 0 {
		return false, wait, err
	}
	was := unknown
	defer func() { attempt.end(was) }()
	if matches, err = passwords.Match(ctx, hash, password); err != nil {
		return false, 0, err
	}
	if was = wrong; matches {
		was = right
	}
	return matches, 0, nil
}

// tooManyWrong tells a program and a person how long to wait.
func (h *Handlers) tooManyWrong(c *fiber.Ctx, wait time.Duration) string {
	seconds := int(wait/time.Second) + 1
	c.Set(fiber.HeaderRetryAfter, strconv.Itoa(seconds))
	return fmt.Sprintf("Too many wrong passwords. Try again in %s.", views.Count((seconds+59)/60, "minute", "minutes"))
}

// BehindUnknownProxy reports whether the request seems to come from a proxy although none is trusted: all
// its clients have one address then, and are not shut out for what a few of them do.
func BehindUnknownProxy(c *fiber.Ctx) bool {
	return len(c.App().Config().TrustedProxies) == 0 && c.Get(fiber.HeaderXForwardedFor) != ""
}

// signIn starts a session and records it in every organization of the user.
func (h *Handlers) signIn(ctx context.Context, c *fiber.Ctx, user accounts.User) error {
	access, err := h.Accounts.AccessOf(ctx, user.ID)
	if err != nil {
		return err
	}
	return h.startSession(ctx, c, func(tx *gorm.DB) (accounts.User, error) {
		return user, recordOfUser(ctx, tx, access, user, audit.Event{Action: action.UserSignIn, Actor: actorOf(user)})
	})
}

// startSession starts a session of whoever sign decides on, in whose transaction it is, and makes the
// browser known for them. Errors are those of sessions.Store.Start.
func (h *Handlers) startSession(ctx context.Context, c *fiber.Ctx, sign func(tx *gorm.DB) (accounts.User, error)) error {
	var user accounts.User
	err := h.Sessions.Start(ctx, scopeOf(c).Session, func(tx *gorm.DB) (_ accounts.User, err error) {
		user, err = sign(tx)
		return user, err
	})
	if err == nil {
		h.rememberDevice(ctx, c, user)
	}
	return err
}

// refuseSignIn records a wrong password in every organization of the user; an address without an
// account is told to the server's log only.
func (h *Handlers) refuseSignIn(ctx context.Context, user accounts.User, email string) error {
	if user.ID == "" {
		h.Log.WarnContext(ctx, "sign-in refused: no such account", "email", email, "ip", event.RequestFrom(ctx).IP)
		return nil
	}
	access, err := h.Accounts.AccessOf(ctx, user.ID)
	if err != nil {
		return err
	}
	return h.Store.Transaction(ctx, func(tx *gorm.DB) error {
		return recordOfUser(ctx, tx, access, user, audit.Event{
			Action:   action.UserSignInRefused,
			Actor:    actorOf(user),
			Metadata: map[string]any{"reason": "wrong password"},
		})
	})
}

// recordOfUser records what a user did with their account in every open organization of theirs.
func recordOfUser(ctx context.Context, tx *gorm.DB, access []accounts.Access, user accounts.User, event audit.Event) error {
	event.EntityID, event.EntityName = user.ID, user.Name
	for _, a := range access {
		if a.Closed() {
			continue
		}
		event.Organization = a.Slug
		_, err := audit.Record(ctx, tx, event)
		if err != nil && !errors.Is(err, audit.ErrOrganizationClosed) { // closed since we looked
			return err
		}
	}
	return nil
}

func (h *Handlers) renderLogin(c *fiber.Ctx, status int, page loginPage) error {
	page.Frame = h.frame(c, "Sign in", "")
	return h.render(c, status, "account/login", page)
}

// orRoot is path, or "/" for none: it leads to the organization last used.
func orRoot(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// clientIP is the client's address as the request's middleware found it.
func clientIP(c *fiber.Ctx) string {
	if ip := event.RequestFrom(contextOf(c)).IP; ip != "" {
		return ip
	}
	return c.IP()
}

// waitUntil waits for a moment, or for the end of ctx.
func waitUntil(ctx context.Context, moment time.Time) {
	timer := time.NewTimer(time.Until(moment))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
