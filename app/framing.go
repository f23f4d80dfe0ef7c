package app

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/auditlogs/auditlogs/handlers/intake"
)

// guard is around everything that answers: it refuses requests that two servers could read differently, and
// closes connections on which something of a body is left, which would be taken for the next request.
func (a *App) guard(answer fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		conn, ours := ctx.Conn().(*intake.Conn)
		if ours {
			conn.Answer()
		}
		if err := checkFraming(ctx); err != nil {
			c := a.fiber.AcquireCtx(ctx)
			_ = a.fail(c, fmt.Errorf("%w: %w", fiber.ErrBadRequest, err)) // answers, or says why not in the log
			a.fiber.ReleaseCtx(c)
			ctx.SetConnectionClose()
		} else {
			answer(ctx)
		}
		length := ctx.Request.Header.ContentLength()
		chunks := length == -1
		unread := ctx.Request.IsBodyStream() && (chunks || length > intake.Prefetched)
		if unread || chunks { // of chunks, fasthttp does not always find the end
			ctx.SetConnectionClose()
		}
		if unread && ours {
			conn.DrainOnClose()
		}
		if ours && !ctx.Response.IsBodyStream() { // an export goes on for as long as it is read
			conn.Send()
		}
		a.countAnswer(ctx)
	}
}

// once are the headers that say where a request ends, whom it is for, whose it is and what it holds. Of two,
// a server in front may read the one and this one the other.
var once = []string{"host", "content-length", "transfer-encoding", "content-type", "authorization", "expect", "origin", "sec-fetch-site"}

// checkFraming reports what in the head of a request could be read in two ways. fasthttp has refused some of it
// already, and passes over the rest. What it says never quotes the request.
func checkFraming(ctx *fasthttp.RequestCtx) error {
	header := &ctx.Request.Header
	method, version, address := string(header.Method()), string(header.Protocol()), header.RequestURI()
	switch {
	case !slices.Contains(fiber.DefaultMethods, method):
		return errors.New("the method is none of HTTP's")
	case version != "HTTP/1.1" && version != "HTTP/1.0":
		return errors.New("the version of HTTP is neither 1.1 nor 1.0")
	case bytes.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return errors.New("the address holds white space or control characters")
	}
	fields, err := readFields(header.RawHeaders())
	if err != nil {
		return err
	}
	for _, name := range once {
		if len(fields[name]) > 1 {
			return fmt.Errorf("more than one %s", name)
		}
	}
	return errors.Join(checkHost(ctx, fields["host"], version), checkLength(fields["content-length"], fields["transfer-encoding"], version))
}

// readFields reads the lines of a head by the grammar, which fasthttp does not insist on: by lower-case name.
func readFields(head []byte) (map[string][]string, error) {
	fields := map[string][]string{}
	for line := range bytes.Lines(head) {
		text, ended := bytes.CutSuffix(line, []byte("\r\n"))
		if !ended || bytes.ContainsAny(text, "\r\x00") {
			return nil, errors.New("a line of the head does not end with CR LF, or holds CR or NUL")
		}
		if len(text) == 0 {
			break
		}
		name, value, found := bytes.Cut(text, []byte(":"))
		if !found || len(name) == 0 || bytes.ContainsFunc(name, func(r rune) bool { return !isNameChar(r) }) {
			return nil, errors.New("the name of a header is none")
		}
		if bytes.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return nil, errors.New("the value of a header holds control characters")
		}
		key := strings.ToLower(string(name))
		fields[key] = append(fields[key], strings.Trim(string(value), " \t"))
	}
	return fields, nil
}

// isNameChar reports whether r may stand in the name of a header.
func isNameChar(r rune) bool { return isAlphanumeric(r) || strings.ContainsRune("!#$%&'*+-.^_`|~", r) }

// isHostChar reports whether r may stand in a host, as names and addresses are written, with a port.
func isHostChar(r rune) bool { return isAlphanumeric(r) || strings.ContainsRune("-._:[]", r) }

func isAlphanumeric(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

// checkHost reports a host that is missing or none, and an address that names another.
func checkHost(ctx *fasthttp.RequestCtx, hosts []string, version string) error {
	host := ""
	switch {
	case len(hosts) == 1:
		host = hosts[0]
	case version == "HTTP/1.1":
		return errors.New("no host")
	}
	if strings.ContainsFunc(host, func(r rune) bool { return !isHostChar(r) }) || host == "" && len(hosts) > 0 {
		return errors.New("the host is none")
	}
	if !strings.EqualFold(string(ctx.URI().Host()), host) {
		return errors.New("the address names another host than the header")
	}
	return nil
}

// checkLength reports what leaves open where the body ends.
func checkLength(lengths, encodings []string, version string) error {
	const digits = 15 // more than any body has, and few enough to be read without an overflow
	switch {
	case len(encodings) > 0 && (len(lengths) > 0 || version != "HTTP/1.1"):
		return errors.New("transfer-encoding with content-length, or before HTTP/1.1")
	case len(encodings) > 0 && !strings.EqualFold(encodings[0], "chunked"):
		return errors.New("transfer-encoding is not chunked")
	case len(lengths) > 0 && (len(lengths[0]) > digits || lengths[0] == "" || strings.Trim(lengths[0], "0123456789") != ""):
		return errors.New("content-length is not a number, or too large")
	}
	return nil
}

// refuseEncoded is middleware that refuses bodies which are to be unpacked: a few bytes of them may mean
// gigabytes. No client of the app needs it.
func refuseEncoded(c *fiber.Ctx) error {
	for _, values := range c.Request().Header.PeekAll(fiber.HeaderContentEncoding) {
		for value := range strings.SplitSeq(string(values), ",") {
			if value = strings.TrimSpace(value); value != "" && !strings.EqualFold(value, "identity") {
				c.Set(fiber.HeaderAcceptEncoding, "identity")
				return fmt.Errorf("%w: a body with Content-Encoding", fiber.ErrUnsupportedMediaType)
			}
		}
	}
	return c.Next()
}
