package handlers

import (
	"errors"
	"fmt"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
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

// Failure responds with what err means for whoever asked: a page for a person, or a paragraph where
// htmx asked for a part of one; problem details for a program. What is wrong inside is for the log
// alone.
func (h *Handlers) Failure(c *fiber.Ctx, err error) error {
	code, meaning := meaningOf(err)
	status := meaning.status
	if status == fiber.StatusServiceUnavailable && c.GetRespHeader(fiber.HeaderRetryAfter) == "" {
		c.Set(fiber.HeaderRetryAfter, "5")
	}
	if InAPI(c) || brokeOff(c, status) {
		return sendProblem(c, err)
	}
	page := failurePage{Status: status, Reference: c.GetRespHeader(fiber.HeaderXRequestID)}
	page.Heading, page.Text = wordsFor(code, status, err)
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

// wordsFor returns what happened, and what to do about it.
func wordsFor(code fault.Code, status int, err error) (heading, text string) {
	var bad *fault.Field
	var hidden *models.HiddenError
	switch {
	case code == invalidParameter && errors.As(err, &bad):
		return "This address has a mistake in it", fmt.Sprintf("“%s” %s.", bad.Field, bad.Reason)
	case status == fiber.StatusNotFound:
		return "Page not found", "This page does not exist, or you do not have access to it."
	case errors.As(err, &hidden):
		return "Not allowed", fmt.Sprintf("Your role in this organization does not include “%s”. An admin decides that in Settings → Members.", hidden.What)
	case errors.Is(err, errNotAuditor):
		return "Not allowed", "Only auditors and admins of this organization can read this."
	case status == fiber.StatusForbidden:
		return "Not allowed", "Only admins of this organization can do this. If another site sent you here, open the page from here and try again."
	case code == fault.OrganizationClosed:
		return "This organization has been deleted", "Its log can be read until the last entry has expired. Nothing can be changed any longer."
	case status == fiber.StatusMethodNotAllowed:
		return "This did not work", "The page can't be used this way. Go back and try again."
	case status == fiber.StatusRequestEntityTooLarge, status == fiber.StatusRequestHeaderFieldsTooLarge:
		return "Too large", "This is more than the server accepts. Shorten it and try again."
	case status == fiber.StatusUnsupportedMediaType:
		return "Not readable", "Send forms as application/x-www-form-urlencoded in UTF-8, without Content-Encoding."
	case models.Unwritable(err) != "":
		return "Nothing can be saved just now", "The server's database takes no changes at the moment. What it holds can still be read. Please try again later."
	case status == fiber.StatusServiceUnavailable && models.Overloaded(err):
		return "This took too long", "The server has too much to do just now. Please try again in a moment, or ask for less at once."
	case status == fiber.StatusServiceUnavailable:
		return "Back in a moment", "The server is busy or restarting. Please try again in a moment."
	case status == fiber.StatusTooManyRequests:
		return "Too many requests", "Please try again in a moment."
	case status >= 500:
		return "Something went wrong", "This is our fault, not yours. Please try again. If it keeps happening, send the reference to the person who runs this server."
	default:
		return "This did not work", "The request could not be answered. Please go back and try again."
	}
}
