package event

import (
	"errors"
	"fmt"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// Record finds these before any statement has failed: the caller's transaction stays usable, and
// whether to go on without the entry is the caller's to decide. The error that Record returns is a
// [fault.Field], which names the field and the reason, and is one of these.
const (
	// ErrNoOrganization reports that the event names no organization, or one that does not exist.
	ErrNoOrganization = fault.UnknownOrganization
	// ErrOrganizationClosed reports that the organization has been deleted and takes no more events.
	ErrOrganizationClosed = fault.OrganizationClosed
	// ErrNoActor reports that neither the event nor the context names who did it: set Event.Actor or use
	// WithActor, audit.System for automated actions.
	ErrNoActor = fault.NoActor
	// ErrUnregisteredAction reports that the context is strict, see Strict, and the action neither in the catalogue
	// nor registered: use action.Register.
	ErrUnregisteredAction = fault.UnregisteredAction
	// ErrIDReused reports that Event.ID was used for another event within the last 24 hours.
	ErrIDReused = fault.IDReused
	// ErrExpired reports that the event is older than what its organization keeps.
	ErrExpired = fault.Expired
)

// ErrOutcomeUnknown reports that a Recorder cannot tell whether the event is recorded: it was on its way
// when the caller's context ended, the recorder was closed or the connection was lost. Recorded
// again with the same Event.ID it is stored once.
var ErrOutcomeUnknown = errors.New("audit: outcome unknown")

// EventsError lists the events that were refused, of several that were to be stored together.
type EventsError struct {
	Events []EventError
}

// EventError is why one event was refused.
type EventError struct {
	Index int // of the event, from 0
	Err   error
}

func (e EventError) Error() string {
	return fmt.Sprintf("event %d: %s", e.Index, e.Err)
}

func (e EventError) Unwrap() error { return e.Err }

func (e *EventsError) Error() string {
	const most = 5
	texts := make([]string, 0, most+1)
	for i, event := range e.Events {
		if i == most {
			texts = append(texts, fmt.Sprintf("and %d more", len(e.Events)-most))
			break
		}
		texts = append(texts, event.Error())
	}
	return "audit: " + strings.Join(texts, "; ")
}

// Unwrap lets errors.Is and errors.As look into every event's error.
func (e *EventsError) Unwrap() []error {
	errs := make([]error, len(e.Events))
	for i, event := range e.Events {
		errs[i] = event
	}
	return errs
}

// Add appends err as that of the event at index, unless it is nil.
func (e *EventsError) Add(index int, err error) {
	if err != nil {
		e.Events = append(e.Events, EventError{index, err})
	}
}
