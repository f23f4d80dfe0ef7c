package handlers

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/models"
)

// failurePage is what somebody sees instead of what they asked for.
type failurePage struct {
	Frame
	Status    int
	Heading   string
	Text      string
	Reference string // the request's ID, to be quoted to the operator
	Form      string // the page whose form was not saved; empty where nothing was to be
}

// Failure answers with what err means for whoever asked: a page for a person, or a paragraph where
// htmx asked for a part of one; problem details for a program. What is wrong inside is for the log
// alone.
func (h *Handlers) Failure(c *fiber.Ctx, err error) error {
	status := statusOf(err)
	if status == fiber.StatusServiceUnavailable && c.GetRespHeader(fiber.HeaderRetryAfter) == "" {
		c.Set(fiber.HeaderRetryAfter, "5")
	}
	if InAPI(c) || brokeOff(c, status) {
		return sendProblem(c, err)
	}
	page := failurePage{Status: status, Reference: c.GetRespHeader(fiber.HeaderXRequestID)}
	page.Heading, page.Text = wordsFor(status, err)
	page.Frame = h.frame(c, page.Heading, "")
	if c.Method() == fiber.MethodPost && !fromHTMX(c) { // what htmx sent stands on the page still
		page.Form = safeReturn(localPart(c.Get(fiber.HeaderReferer)))
	}

	template := "failure"
	if wantsFragment(c) {
		template = "failure/words"
	}
	if rendered := h.render(c, status, template, page); rendered != nil {
		h.Log.Error("render the page that reports an error", "error", rendered)
		c.Type("txt", "utf-8")
		return c.Status(status).SendString(fmt.Sprintf("%s\n%s\nReference: %s\n", page.Heading, page.Text, page.Reference))
	}
	return nil
}

// wordsFor says what happened, and what to do about it.
func wordsFor(status int, err error) (heading, text string) {
	var bad *BadInput
	switch {
	case errors.As(err, &bad):
		return "This request cannot be answered", fmt.Sprintf("%s: %s", bad.Field, bad.Reason)
	case status == fiber.StatusNotFound:
		return "Page not found", "There is nothing at this address, or nothing you may see."
	case status == fiber.StatusForbidden:
		return "Not allowed", "Your role in this organization does not include this, or the request came from another site."
	case errors.Is(err, models.ErrClosed), errors.Is(err, audit.ErrOrganizationClosed):
		return "This organization has been deleted", "Its log can be read until the last entry has expired. Nothing can be changed any more."
	case status == fiber.StatusMethodNotAllowed:
		return "Not possible here", "This address does not answer requests of this kind."
	case status == fiber.StatusRequestEntityTooLarge, status == fiber.StatusRequestHeaderFieldsTooLarge:
		return "Too much", "The request is larger than this server accepts."
	case status == fiber.StatusUnsupportedMediaType:
		return "Not readable", "Send forms as application/x-www-form-urlencoded in UTF-8, without Content-Encoding."
	case status == fiber.StatusServiceUnavailable && models.Overloaded(err):
		return "This took too long", "The server has too much to do just now. Please try again in a moment, or ask for less at once."
	case status == fiber.StatusServiceUnavailable:
		return "Back in a moment", "The server is busy or restarting. Please try again."
	case status >= 500:
		return "Something went wrong", "This is not your fault. Please try again, and if it happens again, tell the operator of this server the reference below."
	default:
		return http.StatusText(status), "The request cannot be answered."
	}
}
