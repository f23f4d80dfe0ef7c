package handlers

import (
	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
)

// LogoutPage handles GET /logout: it asks, since following a link must not sign anybody out.
func (h *Handlers) LogoutPage(c *fiber.Ctx) error {
	return h.render(c, fiber.StatusOK, "account/logout", struct{ Frame Frame }{h.frame(c, "Sign out", "")})
}

// Logout handles POST /logout.
func (h *Handlers) Logout(c *fiber.Ctx) error {
	ctx, scope := contextOf(c), scopeOf(c)
	if scope.User == nil {
		return redirect(c, "/login")
	}
	err := h.Sessions.End(ctx, scope.Session, func(tx *gorm.DB) error {
		return recordOfUser(ctx, tx, scope.access, *scope.User, audit.Event{Action: action.UserSignOut})
	})
	if err != nil {
		return err
	}
	return redirect(c, "/login")
}
