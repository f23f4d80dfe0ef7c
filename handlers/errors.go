package handlers

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// Codes of answers, beside those of package fault.
const (
	badRequest       fault.Code = "bad_request"
	unauthorized     fault.Code = "unauthorized"
	methodNotAllowed fault.Code = "method_not_allowed"
	timeout          fault.Code = "timeout"
	headerTooLarge   fault.Code = "header_too_large"
	bodyTooLarge     fault.Code = "body_too_large"
	unsupportedMedia fault.Code = "unsupported_media_type"
	internal         fault.Code = "internal"

	malformedBody    fault.Code = "malformed_body"
	invalidEvents    fault.Code = "invalid_events"
	invalidParameter fault.Code = "invalid_parameter"
	rateLimited      fault.Code = "rate_limited"
)

// meaning is what a code is to whoever asked.
type meaning struct {
	status int
	title  string // empty where the status says all there is
	detail string // for programs, where nothing more is known
}

// meanings is the one map from codes to the status of an answer. Codes of single values are not in it:
// a form shows them next to the field, and where nothing has asked for the value it is a mistake of ours.
var meanings = map[fault.Code]meaning{
	badRequest:       {400, "", "The request could not be read: it is malformed, or it broke off before its end."},
	unauthorized:     {401, "", ""},
	fault.Forbidden:  {403, "", "The request came from another site's page. Programs send no Origin header."},
	fault.NotFound:   {404, "", "There is nothing at this address, or nothing this key has access to."},
	methodNotAllowed: {405, "", "This address does not support the method; the Allow header lists those it does."},
	timeout:          {408, "", "The request did not arrive in time."},
	bodyTooLarge:     {413, "", "The body is larger than the server accepts, which is 5 MB of events. Send fewer at a time."},
	headerTooLarge:   {431, "", "The request could not be answered."},
	unsupportedMedia: {415, "", "Send the body as it is, without Content-Encoding."},
	internal:         {500, "", "Something went wrong in the server. Try again; if it happens again, send the operator the request's ID, which is the end of instance."},
	fault.Busy:       {503, "", "The server is busy or restarting. Wait for as many seconds as Retry-After says, and try again."},

	malformedBody:            {400, "Malformed body", ""},
	invalidParameter:         {400, "Invalid parameter", ""},
	fault.OrganizationClosed: {409, "Organization deleted", "The organization has been deleted, and its keys no longer work. Its admins and auditors can read the log in the web app until the last entry has expired."},
	invalidEvents:            {422, "Invalid events", ""},
	accounts.ErrKeyReused:    {422, "Idempotency key reused", "The Idempotency-Key was used for another body within the last 24 hours. Nothing was recorded."},
	rateLimited:              {429, "Rate limited", ""},
}

// badParameter refuses a value of an address or a header, whose author can do something about it.
func badParameter(name string, code fault.Code, reason string, args ...any) error {
	return fmt.Errorf("%w: %w", invalidParameter, fault.Newf(name, code, reason, args...))
}

// anyOf lists values of which one must be given: "csv, ndjson or ocsf".
func anyOf(values []string) string {
	last := len(values) - 1
	return strings.Join(values[:last], ", ") + " or " + values[last]
}

// meaningOf returns what err is to whoever asked. What nobody is known to have caused is our fault: 500.
func meaningOf(err error) (fault.Code, meaning) {
	var code fault.Code
	if errors.As(err, &code) {
		if known, ok := meanings[code]; ok {
			return code, known
		}
	}
	status := fiber.StatusInternalServerError
	var fiberError *fiber.Error
	switch {
	case errors.As(err, &fiberError):
		status = fiberError.Code
	case models.Unwritable(err) != "":
		return fault.Busy, meaning{503, "", "Nothing can be stored just now; the server's log says why. Wait for as many seconds as Retry-After says, and try again."}
	case models.Overloaded(err), models.Unavailable(err):
		status = fiber.StatusServiceUnavailable
	}
	return codeOf(status), meaning{status: status}
}

// codeOf returns the code of an answer that is no more than its status.
func codeOf(status int) fault.Code {
	for code, known := range meanings {
		if known.status == status && known.title == "" {
			return code
		}
	}
	if status >= 500 {
		return internal
	}
	return badRequest
}
