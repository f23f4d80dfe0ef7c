package handlers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/handlers/intake"
)

// The body of a request comes in while its handler runs, and is read once it is known who sends it.
// Nothing of it is ever unpacked.

const (
	// maxForm is how many bytes a form has at most.
	maxForm = 64 << 10
	// bodyPatience is how long a body waits for room.
	bodyPatience = 5 * time.Second
	// deliveryTime is how long a delivery may take to come in: GitHub itself gives up after ten seconds.
	deliveryTime = 10 * time.Second
)

// Budgets are the bytes of bodies that are held at once, from when they are read until their request has
// been answered. What one group sends takes no room from another.
type Budgets struct {
	strangers  *intake.Budget // forms of whoever is not signed in, by address
	members    *intake.Budget // forms of whoever is, by user
	events     *intake.Budget // by organization
	deliveries *intake.Budget // of GitHub, by address and by connection
}

// NewBudgets makes the budgets of a server.
func NewBudgets() Budgets {
	return Budgets{
		strangers:  intake.NewBudget(4<<20, 512<<10, bodyPatience),
		members:    intake.NewBudget(4<<20, 512<<10, bodyPatience),
		events:     intake.NewBudget(20<<20, 10<<20, bodyPatience),
		deliveries: intake.NewBudget(10<<20, 5<<20, bodyPatience),
	}
}

// bodyBounds say how a body is read.
type bodyBounds struct {
	limit  int
	budget *intake.Budget
	owners []string // whose share of the budget it takes
	known  bool     // it is known who sends it: others who connect do not cut it off
}

// ErrBodyBroken is the error of a body that did not come in whole.
var ErrBodyBroken = errors.New("read the body")

// readBody reads the body of the request. The room it takes is given back by Settle.
func readBody(c *fiber.Ctx, bounds bodyBounds) ([]byte, error) {
	length, err := lengthOfBody(c, bounds.limit)
	if err != nil || length == 0 {
		return nil, err
	}
	if length < 0 || length > intake.Prefetched {
		room := length
		if room < 0 {
			room = bounds.limit
		}
		giveBack, err := bounds.budget.Take(contextOf(c), int64(room), bounds.owners...)
		if err != nil {
			return nil, err
		}
		c.Locals(roomKey, giveBack)
	}
	if !bounds.known {
		defer awaiting(c)()
	}
	if length < 0 {
		var body bytes.Buffer
		err := copyChunks(&body, c, bounds.limit)
		if err == nil {
			c.Request().SetBodyRaw(body.Bytes())
		}
		return body.Bytes(), err
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(c.Context().RequestBodyStream(), body); err != nil {
		return nil, brokenBody(err)
	}
	c.Request().SetBodyRaw(body)
	return body, nil
}

// skipBody reads the body of the request and keeps nothing of it; w sees it.
func skipBody(c *fiber.Ctx, limit int, w io.Writer) error {
	length, err := lengthOfBody(c, limit)
	if err != nil || length == 0 {
		return err
	}
	defer awaiting(c)()
	if length < 0 {
		err = copyChunks(w, c, limit)
	} else if _, err = io.CopyN(w, c.Context().RequestBodyStream(), int64(length)); err != nil {
		err = brokenBody(err)
	}
	if err == nil {
		c.Request().SetBodyRaw(nil)
	}
	return err
}

// copyChunks copies a body that comes in chunks.
func copyChunks(w io.Writer, c *fiber.Ctx, limit int) error {
	read, err := io.Copy(w, io.LimitReader(c.Context().RequestBodyStream(), int64(limit)+1))
	conn, ok := c.Context().Conn().(*intake.Conn)
	switch {
	case err != nil:
		return brokenBody(err)
	case read > int64(limit):
		return fiber.ErrRequestEntityTooLarge
	case ok && conn.Ended():
		return brokenBody(io.ErrUnexpectedEOF)
	}
	return nil
}

// awaiting notes that the server waits for what comes from the client, until what it returns is called.
func awaiting(c *fiber.Ctx) (over func()) {
	conn, ok := c.Context().Conn().(*intake.Conn)
	if !ok {
		return func() {}
	}
	conn.Await()
	return conn.Answer
}

// lengthOfBody is how long the body says it is: -1 where it comes in chunks.
func lengthOfBody(c *fiber.Ctx, limit int) (int, error) {
	length := c.Request().Header.ContentLength()
	switch {
	case length > limit:
		return 0, fiber.ErrRequestEntityTooLarge
	case c.Context().RequestBodyStream() == nil:
		return 0, nil
	default:
		return length, nil
	}
}

// brokenBody is the error of a body that cannot be read to its end.
func brokenBody(err error) error {
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		return fmt.Errorf("%w: %w: %w", ErrBodyBroken, fiber.ErrRequestTimeout, err)
	}
	return fmt.Errorf("%w: %w: %w", ErrBodyBroken, fiber.ErrBadRequest, err)
}

