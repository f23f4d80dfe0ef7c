package handlers

import (
	"errors"
	"fmt"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/intake"
	"github.com/auditlogs/auditlogs/models"
)

// BadInput is a value of a request that cannot be used: 400 in an address, 422 in a form.
type BadInput struct {
	Field  string // the name of the parameter or form field
	Value  string // what was sent
	Reason string // in words for the person who sent it
}

func (e *BadInput) Error() string { return fmt.Sprintf("%s: %s", e.Field, e.Reason) }

// statusOf maps an error to the status of the answer. Unknown errors are ours: 500.
func statusOf(err error) int {
	var fiberError *fiber.Error
	var badInput *BadInput
	switch {
	case errors.Is(err, intake.ErrBusy), errors.Is(err, models.ErrBusy):
		return fiber.StatusServiceUnavailable
	case errors.As(err, &badInput):
		return fiber.StatusBadRequest
	case errors.Is(err, models.ErrNotFound):
		return fiber.StatusNotFound
	case errors.Is(err, models.ErrClosed), errors.Is(err, audit.ErrOrganizationClosed):
		return fiber.StatusConflict
	case errors.Is(err, models.ErrNotAdmin):
		return fiber.StatusForbidden
	case errors.As(err, &fiberError):
		return fiberError.Code
	case models.Overloaded(err):
		return fiber.StatusServiceUnavailable
	default:
		return fiber.StatusInternalServerError
	}
}
