package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/models"
)

// problem is an error as a program reads it: problem details by RFC 9457.
type problem struct {
	Type     string         `json:"type"`
	Title    string         `json:"title"`
	Status   int            `json:"status"`
	Detail   string         `json:"detail"`
	Instance string         `json:"instance"` // the path asked for, where it is known, and behind # the request's ID
	Errors   []problemField `json:"errors,omitempty"`
}

// problemField is what is wrong with one field of an event, or with a parameter.
type problemField struct {
	Index  *int   `json:"index,omitempty"` // of the event, from 0; nil where there are no events
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

func (p *problem) Error() string {
	text := fmt.Sprintf("%s: %s", p.Title, p.Detail)
	for _, e := range p.Errors {
		text += fmt.Sprintf("; %s: %s", e.Field, e.Detail)
	}
	return text
}

// problemTypes is where the types of problems are described that are more than their status.
const problemTypes = "https://github.com/auditlogs/auditlogs/blob/main/docs/api.md#"

// The titles of problems; their types end with the title as an anchor.
const (
	malformedBody    = "Malformed body"
	invalidEvents    = "Invalid events"
	invalidParameter = "Invalid parameter"
	keyReused        = "Idempotency key reused"
	closed           = "Organization deleted"
	rateLimited      = "Rate limited"
)

// newProblem is a problem of one of the titles above.
func newProblem(status int, title, detail string, fields ...problemField) *problem {
	anchor := strings.ReplaceAll(strings.ToLower(title), " ", "-")
	return &problem{Type: problemTypes + anchor, Title: title, Status: status, Detail: detail, Errors: fields}
}

// InAPI says that a program asks: it reads JSON, errors included.
func InAPI(c *fiber.Ctx) bool {
	return c.Path() == "/api" || strings.HasPrefix(c.Path(), "/api/") || strings.HasPrefix(c.Path(), "/webhooks/")
}

// brokeOff says that the request's body could not be read to its end: too little of it came, or too
// much, or too slowly. By then the server has forgotten its head. Pages send no such bodies, so a
// program asked.
func brokeOff(c *fiber.Ctx, status int) bool {
	return len(c.Request().Header.Host()) == 0 && status != fiber.StatusRequestHeaderFieldsTooLarge
}

// sendProblem answers with what err means for the program that asked.
func sendProblem(c *fiber.Ctx, err error) error {
	p := problemOf(err)
	p.Instance = "#" + c.GetRespHeader(fiber.HeaderXRequestID)
	if InAPI(c) {
		p.Instance = c.Path() + p.Instance
	}
	return sendJSON(c, p.Status, "application/problem+json", p)
}

// problemOf is the problem that err is or means. What is wrong inside is for the log alone.
func problemOf(err error) problem {
	var known *problem
	var bad *BadInput
	switch {
	case errors.As(err, &known):
		return *known
	case errors.As(err, &bad):
		return *newProblem(fiber.StatusBadRequest, invalidParameter, bad.Error(), problemField{Field: bad.Field, Detail: bad.Reason})
	case errors.Is(err, models.ErrClosed), errors.Is(err, audit.ErrOrganizationClosed):
		return *newProblem(fiber.StatusConflict, closed, "The organization has been deleted, and its keys no longer work. Its admins can read the log in the web app until the last entry has expired.")
	}
	status := statusOf(err)
	return problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detailOf(status)}
}

// detailOf says what to do about a problem that is no more than its status.
func detailOf(status int) string {
	switch status {
	case fiber.StatusBadRequest:
		return "The request could not be read: it is malformed, or it broke off before its end."
	case fiber.StatusForbidden:
		return "The request came from another site's page. Programs send no Origin header."
	case fiber.StatusNotFound:
		return "There is nothing at this address, or nothing this key has access to."
	case fiber.StatusMethodNotAllowed:
		return "This address does not support the method; the Allow header lists those it does."
	case fiber.StatusRequestEntityTooLarge:
		return "The body is larger than the server accepts, which is 5 MB of events. Send fewer at a time."
	case fiber.StatusRequestTimeout:
		return "The request did not arrive in time."
	case fiber.StatusServiceUnavailable:
		return "The server is busy or restarting. Wait for as many seconds as Retry-After says, and try again."
	case fiber.StatusUnsupportedMediaType:
		return "Send the body as it is, without Content-Encoding."
	}
	if status >= 500 {
		return "Something went wrong in the server. Try again; if it happens again, send the operator the request's ID, which is the end of instance."
	}
	return "The request could not be answered."
}
