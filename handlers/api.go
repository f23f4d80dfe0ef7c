package handlers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// apiRoot is where the addresses of the HTTP API begin. docs/api.md and openapi.yaml describe it.
const apiRoot = "/api/v1"

// sendJSON responds with value.
func sendJSON(c *fiber.Ctx, status int, contentType string, value any) error {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	c.Set(fiber.HeaderContentType, contentType)
	return c.Status(status).Send(body.Bytes())
}

// NoSuchEndpoint answers whatever the API has no route for: 405 where it has one of another method,
// 404 otherwise.
func (h *Handlers) NoSuchEndpoint(c *fiber.Ctx) error {
	var allowed []string
	for _, route := range c.App().GetRoutes(true) {
		if strings.HasPrefix(route.Path, apiRoot) && fiber.RoutePatternMatch(c.Path(), route.Path, c.App().Config()) {
			allowed = append(allowed, route.Method)
		}
	}
	if len(allowed) == 0 {
		return fiber.ErrNotFound
	}
	c.Set(fiber.HeaderAllow, strings.Join(allowed, ", "))
	return fiber.ErrMethodNotAllowed
}
