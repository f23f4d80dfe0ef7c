package handlers

import (
	"context"
	"errors"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/models"
)

type resetForm struct {
	Password string `form:"password" validate:"new_password" secret:"true"`
}

type resetPage struct {
	Frame Frame
	User  models.User
	Form  Form
}

// MakeResetLink makes a link with which user sets a new password, once, and records that in the
// organizations of access, which are those the user may read. The actor is that of ctx. It asks for
// no permission: the caller has.
func MakeResetLink(ctx context.Context, tx *gorm.DB, baseURL string, access []models.Access, user models.User) (link string, err error) {
	token, err := models.CreatePasswordReset(ctx, tx, user.ID)
	if err != nil {
		return "", err
	}
	return baseURL + "/reset/" + token, recordOfUser(ctx, tx, access, user, audit.Event{Action: audit.UserPasswordResetLink})
}

// ResetPage answers GET /reset/:token.
func (h *Handlers) ResetPage(c *fiber.Ctx) error {
	user, err := h.Store.UserOfPasswordReset(contextOf(c), c.Params("token"))
	if err != nil {
		return h.deadLink(c, err, "reset link")
	}
	return h.renderReset(c, fiber.StatusOK, user, Form{})
}

// ResetPassword answers POST /reset/:token with `password`: it sets the password and signs the
// account out everywhere.
func (h *Handlers) ResetPassword(c *fiber.Ctx) error {
	ctx, token := contextOf(c), c.Params("token")
	user, err := h.Store.UserOfPasswordReset(ctx, token)
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
	hash, err := models.HashPassword(ctx, input.Password)
	if err != nil {
		return err
	}
	access, err := h.Store.AccessOf(ctx, user.ID)
	if err != nil {
		return err
	}
	err = h.Store.Transaction(ctx, func(tx *gorm.DB) error {
		if _, err := models.ResetPassword(ctx, tx, token, hash); err != nil {
			return err
		}
		return recordOfUser(ctx, tx, access, user, audit.Event{Action: audit.UserPasswordReset, Actor: actorOf(user)})
	})
	if errors.Is(err, models.ErrNotFound) {
		return h.deadLink(c, err, "reset link")
	}
	if err != nil {
		return err
	}
	return redirect(c, "/login?notice=password-changed")
}

func (h *Handlers) renderReset(c *fiber.Ctx, status int, user models.User, form Form) error {
	page := resetPage{Frame: h.frame(c, "New password", ""), User: user, Form: form}
	return h.render(c, status, "account/reset", page)
}
