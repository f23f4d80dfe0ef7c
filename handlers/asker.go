package handlers

import (
	"log/slog"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/handlers/sessions"
)

// Asker is who made a request and of which organization, for the server's own log: the IDs of the user
// or the API key and the slug, each where it is known. It is complete when the request has been answered.
func Asker(c *fiber.Ctx) []slog.Attr {
	var known []slog.Attr
	add := func(name, value string) {
		if value != "" {
			known = append(known, slog.String(name, value))
		}
	}
	scope, caller := scopeOf(c), callerOf(c)
	switch {
	case scope.User != nil:
		add("user", scope.User.ID)
	case scope.Session != nil: // started by this request
		add("user", sessions.Row(scope.Session).UserID)
	}
	add("api_key", caller.key.ID)
	add("organization", scope.Organization.Slug+caller.org.Slug)
	return known
}
