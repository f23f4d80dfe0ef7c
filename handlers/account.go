package handlers

import (
	"bytes"
	"context"
	"errors"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/handlers/passwords"
	"github.com/auditlogs/auditlogs/handlers/sessions"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
	"github.com/auditlogs/auditlogs/views"
)

type changePasswordForm struct {
	Current  string `form:"current_password" validate:"required" secret:"true"`
	Password string `form:"password" validate:"new_password" secret:"true"`
}

// accountPage is what somebody sets of their own account, whatever the organization.
type accountPage struct {
	Frame    Frame
	Form     Form // of a new password
	Notice   string
	Sessions []sessionView
}

type sessionView struct {
	accounts.Session
	Client string // the browser in words
	This   bool   // the one that reads the page
}

// Others reports whether there is more than the session that reads the page.
func (p accountPage) Others() bool { return len(p.Sessions) > 1 }

// Account handles GET /account.
func (h *Handlers) Account(c *fiber.Ctx) error {
	return h.renderAccount(c, fiber.StatusOK, Form{})
}

func (h *Handlers) renderAccount(c *fiber.Ctx, status int, form Form) error {
	scope := scopeOf(c)
	open, err := h.Accounts.SessionsOf(contextOf(c), scope.User.ID)
	if err != nil {
		return err
	}
	page := accountPage{Frame: h.frame(c, "Your account", "account"), Form: form, Notice: takeNotice(c)}
	if organization, ok := homeOf(scope); ok { // the way back
		around := *scope
		around.Organization = organization
		page.Frame.Scope = &around
	}
	this := sessions.Row(scope.Session).TokenHash
	for _, session := range open {
		page.Sessions = append(page.Sessions, sessionView{session, browserInWords(session), bytes.Equal(session.TokenHash, this)})
	}
	return h.render(c, status, "account/page", page)
}

// browserInWords is what a session is used with.
func browserInWords(session accounts.Session) string {
	if words := views.ClientInWords(session.UserAgent); words != "" {
		return words
	}
	return "Unknown browser"
}

// ChangePassword handles POST /account/password with `current_password` and `password`: it sets a new
// password and ends every session of the account but this one, which goes on under another cookie.
// Wrong passwords are bounded as at sign-in, and recorded.
func (h *Handlers) ChangePassword(c *fiber.Ctx) error {
	ctx, scope := contextOf(c), scopeOf(c)
	var input changePasswordForm
	form, err := readForm(c, &input)
	if err != nil {
		return err
	}
	if !form.OK() {
		return h.renderAccount(c, fiber.StatusUnprocessableEntity, form)
	}
	matches, wait, err := h.tryPassword(ctx, atPasswordChange(scope.User.ID), scope.User.PasswordHash, input.Current)
	if err != nil {
		return err
	}
	if wait > 0 {
		form.Refuse("current_password", h.tooManyWrong(c, wait))
		return h.renderAccount(c, fiber.StatusTooManyRequests, form)
	}
	if !matches {
		err := h.recordOwn(c, action.UserPasswordChangeRefused, map[string]any{"reason": "wrong password"})
		if err != nil {
			return err
		}
		form.Refuse("current_password", "This is not your password.")
		return h.renderAccount(c, fiber.StatusUnprocessableEntity, form)
	}
	if input.Password == input.Current {
		form.Refuse("password", "This is the password you have already.")
		return h.renderAccount(c, fiber.StatusUnprocessableEntity, form)
	}
	hash, err := passwords.Hash(ctx, input.Password, scope.User.Name, scope.User.Email)
	if form.RefuseError(err, nil) {
		return h.renderAccount(c, fiber.StatusUnprocessableEntity, form)
	}
	if err != nil {
		return err
	}
	err = h.startSession(ctx, c, func(tx *gorm.DB) (accounts.User, error) {
		user, err := accounts.ChangePassword(ctx, tx, *scope.User, hash)
		if err != nil {
			return user, err
		}
		return user, recordOfUser(ctx, tx, scope.access, user, audit.Event{Action: action.UserPasswordChange})
	})
	if errors.Is(err, models.ErrNotFound) { // changed a moment ago, which ended this session
		return redirect(c, loginPath("/account"))
	}
	if err != nil {
		return err
	}
	return h.toAccount(c, "Your password was changed. You are signed out everywhere else.")
}

// EndSession handles POST /account/sessions/end with the `id` of one of the reader's sessions. The one
// they read with is signed out.
func (h *Handlers) EndSession(c *fiber.Ctx) error {
	scope, id := scopeOf(c), posted(c, "id")
	if id == sessions.Row(scope.Session).ID() {
		return h.Logout(c)
	}
	err := h.inTransaction(c, func(ctx context.Context, tx *gorm.DB) error {
		ended, err := accounts.EndSessionOf(ctx, tx, scope.User.ID, id)
		if err != nil {
			return err
		}
		return recordOfUser(ctx, tx, scope.access, *scope.User, audit.Event{
			Action: action.UserSessionEnd,
			Metadata: map[string]any{"session": map[string]any{
				"browser": browserInWords(ended), "ip": ended.IP,
				"started_at": ended.CreatedAt.Time(), "last_seen_at": ended.SeenAt.Time(),
			}},
		})
	})
	if errors.Is(err, models.ErrNotFound) {
		return h.toAccount(c, "That session had already ended.")
	}
	if err != nil {
		return err
	}
	return h.toAccount(c, "The session was ended.")
}

// EndOtherSessions handles POST /account/sessions/end-others: it ends every session of the reader but
// the one they read with.
func (h *Handlers) EndOtherSessions(c *fiber.Ctx) error {
	scope := scopeOf(c)
	var ended int
	err := h.inTransaction(c, func(ctx context.Context, tx *gorm.DB) (err error) {
		ended, err = accounts.EndOtherSessions(ctx, tx, sessions.Row(scope.Session))
		if err != nil || ended == 0 {
			return err
		}
		return recordOfUser(ctx, tx, scope.access, *scope.User, audit.Event{
			Action:   action.UserSessionEnd,
			Metadata: map[string]any{"all_others": true, "sessions": ended},
		})
	})
	if err != nil {
		return err
	}
	return h.toAccount(c, endedInWords(ended))
}

func endedInWords(ended int) string {
	if ended == 0 {
		return "There were no other sessions."
	}
	return views.Count(ended, "other session was", "other sessions were") + " ended."
}

// recordOwn records what the reader did with their own account.
func (h *Handlers) recordOwn(c *fiber.Ctx, action action.Action, facts map[string]any) error {
	scope := scopeOf(c)
	return h.inTransaction(c, func(ctx context.Context, tx *gorm.DB) error {
		return recordOfUser(ctx, tx, scope.access, *scope.User, audit.Event{Action: action, Metadata: facts})
	})
}

// toAccount answers a form that succeeded: 303 to the page, which says what was done.
func (h *Handlers) toAccount(c *fiber.Ctx, notice string) error {
	leaveNotice(c, notice)
	return redirect(c, "/account")
}
