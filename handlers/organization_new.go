package handlers

import (
	"context"
	"errors"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

const slugTaken = "This short name is taken. Choose another one."

type newOrganizationForm struct {
	Name string `form:"name" validate:"shown_name"`
	Slug string `form:"slug" validate:"slug"`
}

type newOrganizationPage struct {
	Frame Frame
	Form  Form
}

// NewOrganizationPage handles GET /orgs/new.
func (h *Handlers) NewOrganizationPage(c *fiber.Ctx) error {
	return h.renderNewOrganization(c, fiber.StatusOK, Form{})
}

// NewOrganization handles POST /orgs/new: whoever creates an organization is its first admin.
func (h *Handlers) NewOrganization(c *fiber.Ctx) error {
	var input newOrganizationForm
	form, err := readForm(c, &input)
	if err != nil {
		return err
	}
	if !form.OK() {
		return h.renderNewOrganization(c, fiber.StatusUnprocessableEntity, form)
	}
	ctx := contextOf(c)
	var organization models.Organization
	err = h.Store.Transaction(ctx, func(tx *gorm.DB) error {
		organization, err = createOrganization(ctx, tx, *scopeOf(c).User, input.Name, input.Slug)
		return err
	})
	if errors.Is(err, models.ErrTaken) {
		form.Refuse("slug", slugTaken)
	} else if err != nil && !form.RefuseError(err, nil) {
		return err
	}
	if !form.OK() {
		return h.renderNewOrganization(c, fiber.StatusUnprocessableEntity, form)
	}
	return redirect(c, settingsPath(organization, "audit-logs"))
}

// createOrganization adds an organization with its first admin and records it. The actor is that
// of ctx.
func createOrganization(ctx context.Context, tx *gorm.DB, admin accounts.User, name, slug string) (models.Organization, error) {
	organization, err := models.CreateOrganization(ctx, models.HandleOf(tx), name, slug, "")
	if err != nil {
		return organization, err
	}
	if err := accounts.NoteOrganizationMade(ctx, tx, admin.ID); err != nil {
		return organization, err
	}
	if err := accounts.AddMember(ctx, tx, organization.ID, admin.ID, accounts.RoleAdmin); err != nil {
		return organization, err
	}
	_, err = audit.Record(ctx, tx, audit.Event{
		Organization: organization.Slug,
		Action:       action.OrganizationCreate,
		EntityID:     organization.Slug,
		EntityName:   organization.Name,
	})
	return organization, err
}

func (h *Handlers) renderNewOrganization(c *fiber.Ctx, status int, form Form) error {
	page := newOrganizationPage{Frame: h.frame(c, "New organization", ""), Form: form}
	return h.render(c, status, "account/new-organization", page)
}
