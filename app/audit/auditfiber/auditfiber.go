// Package auditfiber tells package audit, once per request of a Fiber application, who acts and
// where the request came from. Whatever the request's handlers record carries it:
//
//	app := fiber.New(fiber.Config{
//		EnableTrustedProxyCheck: true,
//		TrustedProxies:          []string{"10.0.0.0/8"},
//	})
//	app.Use(requestid.New())
//	app.Use(auditfiber.New(auditfiber.Config{
//		Actor: func(c *fiber.Ctx) audit.Actor {
//			user := currentUser(c)
//			return audit.Actor{ID: user.ID, Name: user.Name, Email: user.Email}
//		},
//	}))
//	app.Delete("/services/:id", func(c *fiber.Ctx) error {
//		return db.Transaction(func(tx *gorm.DB) error {
//			…
//			_, err := audit.Record(c.UserContext(), tx, audit.Event{…})
//			return err
//		})
//	})
//
// Handlers pass c.UserContext() on, never c.Context(), which Fiber uses again for the next request.
package auditfiber

import (
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/internal/clientip"
)

// Config holds what the middleware cannot know. Zero values are fine.
type Config struct {
	// Actor returns who makes the request, from whatever the application's own middleware, which runs
	// before this one, found out. The zero Actor means nobody: recording then needs an actor of its
	// own.
	Actor func(c *fiber.Ctx) event.Actor

	// RequestID returns the ID the request goes by. By default it is the X-Request-ID of the answer,
	// which Fiber's own requestid middleware sets.
	RequestID func(c *fiber.Ctx) string
}

// New makes the middleware. It leaves its findings in c.UserContext().
func New(config Config) fiber.Handler {
	if config.RequestID == nil {
		config.RequestID = func(c *fiber.Ctx) string { return c.GetRespHeader(fiber.HeaderXRequestID) }
	}
	return func(c *fiber.Ctx) error {
		// Copies: Fiber uses the memory behind its strings again for the next request.
		ctx := event.WithRequest(c.UserContext(), event.Request{
			IP:        ClientIP(c),
			UserAgent: utils.CopyString(c.Get(fiber.HeaderUserAgent)),
			ID:        utils.CopyString(config.RequestID(c)),
		})
		if config.Actor != nil {
			if actor := config.Actor(c); actor != (event.Actor{}) {
				actor.ID, actor.Name, actor.Email = utils.CopyString(actor.ID), utils.CopyString(actor.Name), utils.CopyString(actor.Email)
				ctx = event.WithActor(ctx, actor)
			}
		}
		c.SetUserContext(ctx)
		return c.Next()
	}
}

// ClientIP is the address the request came from. Behind proxies it is the last one in
// X-Forwarded-For that is no proxy of ours: what stands further left was sent by the client and
// proves nothing. Which proxies are ours is in the application's fiber.Config; without
// EnableTrustedProxyCheck none is, and X-Forwarded-For is ignored.
func ClientIP(c *fiber.Ctx) string {
	var proxies clientip.Proxies
	if app := c.App().Config(); app.EnableTrustedProxyCheck {
		proxies = clientip.ParseProxies(app.TrustedProxies)
	}
	return proxies.Of(c.Context().RemoteIP().String(), forwardedFor(c))
}

// forwardedFor copies the X-Forwarded-For headers.
func forwardedFor(c *fiber.Ctx) []string {
	values := c.Request().Header.PeekAll(fiber.HeaderXForwardedFor)
	headers := make([]string, len(values))
	for i, value := range values {
		headers[i] = string(value)
	}
	return headers
}
