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
func TestRequestsTheServerCannotReadGetAPage(t *testing.T) {
	store, err := databasetest.SQLite(t).Store(nil)
	if err != nil {
		t.Fatal(err)
	}
	app, err := New(Config{Addr: "127.0.0.1:8080", Log: slog.New(slog.DiscardHandler)}, store)
	if err != nil {
		t.Fatal(err)
	}
	for _, unreadable := range []*fiber.Error{
		fiber.ErrRequestHeaderFieldsTooLarge, fiber.ErrRequestEntityTooLarge, fiber.ErrBadRequest, fiber.ErrRequestTimeout,
	} {
		t.Run(unreadable.Message, func(t *testing.T) {
			c := app.fiber.AcquireCtx(&fasthttp.RequestCtx{})
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
			page, err := goquery.NewDocumentFromReader(bytes.NewReader(c.Response().Body()))
			if err != nil || page.Find("h1").Text() == "" {
				t.Errorf("the page has no heading (%v)", err)
			}
		})
	}
}
