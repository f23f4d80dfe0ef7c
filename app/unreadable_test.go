package app

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/auditlogs/auditlogs/app/database/databasetest"
)

// Requests the server cannot read have been through no middleware when Fiber hands over the error.
// They are made up here: over a network, whoever sends too much may find the connection gone before
// the answer is read.
// What the server knows of them ends where it could not read on: the address where the head was
// too large or the body is too large by its head, nothing where a body broke off.
func TestRequestsTheServerCannotReadGetAnAnswer(t *testing.T) {
	store, err := databasetest.SQLite(t).Store(nil)
	if err != nil {
		t.Fatal(err)
	}
	app, err := New(Config{Addr: "127.0.0.1:8080", Log: slog.New(slog.DiscardHandler)}, store)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		address    string
		unreadable *fiber.Error
		page       bool
	}{
		"a head that is too large":             {"", fiber.ErrRequestHeaderFieldsTooLarge, true},
		"a form that is too large":             {"/login", fiber.ErrRequestEntityTooLarge, true},
		"events that are too large":            {"/api/v1/events", fiber.ErrRequestEntityTooLarge, false},
		"a body that broke off":                {"", fiber.ErrBadRequest, false},
		"a body that took too long":            {"", fiber.ErrRequestTimeout, false},
		"a body in chunks that went on and on": {"", fiber.ErrRequestEntityTooLarge, false},
	} {
		t.Run(name, func(t *testing.T) {
			request, unreadable := &fasthttp.RequestCtx{}, tc.unreadable
			if tc.address != "" {
				request.Request.SetRequestURI(tc.address)
				request.Request.Header.SetHost("audit.example.com")
			}
			c := app.fiber.AcquireCtx(request)
			defer app.fiber.ReleaseCtx(c)
			if err := app.fail(c, unreadable); err != nil {
				t.Fatal(err)
			}
			if got := c.Response().StatusCode(); got != unreadable.Code {
				t.Errorf("it answers %d, want %d", got, unreadable.Code)
			}
			for _, header := range []string{fiber.HeaderXRequestID, fiber.HeaderContentSecurityPolicy} {
				if c.GetRespHeader(header) == "" {
					t.Errorf("the answer has no %s", header)
				}
			}
			if contentType := c.GetRespHeader(fiber.HeaderContentType); !tc.page {
				if contentType != "application/problem+json" {
					t.Errorf("the answer is of type %s", contentType)
				}
				return
			}
			page, err := goquery.NewDocumentFromReader(bytes.NewReader(c.Response().Body()))
			if err != nil || page.Find("h1").Text() == "" {
				t.Errorf("the page has no heading (%v)", err)
			}
		})
	}
}
