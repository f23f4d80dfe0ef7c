package handlers

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// problem is an error as a program reads it: problem details by RFC 9457.
type problem struct {
	Type     string         `json:"type"`
	Title    string         `json:"title"`
	Status   int            `json:"status"`
	Code     fault.Code     `json:"code"`
	Detail   string         `json:"detail"`
	Instance string         `json:"instance"` // the path asked for, where it is known, and behind # the request's ID
	Errors   []problemField `json:"errors,omitempty"`
}

// problemField is what is wrong with one field of an event, or with a parameter.
type problemField struct {
	Index *int `json:"index,omitempty"` // of the event, from 0; nil where there are no events
	fault.Field
}

func (p *problem) Error() string {
	text := fmt.Sprintf("%s: %s", p.Title, p.Detail)
	for _, e := range p.Errors {
		text += "; " + e.Error()
	}
	return text
}

func (p *problem) Unwrap() error { return p.Code }

// problemTypes is where the types of problems are described that are more than their status.
const problemTypes = "https://github.com/auditlogs/auditlogs/blob/main/docs/api.md#"

// newProblem is what a code means, in words for this time. Where the code has a title, the type ends
// with it as an anchor.
func newProblem(code fault.Code, detail string, fields ...problemField) *problem {
	return problemFor(code, meanings[code], detail, fields...)
}

func problemFor(code fault.Code, m meaning, detail string, fields ...problemField) *problem {
	p := &problem{Type: "about:blank", Title: http.StatusText(m.status), Status: m.status, Code: code, Detail: detail, Errors: fields}
	if m.title != "" {
		p.Type, p.Title = problemTypes+strings.ReplaceAll(strings.ToLower(m.title), " ", "-"), m.title
	}
	return p
}

// InAPI reports whether a program asks: it reads JSON, errors included.
func InAPI(c *fiber.Ctx) bool {
	return c.Path() == "/api" || strings.HasPrefix(c.Path(), "/api/") || strings.HasPrefix(c.Path(), "/webhooks/")
}

// brokeOff reports whether the request's body could not be read to its end: too little of it came, or too
// much, or too slowly. By then the server has forgotten its head. Pages send no such bodies, so a
// program asked.
func brokeOff(c *fiber.Ctx, status int) bool {
	return len(c.Request().Header.Host()) == 0 && status != fiber.StatusRequestHeaderFieldsTooLarge
}

// sendProblem responds with what err means for the program that asked.
func sendProblem(c *fiber.Ctx, err error) error {
	p := problemOf(err)
	p.Instance = "#" + c.GetRespHeader(fiber.HeaderXRequestID)
	if InAPI(c) {
		p.Instance = c.Path() + p.Instance
	}
	return sendJSON(c, p.Status, "application/problem+json", p)
}

// problemOf is the problem that err is or means. What is wrong inside is for the log alone.
func problemOf(err error) *problem {
	var known *problem
	if errors.As(err, &known) {
		return known
	}
	code, m := meaningOf(err)
	var field *fault.Field
	if code == invalidParameter && errors.As(err, &field) {
		return problemFor(code, m, field.Error(), problemField{Field: *field})
	}
	return problemFor(code, m, cmp.Or(m.detail, meanings[code].detail))
}
