package handlers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// linksSection is where resources are found, by entity type.
type linksSection struct {
	Rows  []linkRow
	New   linkRow  // the form that adds one
	Types []string // entity types of the log that have no link yet
	Saved string

	Conflict *conflicts
}

// linkRow is the link of one entity type, as typed.
type linkRow struct {
	EntityType, Template     string
	TypeError, TemplateError string
	Loaded                   string // the template when the form was loaded; empty for none

	opened loadedValue // as the form says, until Loaded is set
}

// SaveResourceLink handles POST /orgs/{slug}/settings/links (`entity_type`, `url_template`,
// `loaded_url_template`, which is empty where there was none): it adds the link of an entity type, or
// changes it.
func (h *Handlers) SaveResourceLink(c *fiber.Ctx) error {
	row := linkRow{EntityType: strings.TrimSpace(posted(c, "entity_type")), Template: strings.TrimSpace(posted(c, "url_template")), opened: loaded(c, "url_template")}
	if !action.ValidEntityType(row.EntityType) {
		row.TypeError = "Use lower-case letters, digits and _, starting with a letter, such as service."
	}
	var invalid *fault.Field
	if errors.As(models.CheckURLTemplate(row.Template), &invalid) {
		row.TemplateError = invalid.Reason
	}
	page := h.newOrganizationPage(c)
	if row.TypeError != "" || row.TemplateError != "" {
		page.Links.New = row
		return h.answerLinks(c, fiber.StatusUnprocessableEntity, page)
	}
	return h.changeLink(c, page, row, row.Template, func(ctx context.Context, tx *gorm.DB) (string, error) {
		return models.SetResourceLink(ctx, tx, page.Organization.ID, row.EntityType, row.Template)
	})
}

// RemoveResourceLink handles POST /orgs/{slug}/settings/links/remove (`entity_type`,
// `loaded_url_template`).
func (h *Handlers) RemoveResourceLink(c *fiber.Ctx) error {
	page := h.newOrganizationPage(c)
	entityType := strings.TrimSpace(posted(c, "entity_type"))
	if !action.ValidEntityType(entityType) {
		return models.ErrNotFound
	}
	row := linkRow{EntityType: entityType, Template: strings.TrimSpace(posted(c, "url_template")), opened: loaded(c, "url_template")}
	return h.changeLink(c, page, row, "", func(ctx context.Context, tx *gorm.DB) (string, error) {
		return models.RemoveResourceLink(ctx, tx, page.Organization.ID, entityType)
	})
}

// changeLink runs change, unless somebody else has changed the link since the form was loaded, and records
// it in the same transaction where it changes anything. row is the form.
func (h *Handlers) changeLink(c *fiber.Ctx, page organizationPage, row linkRow, template string, change func(context.Context, *gorm.DB) (before string, err error)) error {
	var before string
	err := h.asAdmin(c, func(ctx context.Context, tx *gorm.DB) (err error) {
		setting := accounts.SettingLink(row.EntityType)
		if before, err = models.LockResourceLink(ctx, tx, page.Organization.ID, row.EntityType); err != nil {
			return err
		}
		if row.opened.conflicts(before, template) {
			return conflictOver(ctx, tx, page.Organization.ID, setting, "The link of type "+row.EntityType, before)
		}
		if _, err := change(ctx, tx); err != nil || before == template {
			return err
		}
		if err := noteChange(ctx, tx, page.Organization.ID, setting); err != nil {
			return err
		}
		_, err = audit.Record(ctx, tx, resourceLinkUpdate(page.Organization, row.EntityType, before, template))
		return err
	})
	var conflict *conflictError
	if errors.As(err, &conflict) {
		again := "Save again to replace it."
		if template == "" {
			again = "Remove it again if it should go all the same."
		}
		row.Loaded, row.opened = before, loadedValue{before, true}
		page.Links.New, page.Links.Conflict = row, conflict.shown(again, page.Location)
		return h.answerLinks(c, fiber.StatusConflict, page)
	}
	if err != nil {
		return err
	}
	saved := savedLink(row.EntityType, before, template)
	if !wantsFragment(c) {
		return h.toOrganizationSettings(c, saved)
	}
	page.Links.Saved = saved
	return h.answerLinks(c, fiber.StatusOK, page)
}

// resourceLinkUpdate is the event of a change of the link of an entity type. The type is a value, as
// the links of one called api_key would be masked under its name.
func resourceLinkUpdate(org models.Organization, entityType, before, after string) audit.Event {
	event := organizationUpdate(org, "resource_link", orNull(before), orNull(after))
	event.Metadata.(map[string]any)["entity_type"] = entityType
	return event
}

func savedLink(entityType, before, after string) string {
	switch {
	case before == after:
		return "Nothing to save: the link is already like this."
	case before == "":
		return fmt.Sprintf("Saved. Resources of type %s now have a link.", entityType)
	case after == "":
		return fmt.Sprintf("Saved. The link for %s was removed.", entityType)
	default:
		return fmt.Sprintf("Saved. The link for %s was changed.", entityType)
	}
}

func orNull(template string) any {
	if template == "" {
		return nil
	}
	return template
}

// answerLinks responds with the section alone where htmx asks, otherwise with the page.
func (h *Handlers) answerLinks(c *fiber.Ctx, status int, page organizationPage) error {
	if !wantsFragment(c) {
		return h.answerOrganizationPage(c, status, page)
	}
	if err := h.fillLinks(c, &page); err != nil {
		return err
	}
	return h.render(c, status, "organization/links", page)
}

// fillLinks lists the links. A form that was refused is shown where it was typed.
func (h *Handlers) fillLinks(c *fiber.Ctx, page *organizationPage) error {
	ctx, section := contextOf(c), &page.Links
	links, err := h.Store.ResourceLinks(ctx, page.Organization)
	if err != nil {
		return err
	}
	section.New.Loaded = section.New.opened.or(links[section.New.EntityType])
	for entityType, template := range links {
		row := linkRow{EntityType: entityType, Template: template, Loaded: template}
		if section.New.EntityType == entityType {
			row, section.New = section.New, linkRow{}
		}
		section.Rows = append(section.Rows, row)
	}
	slices.SortFunc(section.Rows, func(a, b linkRow) int { return cmp.Compare(a.EntityType, b.EntityType) })
	if !page.MaySet() {
		return nil
	}
	kinds, err := h.Entries.Kinds(ctx, page.Organization)
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		if _, has := links[kind.EntityType]; !has && !slices.Contains(section.Types, kind.EntityType) {
			section.Types = append(section.Types, kind.EntityType)
		}
	}
	return nil
}
