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

// offeredOrganizations is how many organizations that nobody belongs to setup offers at most.
const offeredOrganizations = 100

type setupForm struct {
	Token        string `form:"token" validate:"required"`
	Name         string `form:"name" validate:"shown_name"`
	Email        string `form:"email" validate:"required,email_address"`
	Password     string `form:"password" validate:"new_password" secret:"true"`
	Organization string `form:"organization" validate:"shown_name"`
	Slug         string `form:"slug" validate:"slug"`
}

type setupPage struct {
	Frame Frame
	Form  Form
	// Existing are organizations that nobody belongs to, which whoever holds the setup token may see, and take
	// over in place of making a new one.
	Existing []models.Organization
}

// SetupPage handles GET /setup while there are no users, and is not found afterwards.
func (h *Handlers) SetupPage(c *fiber.Ctx) error {
	over, err := h.Accounts.AnyUser(contextOf(c))
	if err != nil {
		return err
	}
	if over {
		return models.ErrNotFound
	}
	form := Form{Values: map[string]string{"token": c.Query("token")}}
	return h.renderSetup(c, fiber.StatusOK, form)
}

// Setup handles POST /setup: it creates the first admin with their organization, or with the one that `existing`
// names by its slug, and signs them in.
func (h *Handlers) Setup(c *fiber.Ctx) error {
	ctx := contextOf(c)
	if existing := posted(c, "existing"); existing != "" {
		form := c.Request().PostArgs()
		form.Set("slug", existing)
		form.Set("organization", existing) // not used: its name stays
	}
	over, err := h.Accounts.AnyUser(ctx)
	if err != nil {
		return err
	}
	if over {
		return models.ErrNotFound
	}
	var input setupForm
	form, err := readForm(c, &input)
	if err != nil {
		return err
	}
	// Before the password is hashed, so that nobody without the token can have the server do work.
	known, err := h.Accounts.IsSetupToken(ctx, input.Token)
	if err != nil {
		return err
	}
	if !known && input.Token != "" {
		form.RefuseError(accounts.ErrSetupToken, nil)
	}
	if !form.OK() {
		return h.renderSetup(c, fiber.StatusUnprocessableEntity, form)
	}
	hash, err := passwords.Hash(ctx, input.Password, input.Name, input.Email, input.Organization, input.Slug)
	if form.RefuseError(err, nil) {
		return h.renderSetup(c, fiber.StatusUnprocessableEntity, form)
	}
	if err != nil {
		return err
	}
	var organization models.Organization
	err = h.startSession(ctx, c, func(tx *gorm.DB) (accounts.User, error) {
		if err := accounts.UseSetupToken(ctx, tx, input.Token); err != nil {
			return accounts.User{}, err
		}
		user, err := accounts.CreateUser(ctx, tx, input.Name, input.Email, hash)
		if err != nil {
			return user, err
		}
		ctx := audit.WithActor(ctx, actorOf(user))
		if organization, err = firstOrganization(ctx, tx, user, input.Organization, input.Slug); err != nil {
			return user, err
		}
		access := []accounts.Access{{Organization: organization, Role: accounts.RoleAdmin}}
		return user, recordOfUser(ctx, tx, access, user, audit.Event{Action: action.UserSignIn})
	})
	if errors.Is(err, models.ErrClosed) {
		form.Refuse("slug", slugTaken)
		return h.renderSetup(c, fiber.StatusUnprocessableEntity, form)
	}
	if form.RefuseError(err, map[string]string{}) {
		return h.renderSetup(c, fiber.StatusUnprocessableEntity, form)
	}
	if err != nil {
		return err
	}
	return redirect(c, settingsPath(organization, "audit-logs"))
}

// firstOrganization creates the organization of the first admin. Where an application records into
// one of that slug already, they become its admin instead, and its name stays: before the first
// account nobody belongs to any organization, and who holds the setup token runs the server.
func firstOrganization(ctx context.Context, tx *gorm.DB, admin accounts.User, name, slug string) (models.Organization, error) {
	organization, err := createOrganization(ctx, tx, admin, name, slug)
	if !errors.Is(err, models.ErrTaken) {
		return organization, err
	}
	organization, err = models.OrganizationByRef(ctx, tx, models.OrganizationRef{Slug: slug})
	if err != nil {
		return organization, err
	}
	if err := accounts.AddMember(ctx, tx, organization.ID, admin.ID, accounts.RoleAdmin); err != nil {
		return organization, err
	}
	_, err = audit.Record(ctx, tx, audit.Event{
		Organization: organization.Slug,
		Action:       action.MemberJoin,
		EntityID:     admin.ID,
		EntityName:   admin.Name,
		Metadata:     map[string]any{"role": accounts.RoleAdmin, "setup": true},
	})
	return organization, err
}

func (h *Handlers) renderSetup(c *fiber.Ctx, status int, form Form) error {
	page := setupPage{Frame: h.frame(c, "Set up", ""), Form: form}
	holdsToken, err := h.Accounts.IsSetupToken(contextOf(c), form.Values["token"])
	if err == nil && holdsToken {
		page.Existing, err = accounts.OrganizationsOfNobody(contextOf(c), h.Store.Reader(contextOf(c)), offeredOrganizations)
	}
	if err != nil {
		return err
	}
	return h.render(c, status, "account/setup", page)
}
