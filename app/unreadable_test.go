package app

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/auditlogs/auditlogs/internal/databasetest"
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

// The log names what could not be read, and quotes nothing of it: keys, cookies and passwords are in there.
func TestTheLogQuotesNoRequestsThatCannotBeRead(t *testing.T) {
	store, err := databasetest.SQLite(t).Store(nil)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	app, err := New(Config{Addr: "127.0.0.1:8080", Log: slog.New(slog.NewTextHandler(&log, nil)), WithoutJobs: true}, store)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- app.Serve(ctx, listener) }()
	requests := []string{
		"POST /api/v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer alk_hidden\r\nbroken\r\n\r\n",
		"POST /api/v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer alk_hidden\r\nContent-Length: -1\r\n\r\n",
		"POST /login HTTP/1.1\r\nHost: a\r\nCookie: session=hidden\r\nContent-Le",
		" /reset/hidden HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET  HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer alk_hidden\r\n\r\n",
		"POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\nhidden\r\n",
	}
	for _, request := range requests {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, conn) // to the end of the answer, or a reset
		_ = conn.Close()
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if got := strings.Count(log.String(), "refused a request that cannot be read"); got != len(requests) {
		t.Errorf("%d requests were refused, want %d", got, len(requests))
	}
	if strings.Contains(log.String(), "hidden") {
		t.Errorf("the log holds what the requests do:\n%s", log.String())
	}
}
