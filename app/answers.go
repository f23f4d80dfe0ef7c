package app

import (
	"bytes"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/auditlogs/auditlogs/handlers/intake"
)

// A page of entries may hold 25 MB of metadata, and its reader may take a minute for it, or not read it at all.
const (
	// largeAnswer is the size from which on answers are counted until they have been read.
	largeAnswer = 256 << 10
	// unreadAnswers is how many bytes of those may wait to be read, and unreadBySender from one address.
	unreadAnswers  = 64 << 20
	unreadBySender = 32 << 20
	// readerPatience is how long a request waits until others have been read.
	readerPatience = 5 * time.Second
)

func newAnswers() *intake.Budget {
	return intake.NewBudget(unreadAnswers, unreadBySender, readerPatience)
}

type senderKey struct{}

// waitForReaders is middleware that makes no more answers while too much of others waits to be read.
func (a *App) waitForReaders(c *fiber.Ctx) error {
	sender := a.handlers.Sender(c)
	room, err := a.answers.Take(c.UserContext(), 0, sender)
	if err != nil {
		return err
	}
	room()
	c.Locals(senderKey{}, sender)
	return c.Next()
}

// countAnswer counts a large answer until it has been read, or its connection has ended.
func (a *App) countAnswer(ctx *fasthttp.RequestCtx) {
	sender, counted := ctx.UserValue(senderKey{}).(string)
	if !counted || ctx.IsHead() || ctx.Response.IsBodyStream() {
		return
	}
	if body := ctx.Response.Body(); len(body) >= largeAnswer {
		read := a.answers.Owe(int64(len(body)), sender)
		ctx.Response.SetBodyStream(&unreadAnswer{bytes.NewReader(body), read}, len(body))
	}
}

// unreadAnswer is an answer that waits to be read. fasthttp closes it at the end in any case.
type unreadAnswer struct {
	*bytes.Reader
	read func()
}

func (b *unreadAnswer) Close() error {
	b.read()
	return nil
}
