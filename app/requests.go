package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/handlers"
)

// answer is the outermost middleware: it gives the request an ID and a context, turns an error of
// whatever is inside into a response, and writes the access log.
func (a *App) answer(c *fiber.Ctx) error {
	started := time.Now()
	ctx, cancel := context.WithTimeout(a.running, requestTimeout)
	defer cancel()
	defer handlers.Settle(c)
	a.metrics.answering.Inc()
	defer a.metrics.answering.Dec()
	c.SetUserContext(ctx)
	c.Set(fiber.HeaderXRequestID, a.requestID(c))
	setSecurityHeaders(c, a.config.secure())

	err := recovering(c)
	if err != nil {
		if errors.Is(err, handlers.ErrBodyBroken) {
			a.logUnreadable(c, err)
		}
		a.storage.failed(err)
		if failed := a.fail(c, err); failed != nil {
			return failed
		}
	}
	compress(c)
	took := time.Since(started)
	a.metrics.observe(c, took)
	a.logRequest(c, took, err)
	return nil
}

// requestID is what the answer, the log and the entries call the request: the ID a trusted proxy
// gave it, or one of ours.
func (a *App) requestID(c *fiber.Ctx) string {
	if id := c.Get(fiber.HeaderXRequestID); id != "" && len(id) <= 128 && c.IsProxyTrusted() && isToken(id) {
		return id
	}
	return strings.ToLower(rand.Text()[:20])
}

// noteUnknownProxy is middleware that reports once, in the log and from then on at /healthz, that requests come
// by way of a proxy which is not trusted: bounds by address are then everybody's together. Anybody can send
// the header, so nothing else is believed for it.
func (a *App) noteUnknownProxy(c *fiber.Ctx) error {
	if handlers.BehindUnknownProxy(c) && a.behindUnknownProxy.CompareAndSwap(false, true) {
		a.config.Log.Warn("requests bring X-Forwarded-For, and no proxy is trusted: "+unknownProxyHint,
			"peer", c.Context().RemoteIP().String())
	}
	return c.Next()
}

// unknownProxyHint is what to do about a proxy that is not trusted.
const unknownProxyHint = "if there is one in front of this server, name it with --trusted-proxies; until then all people behind it count as one address"

// isToken reports whether s is safe to show and to log as it is.
func isToken(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// recovering runs the rest of the request; a panic becomes an error.
func recovering(c *fiber.Ctx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return c.Next()
}

// fail turns an error into a response. It is also what Fiber calls for requests it cannot read,
// which have been through no middleware.
func (a *App) fail(c *fiber.Ctx, err error) error {
	if c.GetRespHeader(fiber.HeaderXRequestID) == "" {
		c.Set(fiber.HeaderXRequestID, a.requestID(c))
		setSecurityHeaders(c, a.config.secure())
		a.logUnreadable(c, err)
	}
	if errors.Is(err, context.Canceled) && a.running.Err() != nil {
		c.Set(fiber.HeaderRetryAfter, "5")
		err = errors.Join(fiber.ErrServiceUnavailable, err)
	}
	return a.handlers.Failure(c, err)
}

func (a *App) logUnreadable(c *fiber.Ctx, err error) {
	a.config.Log.Info("refused a request that cannot be read", "error", withoutQuotes(err),
		"ip", c.Context().RemoteIP().String(), "request_id", c.GetRespHeader(fiber.HeaderXRequestID))
}

// withoutQuotes is what err says of a request that cannot be read, up to where it quotes the request:
// keys, cookies and passwords stand in it, and the log is not for them.
func withoutQuotes(err error) string {
	said, _, _ := strings.Cut(err.Error(), `"`)
	return strings.TrimRight(strings.TrimSuffix(said, "contents: "), "., ")
}

// logRequest writes a line about the request. The status of the answer is final here: errors have
// been answered.
func (a *App) logRequest(c *fiber.Ctx, took time.Duration, err error) {
	status := c.Response().StatusCode()
	level := slog.LevelInfo
	switch {
	case status >= 500:
		level = slog.LevelError
	case c.Path() == "/healthz" || c.Path() == "/readyz" || strings.HasPrefix(c.Path(), "/static/"):
		level = slog.LevelDebug
	}
	request := event.RequestFrom(c.UserContext())
	attributes := []slog.Attr{
		slog.String("method", c.Method()),
		slog.String("path", loggedPath(c)),
		slog.Int("status", status),
		slog.Duration("took", took.Round(time.Microsecond)),
		slog.String("ip", request.IP),
		slog.String("request_id", c.GetRespHeader(fiber.HeaderXRequestID)),
	}
	attributes = append(attributes, handlers.Asker(c)...)
	if err != nil && status >= 500 {
		attributes = append(attributes, slog.String("error", err.Error()))
	}
	a.config.Log.LogAttrs(context.Background(), level, "request", attributes...)
}

// loggedPath is the path of a request as the log may keep it: without the query, which may name
// people, and without the token of a link that lets whoever has it in.
func loggedPath(c *fiber.Ctx) string {
	for _, links := range []string{"/invitations/", "/reset/"} {
		if strings.HasPrefix(c.Path(), links) {
			return links + "…"
		}
	}
	return c.Path()
}
