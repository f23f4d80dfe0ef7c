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
	Token    string `form:"token" validate:"required"`
	Name     string `form:"name" validate:"shown_name"`
	Email    string `form:"email" validate:"required,email_address"`
	Password string `form:"password" validate:"new_password" secret:"true"`
	Existing string `form:"existing"` // the slug of the organization to take over, or empty
}

// setupOrganizationForm is the rest of it where no organization is taken over.
type setupOrganizationForm struct {
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
	token := c.Query("token")
	known, err := h.Accounts.IsSetupToken(contextOf(c), token)
	if err != nil {
		return err
	}
	return h.renderSetup(c, fiber.StatusOK, Form{Values: map[string]string{"token": token}}, known)
}

// Setup handles POST /setup: it creates the first admin with their organization, or makes them the admin of the one that
// `existing` names by its slug, and signs them in.
func (h *Handlers) Setup(c *fiber.Ctx) error {
	ctx := contextOf(c)
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
	var made setupOrganizationForm
	if input.Existing == "" {
		if err := form.read(c, &made); err != nil {
			return err
		}
	}
	// Before the password is hashed, so that nobody without the token can have the server do work.
	known, err := h.Accounts.IsSetupToken(ctx, input.Token)
	if err != nil {
		return err
	}
	if !known && input.Token != "" {
		form.RefuseError(accounts.ErrSetupToken, nil)
	}
	refused := func() error { return h.renderSetup(c, fiber.StatusUnprocessableEntity, form, known) }
	if !form.OK() {
		return refused()
	}
	hash, err := passwords.Hash(ctx, input.Password, input.Name, input.Email, made.Organization, made.Slug, input.Existing)
	if form.RefuseError(err, nil) {
		return refused()
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
		if input.Existing != "" {
			organization, err = takeOver(ctx, tx, user, input.Existing)
		} else {
			organization, err = firstOrganization(ctx, tx, user, made.Organization, made.Slug)
		}
		if err != nil {
			return user, err
		}
		access := []accounts.Access{{Organization: organization, Role: accounts.RoleAdmin}}
		return user, recordOfUser(ctx, tx, access, user, audit.Event{Action: action.UserSignIn})
	})
	switch {
	case err == nil:
		return redirect(c, settingsPath(organization, "audit-logs"))
	case errors.Is(err, errNothingToTakeOver), input.Existing != "" && errors.Is(err, models.ErrClosed):
		form.Refuse("existing", "This organization is not there any more. Choose another one.")
	case errors.Is(err, models.ErrClosed):
		form.Refuse("slug", slugTaken)
	case !form.RefuseError(err, nil):
		return err
	}
	return refused()
}

// errNothingToTakeOver says that there is no organization of that slug.
var errNothingToTakeOver = errors.New("no organization of that slug")

// firstOrganization creates the organization of the first admin, or has them take over the one of that slug that an
// application records into already.
func firstOrganization(ctx context.Context, tx *gorm.DB, admin accounts.User, name, slug string) (models.Organization, error) {
	organization, err := createOrganization(ctx, tx, admin, name, slug)
	if errors.Is(err, models.ErrTaken) {
		return takeOver(ctx, tx, admin, slug)
	}
	return organization, err
}

// takeOver makes the first admin that of an organization whose name stays: before the first account nobody belongs to
// any, and who holds the setup token runs the server.
func takeOver(ctx context.Context, tx *gorm.DB, admin accounts.User, slug string) (models.Organization, error) {
	organization, err := models.OrganizationByRef(ctx, tx, models.OrganizationRef{Slug: slug})
	if errors.Is(err, models.ErrNotFound) {
		return organization, errNothingToTakeOver
	}
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

// renderSetup shows the form, and to whom holds the token what there is to take over.
func (h *Handlers) renderSetup(c *fiber.Ctx, status int, form Form, holdsToken bool) (err error) {
	page := setupPage{Frame: h.frame(c, "Set up", ""), Form: form}
	if holdsToken {
		page.Existing, err = accounts.OrganizationsOfNobody(contextOf(c), h.Store.Reader(contextOf(c)), offeredOrganizations)
		if err != nil {
			return err
		}
	}
	return h.render(c, status, "account/setup", page)
}
