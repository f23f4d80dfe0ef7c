package handlers

import (
	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/models"
)

// organizationPage is Settings → Organization. A fragment of it is rendered from the same data,
// with only its own section filled.
type organizationPage struct {
	Frame
	Notice  string // what the form sent before this page did
	General generalSection
	Audit   auditSection
	Links   linksSection
	Delete  deleteSection
}

// MaySet reports whether the page has controls: for admins, while the organization is open.
func (p organizationPage) MaySet() bool { return p.Admin() && !p.Organization.Closed() }

func (h *Handlers) newOrganizationPage(c *fiber.Ctx) organizationPage {
	return organizationPage{Frame: h.frame(c, "Organization", "organization")}
}

// SettingsOverview handles GET /orgs/{slug}/settings: it leads to the sections.
func (h *Handlers) SettingsOverview(c *fiber.Ctx) error {
	return h.render(c, fiber.StatusOK, "organization/overview", organizationPage{Frame: h.frame(c, "Settings", "")})
}

// OrganizationSettings handles GET /orgs/{slug}/settings/organization. With `days` the retention
// period is filled in and not saved: a quick choice. htmx gets the audit configuration alone.
func (h *Handlers) OrganizationSettings(c *fiber.Ctx) error {
	page := h.newOrganizationPage(c)
	if wantsFragment(c) {
		page.Audit.Cancelled = c.Query("days") == ""
		return h.answerAuditSection(c, fiber.StatusOK, page)
	}
	page.Notice = takeNotice(c)
	return h.answerOrganizationPage(c, fiber.StatusOK, page)
}

// answerOrganizationPage fills the sections that the caller has not, and renders the whole page.
func (h *Handlers) answerOrganizationPage(c *fiber.Ctx, status int, page organizationPage) error {
	page.General.fill(page.Organization)
	if err := h.fillAudit(c, &page); err != nil {
		return err
	}
	if err := h.fillLinks(c, &page); err != nil {
		return err
	}
	return h.render(c, status, "organization/page", page)
}

// noticeKey is where the session keeps a notice for the page a form leads to.
const noticeKey = "settings_notice"

// leaveNotice keeps what the next page of Settings says was done.
func leaveNotice(c *fiber.Ctx, text string) {
	if session := scopeOf(c).Session; session != nil {
		session.Values[noticeKey] = text
	}
}

func takeNotice(c *fiber.Ctx) string {
	session := scopeOf(c).Session
	if session == nil {
		return ""
	}
	text, _ := session.Values[noticeKey].(string)
	delete(session.Values, noticeKey)
	return text
}

// toOrganizationSettings answers a form that succeeded: 303 to the page, which says what was done.
func (h *Handlers) toOrganizationSettings(c *fiber.Ctx, notice string) error {
	leaveNotice(c, notice)
	return redirect(c, settingsPath(scopeOf(c).Organization, "organization"))
}

// showOrganization makes the rest of the request see an organization as it is after a change.
func showOrganization(c *fiber.Ctx, after models.Organization) {
	scope := scopeOf(c)
	scope.Organization = after
	for i := range scope.Organizations {
		if scope.Organizations[i].ID == after.ID {
			scope.Organizations[i] = after
		}
	}
}