// Settle gives back what the body of an answered request took. The client may take long to read the answer.
func Settle(c *fiber.Ctx) {
	if !c.Request().IsBodyStream() {
		c.Request().ResetBody()
	}
	if giveBack, ok := c.Locals(roomKey).(func()); ok {
		giveBack()
	}
}

// Sender is whose share of a budget a request takes where nobody knows who sends it: the client's
// network; "" for a trusted proxy, which is many clients.
func (h *Handlers) Sender(c *fiber.Ctx) string {
	ip := clientIP(c)
	if address, err := netip.ParseAddr(ip); err == nil && h.Proxies.Trusts(address) {
		return ""
	}
	return networkOf(ip)
}

// WithForm is middleware, after WithScope, that reads the form a page has posted. Of those who are not
// signed in only what they can do is read.
func (h *Handlers) WithForm(c *fiber.Ctx) error {
	if c.Method() == fiber.MethodGet || c.Method() == fiber.MethodHead {
		return c.Next()
	}
	kind, sent := c.Get(fiber.HeaderContentType), c.Context().RequestBodyStream() != nil && c.Request().Header.ContentLength() != 0
	if media, parameters, err := mime.ParseMediaType(kind); (kind != "" || sent) && (err != nil || media != fiber.MIMEApplicationForm || !isUTF8(parameters["charset"])) {
		return fmt.Errorf("%w: a form of type %q", fiber.ErrUnsupportedMediaType, kind)
	}
	bounds := bodyBounds{limit: maxForm, budget: h.Budgets.strangers, owners: []string{h.Sender(c)}}
	if user := scopeOf(c).User; user != nil {
		bounds.budget, bounds.owners, bounds.known = h.Budgets.members, []string{user.ID}, true
	} else if strings.HasPrefix(c.Path(), "/orgs/") {
		return c.Next() // SignedIn leads to the sign-in page
	}
	if _, err := readBody(c, bounds); err != nil {
		return err
	}
	return c.Next()
}

// isUTF8 reports whether a charset is what all of the app is written in; "" is none, which means the same.
func isUTF8(charset string) bool { return charset == "" || strings.EqualFold(charset, "utf-8") }

// readEvents reads the body of a request with events.
func (h *Handlers) readEvents(c *fiber.Ctx, caller apiCaller) ([]byte, error) {
	return readBody(c, bodyBounds{limit: MaxEventsBody, budget: h.Budgets.events, owners: []string{caller.org.Slug}, known: true})
}

// readDelivery reads what somebody delivered, who may be GitHub: the signature covers the body. Where there
// is no such connection nothing is kept, and w sees it all the same.
func (h *Handlers) readDelivery(c *fiber.Ctx, connection string, w io.Writer) ([]byte, error) {
	if err := c.Context().Conn().SetReadDeadline(time.Now().Add(deliveryTime)); err != nil {
		return nil, brokenBody(err)
	}
	if connection == "" {
		return nil, skipBody(c, MaxDelivery, w)
	}
	return readBody(c, bodyBounds{limit: MaxDelivery, budget: h.Budgets.deliveries, owners: []string{h.Sender(c), connection}})
}
