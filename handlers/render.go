package handlers

import (
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/views"
)

// Frame is what surrounds every page: its templates get it as .Frame.
type Frame struct {
	*Scope
	Title   string
	Section string // which settings section is current: "organization", "members", "api-keys", "integrations", "access-log", "audit-logs"
	Path    string // the address asked for, without the query
	Demo    bool
	Views   *viewList // beside the log; nil elsewhere
}

// frame describes the surroundings of the page asked for.
func (h *Handlers) frame(c *fiber.Ctx, title, section string) Frame {
	return Frame{Scope: scopeOf(c), Title: title, Section: section, Path: c.Path(), Demo: h.Demo}
}

// InOrganization reports whether the page belongs to an organization.
func (f Frame) InOrganization() bool { return f.Organization.ID != 0 }

// SettingsPath is the address of a settings page of the current organization.
func (f Frame) SettingsPath(section string) string { return settingsPath(f.Organization, section) }

// SectionOf is the address of the section being read in another organization: where the
// organization switcher leads.
func (f Frame) SectionOf(org models.Organization) string {
	switch f.Section {
	case "organization", "members", "api-keys", "integrations": // not the access log, which the reader may not see there
		return settingsPath(org, f.Section)
	default:
		return settingsPath(org, "audit-logs")
	}
}

// settingsPath is the address of a settings page: "" leads to the overview.
func settingsPath(org models.Organization, section string) string {
	return strings.TrimSuffix("/orgs/"+org.Slug+"/settings/"+section, "/")
}

// render writes a template with a status. It renders into the answer's memory, which is sent after
// the handler, so a template that fails never sends half a page. What cannot be seen is written out.
func (h *Handlers) render(c *fiber.Ctx, status int, template string, data any) error {
	c.Response().ResetBody()
	if err := h.Views.Render(c.Response().BodyWriter(), template, data); err != nil {
		c.Response().ResetBody()
		return fmt.Errorf("render %s: %w", template, err)
	}
	c.Response().SetBodyRaw(views.VisibleHTML(c.Response().Body()))
	c.Type("html", "utf-8")
	c.Status(status)
	return nil
}

// wantsFragment reports whether a part of the page is asked for: if and only if the request says so. htmx
// asks for all of it on its way back and forward.
func wantsFragment(c *fiber.Ctx) bool {
	c.Vary("HX-Request", "HX-Request-Type")
	return c.Get("HX-Request-Type") == "partial"
}

// fromHTMX reports whether htmx asks, for a part or for the whole page.
func fromHTMX(c *fiber.Ctx) bool {
	return c.Get("HX-Request") == "true" || c.Get("HX-Request-Type") != ""
}

// redirect responds with 303 to path; a full redirect of the page where htmx asked.
func redirect(c *fiber.Ctx, path string) error {
	if fromHTMX(c) {
		c.Set("HX-Redirect", path)
		return c.SendStatus(fiber.StatusNoContent)
	}
	return c.Redirect(path, fiber.StatusSeeOther)
}
