package app

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/auditlogs/auditlogs/handlers/intake"
	"github.com/auditlogs/auditlogs/handlers/passwords"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// serveWith serves an app that change has had its way with, until the test ends, and returns its address.
func serveWith(t *testing.T, change func(*App)) string {
	t.Helper()
	store, err := databasetest.SQLite(t).Store(nil)
	if err != nil {
		t.Fatal(err)
	}
	app, err := New(Config{Addr: "127.0.0.1:8080", Log: slog.New(slog.DiscardHandler), WithoutJobs: true}, store)
	if err != nil {
		t.Fatal(err)
	}
	change(app)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- app.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// ask asks for a page on a connection of its own and reads the head of the answer.
func ask(t *testing.T, address, path string) (net.Conn, *http.Response) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn, answer
}

// Large answers that nobody reads are not added to. Small ones, and files, go on being sent.
func TestAnswersWaitUntilOthersHaveBeenRead(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	address := serveWith(t, func(a *App) {
		a.answers = intake.NewBudget(32<<20, 20<<20, time.Millisecond)
		a.fiber.Get("/large", func(c *fiber.Ctx) error { return c.Send(content) })
	})
	conn, first := ask(t, address, "/large")
	if first.StatusCode != http.StatusOK || first.ContentLength != int64(len(content)) {
		t.Fatalf("the first answers %d with %d bytes", first.StatusCode, first.ContentLength)
	}
	abandoned, _ := ask(t, address, "/large") // there was room, so this one was made as well
	if _, refused := ask(t, address, "/large"); refused.StatusCode != http.StatusServiceUnavailable || refused.Header.Get("Retry-After") == "" {
		t.Errorf("the third answers %d, Retry-After %q", refused.StatusCode, refused.Header.Get("Retry-After"))
	}
	if _, health := ask(t, address, "/healthz"); health.StatusCode != http.StatusOK {
		t.Errorf("health answers %d", health.StatusCode)
	}
	if got, err := io.ReadAll(first.Body); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes were read: %v", len(got), err)
	}
	_, _ = conn.Close(), abandoned.Close()
	for deadline := time.Now().Add(time.Minute); ; {
		if _, again := ask(t, address, "/large"); again.StatusCode == http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("what was read, or given up, is still counted")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Who finds no room is told when to come again, whatever is full.
func TestWhoFindsNoRoomIsToldWhenToComeAgain(t *testing.T) {
	store, err := databasetest.SQLite(t).Store(nil)
	if err != nil {
		t.Fatal(err)
	}
	app, err := New(Config{Addr: "127.0.0.1:8080", Log: slog.New(slog.DiscardHandler)}, store)
	if err != nil {
		t.Fatal(err)
	}
	for _, full := range []error{intake.ErrBusy, passwords.ErrBusy} {
		for address, contentType := range map[string]string{"/login": "text/html; charset=utf-8", "/api/v1/events": "application/problem+json"} {
			request := &fasthttp.RequestCtx{}
			request.Request.SetRequestURI(address)
			request.Request.Header.SetHost("audit.example.com")
			c := app.fiber.AcquireCtx(request)
			defer app.fiber.ReleaseCtx(c)
			if err := app.fail(c, fmt.Errorf("wait: %w", full)); err != nil {
				t.Fatal(err)
			}
			if c.Response().StatusCode() != fiber.StatusServiceUnavailable || c.GetRespHeader(fiber.HeaderRetryAfter) != "5" || c.GetRespHeader(fiber.HeaderContentType) != contentType {
				t.Errorf("%s, %v: %d, Retry-After %q, %s", address, full, c.Response().StatusCode(), c.GetRespHeader(fiber.HeaderRetryAfter), c.GetRespHeader(fiber.HeaderContentType))
			}
		}
	}
}

// Connections on which answers wait to be read make room for others.
func TestWhoeverReadsNoAnswersKeepsNobodyOut(t *testing.T) {
	content := make([]byte, 16<<20)
	address := serveWith(t, func(a *App) {
		a.answers = intake.NewBudget(1<<40, 1<<40, time.Millisecond)
		a.fiber.Get("/large", func(c *fiber.Ctx) error { return c.Send(content) })
	})
	for range intake.MaxConnectionsAddress {
		ask(t, address, "/large") // and its body is never read
	}
	if _, answer := ask(t, address, "/healthz"); answer.StatusCode != http.StatusOK {
		t.Errorf("one more is answered %d", answer.StatusCode)
	}
}
