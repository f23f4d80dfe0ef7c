package models

import "github.com/auditlogs/auditlogs/app/audit/event/fault"

// What the models refuse is a [fault.Field] where one value is at fault, and one of these where none is.
const (
	// ErrNotFound reports that there is no such row, or none the asker may know of.
	ErrNotFound = fault.NotFound
	// ErrTaken reports that a unique name (a slug, an e-mail address) is in use.
	ErrTaken = fault.Taken
	// ErrLastAdmin reports that the change would leave an organization without an admin.
	ErrLastAdmin fault.Code = "last_admin"
	// ErrNotAdmin reports that the change takes an admin of the organization.
	ErrNotAdmin = fault.Forbidden
	// ErrAdminElsewhere reports that an account also belongs to an organization whose admin the asker
	// is not: what leads into the account would lead in there, too.
	ErrAdminElsewhere fault.Code = "admin_elsewhere"
	// ErrClosed reports that the organization has been deleted and can only be read.
	ErrClosed = fault.OrganizationClosed
)
