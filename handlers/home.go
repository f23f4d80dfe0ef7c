package handlers

import (
	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/models"
)

// Home leads `/` to the log of the organization last used.
func (h *Handlers) Home(c *fiber.Ctx) error { return h.leadTo(c, "audit-logs") }

// SettingsHome leads `/settings` to the settings of the organization last used.
func (h *Handlers) SettingsHome(c *fiber.Ctx) error { return h.leadTo(c, "") }

// LogHome leads `/settings/audit-logs` to the log of the organization last used, with the same
// filters.
func (h *Handlers) LogHome(c *fiber.Ctx) error { return h.leadTo(c, "audit-logs") }

func (h *Handlers) leadTo(c *fiber.Ctx, section string) error {
	organization, ok := homeOf(scopeOf(c))
	if !ok {
		return redirect(c, "/orgs/new")
	}
	path := settingsPath(organization, section)
	if query := c.Context().QueryArgs().String(); query != "" {
		path += "?" + query
	}
	return redirect(c, path)
}

// homeOf is the organization last used, or else the first open one by name, or else any.
func homeOf(scope *Scope) (models.Organization, bool) {
	for _, organization := range scope.Organizations {
		if organization.ID == scope.User.LastOrgID {
			return organization, true
		}
	}
	for _, organization := range scope.Organizations {
		if !organization.Closed() {
			return organization, true
		}
	}
	if len(scope.Organizations) > 0 {
		return scope.Organizations[0], true
	}
	return models.Organization{}, false
}
