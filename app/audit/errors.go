package audit

import "errors"

// Record finds these before any statement has failed: the caller's transaction stays usable, and
// whether to go on without the entry is the caller's to decide.
var (
	// ErrNoOrganization says that the event names no organization, or one that does not exist.
	ErrNoOrganization = errors.New("audit: no such organization")
	// ErrOrganizationClosed says that the organization has been deleted and takes no more events.
	ErrOrganizationClosed = errors.New("audit: the organization is closed")
	// ErrNoActor says that neither the event nor the context names who did it.
	ErrNoActor = errors.New("audit: no actor; set Event.Actor or use WithActor, audit.System for automated actions")
)

// InvalidEventError says which field of an event cannot be stored, and why.
type InvalidEventError struct {
	Field  string // as in the API: "action", "entity_id", "metadata", …
	Reason string
}

func (e *InvalidEventError) Error() string { return "audit: " + e.Field + ": " + e.Reason }
