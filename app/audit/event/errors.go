package event

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Record finds these before any statement has failed: the caller's transaction stays usable, and
// whether to go on without the entry is the caller's to decide.
var (
	// ErrNoOrganization says that the event names no organization, or one that does not exist.
	ErrNoOrganization = errors.New("audit: no such organization")
	// ErrOrganizationClosed says that the organization has been deleted and takes no more events.
	ErrOrganizationClosed = errors.New("audit: the organization is closed")
	// ErrNoActor says that neither the event nor the context names who did it.
	ErrNoActor = errors.New("audit: no actor; set Event.Actor or use WithActor, audit.System for automated actions")
	// ErrIDReused says that Event.ID was used for another event within the last 24 hours.
	ErrIDReused = errors.New("audit: id: was used for another event")
	// ErrExpired says that the event is older than what its organization keeps.
	ErrExpired = errors.New("audit: occurred_at: is older than the organization keeps")
)

// ErrOutcomeUnknown says that a Recorder cannot tell whether the event is recorded: it was on its way
// when the caller's context ended, the recorder was closed or the connection was lost. Recorded
// again with the same Event.ID it is stored once.
var ErrOutcomeUnknown = errors.New("audit: outcome unknown")

// InvalidError says which field of an event cannot be stored, and why.
type InvalidError struct {
	Field  string // as in the API: "action", "entity_id", "metadata", …
	Reason string
}

func (e *InvalidError) Error() string { return "audit: " + e.Field + ": " + e.Reason }

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
	return fmt.Sprintf("event %d: %s", e.Index, strings.TrimPrefix(e.Err.Error(), "audit: "))
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

// namesNone is what an ErrNoOrganization goes on with where the event names none.
const namesNone = "the event names none"

// Refused says which field of an event err, of Record or Validate, is about, as the API names it,
// and why, in words for whoever sent the event. Where err does not come from the event, but from the
// database, ok is false.
func Refused(err error) (field, reason string, ok bool) {
	// The error's own text goes on after that of the one it wraps: with a name in quotes, or with what
	// a server says.
	after := func(known error) string {
		_, text, _ := strings.Cut(err.Error(), strings.TrimPrefix(known.Error(), "audit: ")+": ")
		return strings.TrimPrefix(text, "audit: ")
	}
	about := func(name, problem string) string {
		if _, err := strconv.Unquote(name); err != nil {
			return cmp.Or(name, problem)
		}
		return name + " " + problem
	}
	var invalid *InvalidError
	switch {
	case errors.As(err, &invalid):
		return invalid.Field, invalid.Reason, true
	case errors.Is(err, ErrNoOrganization) && after(ErrNoOrganization) == namesNone:
		return "organization", "is required", true
	case errors.Is(err, ErrNoOrganization):
		return "organization", about(after(ErrNoOrganization), "does not exist"), true
	case errors.Is(err, ErrOrganizationClosed):
		return "organization", about(after(ErrOrganizationClosed), "is closed and takes no more events"), true
	case errors.Is(err, ErrNoActor):
		return "actor", "is required", true
	case errors.Is(err, ErrExpired):
		return "occurred_at", "is older than the organization keeps: " + after(ErrExpired), true
	case errors.Is(err, ErrIDReused):
		return "id", "was used for another event", true
	default:
		return "", "", false
	}
}
