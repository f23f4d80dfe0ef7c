package auditfiber_test

import (
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/requestid"

	"github.com/auditlogs/auditlogs/app/audit/auditfiber"
	"github.com/auditlogs/auditlogs/app/audit/event"
)

func ExampleNew() {
	app := fiber.New(fiber.Config{EnableTrustedProxyCheck: true, TrustedProxies: []string{"10.0.0.0/8"}})
	app.Use(requestid.New(), auditfiber.New(auditfiber.Config{
		Actor: func(c *fiber.Ctx) event.Actor { // whom the service has signed in
			return event.Actor{ID: "u-7", Name: "Ada Lovelace"}
		},
	}))
	app.Delete("/services/:id", func(c *fiber.Ctx) error {
		// What is recorded with c.UserContext(), and never c.Context(), says who did it, and in which request:
		ctx := c.UserContext()
		fmt.Println(event.ActorFrom(ctx).Name, "in request", event.RequestFrom(ctx).ID)
		return nil
	})

	request := httptest.NewRequest(fiber.MethodDelete, "/services/svc-42", nil)
	request.Header.Set(fiber.HeaderXRequestID, "req-1")
	if _, err := app.Test(request); err != nil {
		log.Fatal(err)
	}
	// Output: Ada Lovelace in request req-1
}
