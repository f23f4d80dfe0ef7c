package handlers

import (
	"context"
	"errors"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/handlers/passwords"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

type resetForm struct {
	Password string `form:"password" validate:"new_password" secret:"true"`
}

type resetPage struct {
	Frame Frame
	User  accounts.User
	Form  Form
}

// MakeOperatorResetLink makes a link with which user sets a new password, once, and records that in the
// organizations of access, which are those the user may read. The actor is that of ctx. It asks for
// no permission: an operator needs none.
func MakeOperatorResetLink(ctx context.Context, tx *gorm.DB, baseURL string, access []accounts.Access, user accounts.User) (link string, err error) {
	token, err := accounts.OperatorPasswordReset(ctx, tx, user.ID)
	return recordResetLink(ctx, tx, baseURL, token, access, user, err)
}

// makeResetLink is MakeOperatorResetLink for an admin of an organization, whose rights
// accounts.CreatePasswordReset asks for.
func makeResetLink(ctx context.Context, tx *gorm.DB, baseURL string, orgID int64, maker accounts.User, access []accounts.Access, user accounts.User) (link string, err error) {
	token, err := accounts.CreatePasswordReset(ctx, tx, orgID, maker.ID, user.ID)
	return recordResetLink(ctx, tx, baseURL, token, access, user, err)
}

func recordResetLink(ctx context.Context, tx *gorm.DB, baseURL, token string, access []accounts.Access, user accounts.User, err error) (link string, _ error) {
	if err != nil {
		return "", err
	}
	return baseURL + "/reset/" + token, recordOfUser(ctx, tx, access, user, audit.Event{Action: action.UserPasswordResetLink})
}

// ResetPage handles GET /reset/:token.
func (h *Handlers) ResetPage(c *fiber.Ctx) error {
	user, _, err := h.Accounts.OpenPasswordReset(contextOf(c), c.Params("token"))
	if err != nil {
		return h.deadLink(c, err, "reset link")
	}
	return h.renderReset(c, fiber.StatusOK, user, Form{})
}

// ResetPassword handles POST /reset/:token with `password`: it sets the password and signs the
// account out everywhere. The entry says who made the link: whoever used it need not be the account's
// owner.
func (h *Handlers) ResetPassword(c *fiber.Ctx) error {
	ctx, token := contextOf(c), c.Params("token")
	user, maker, err := h.Accounts.OpenPasswordReset(ctx, token)
	if err != nil {
		return h.deadLink(c, err, "reset link")
	}
	var input resetForm
	form, err := readForm(c, &input)
	if err != nil {
		return err
	}
	if !form.OK() {
		return h.renderReset(c, fiber.StatusUnprocessableEntity, user, form)
	}
	hash, err := passwords.Hash(ctx, input.Password, user.Name, user.Email)
	if form.RefuseError(err, nil) {
		return h.renderReset(c, fiber.StatusUnprocessableEntity, user, form)
	}
	if err != nil {
		return err
	}
	access, err := h.Accounts.AccessOf(ctx, user.ID)
	if err != nil {
		return err
	}
	err = h.Store.Transaction(ctx, func(tx *gorm.DB) error {
		if _, err := accounts.ResetPassword(ctx, tx, token, hash); err != nil {
			return err
		}
		return recordOfUser(ctx, tx, access, user, audit.Event{
			Action:   action.UserPasswordReset,
			Actor:    actorOf(user),
			Metadata: map[string]any{"via": "reset link", linkMadeBy: makerFacts(maker)},
		})
	})
	if errors.Is(err, models.ErrNotFound) {
		return h.deadLink(c, err, "reset link")
	}
	if err != nil {
		return err
	}
	return redirect(c, "/login?notice=password-changed")
}

// linkMadeBy is the key of an entry's metadata that says who made the link it came about by.
const linkMadeBy = "link_made_by"

// makerFacts is who made a link, as metadata has it. The zero User is an operator.
func makerFacts(maker accounts.User) map[string]any {
	if maker.ID == "" {
		return map[string]any{"name": "operator"}
	}
	return map[string]any{"id": maker.ID, "name": maker.Name, "email": maker.Email}
}

func (h *Handlers) renderReset(c *fiber.Ctx, status int, user accounts.User, form Form) error {
	page := resetPage{Frame: h.frame(c, "New password", ""), User: user, Form: form}
	return h.render(c, status, "account/reset", page)
}
