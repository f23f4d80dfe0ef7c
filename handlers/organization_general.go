package handlers

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/handlers/settings"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// generalSection is the name of the organization.
type generalSection struct {
	Name     string // as typed
	Loaded   string // as it was when the form was loaded
	Error    string // what is wrong with it
	Saved    string // what was done, where the section is answered in place
	Conflict *conflicts

	typed bool // Name comes from the form
}

func (s *generalSection) fill(org models.Organization) {
	if !s.typed {
		s.Name, s.Loaded = org.Name, org.Name
	}
}

// deleteSection is the form that deletes the organization.
type deleteSection struct {
	Confirm string // as typed
	Error   string
}

// RenameOrganization handles POST /orgs/{slug}/settings/organization (`name`, `loaded_name`).
func (h *Handlers) RenameOrganization(c *fiber.Ctx) error {
	page := h.newOrganizationPage(c)
	name, opened := strings.TrimSpace(posted(c, "name")), loaded(c, "name")
	var invalid *fault.Field
	if err := models.CheckName(name); errors.As(err, &invalid) {
		page.General = generalSection{typed: true, Name: name, Loaded: opened.or(page.Organization.Name), Error: invalid.Reason}
		return h.answerGeneral(c, fiber.StatusUnprocessableEntity, page)
	}

	var before, after models.Organization
	err := h.asAdmin(c, func(ctx context.Context, tx *gorm.DB) (err error) {
		if before, err = models.LockOrganization(ctx, tx, page.Organization.ID); err != nil {
			return err
		}
		if opened.conflicts(before.Name, name) {
			return conflictOver(ctx, tx, before.ID, accounts.SettingName, "The name", before.Name)
		}
		before, after, err = accounts.RenameOrganization(ctx, tx, before.ID, name)
		if err != nil || before.Name == after.Name {
			return err
		}
		if err := noteChange(ctx, tx, before.ID, accounts.SettingName); err != nil {
			return err
		}
		_, err = audit.Record(ctx, tx, organizationUpdate(after, "name", before.Name, after.Name))
		return err
	})
	var conflict *conflictError
	if errors.As(err, &conflict) {
		showOrganization(c, before)
		page.General = generalSection{typed: true, Name: name, Loaded: before.Name, Conflict: conflict.shown("Save again to replace it.", page.Location)}
		return h.answerGeneral(c, fiber.StatusConflict, page)
	}
	if err != nil {
		return err
	}
	showOrganization(c, after)
	saved := "Nothing to save: the organization already has this name."
	if before.Name != after.Name {
		saved = fmt.Sprintf("Saved. The organization is now called %s.", after.Name)
	}
	if wantsFragment(c) {
		page.General.Saved = saved
		return h.answerGeneral(c, fiber.StatusOK, page)
	}
	return h.toOrganizationSettings(c, saved)
}

func (h *Handlers) answerGeneral(c *fiber.Ctx, status int, page organizationPage) error {
	if !wantsFragment(c) {
		return h.answerOrganizationPage(c, status, page)
	}
	page.General.fill(page.Organization)
	return h.render(c, status, "organization/general", page)
}

// organizationUpdate is the event of a change of one field of an organization.
func organizationUpdate(org models.Organization, field string, before, after any) audit.Event {
	return audit.Event{
		Organization: org.Slug,
		Action:       action.OrganizationUpdate,
		EntityID:     org.Slug,
		EntityName:   org.Name,
		Metadata: map[string]any{
			"changes":        map[string]audit.Change{field: {Before: before, After: after}},
			"changed_fields": []string{field},
		},
	}
}

// DeleteOrganization handles POST /orgs/{slug}/settings/delete (`confirm` = the slug). The
// organization is closed: its admins and auditors read its log until the last entry has expired.
func (h *Handlers) DeleteOrganization(c *fiber.Ctx) error {
	page := h.newOrganizationPage(c)
	org := page.Organization
	if confirm := strings.TrimSpace(posted(c, "confirm")); confirm != org.Slug {
		page.Delete = deleteSection{Confirm: confirm, Error: fmt.Sprintf("Type %s to confirm.", org.Slug)}
		return h.answerOrganizationPage(c, fiber.StatusUnprocessableEntity, page)
	}
	err := h.asAdmin(c, func(ctx context.Context, tx *gorm.DB) error {
		// Nobody could undo a lowered retention any more.
		_, locked, err := settings.Undo(ctx, tx, org.ID, h.Store.Now())
		if err != nil {
			return err
		}
		// Before it is closed: afterwards nothing is recorded.
		_, err = audit.Record(ctx, tx, audit.Event{
			Organization: locked.Slug,
			Action:       action.OrganizationDelete,
			EntityID:     locked.Slug,
			EntityName:   locked.Name,
		})
		if err != nil {
			return err
		}
		return accounts.CloseOrganization(ctx, tx, org.ID, h.Store.Now())
	})
	if err != nil {
		return err
	}
	return h.toOrganizationSettings(c, "The organization was deleted.")
}
