// Package event defines what an application hands to an audit log: an Event, who did it, what changed. It
// validates and masks events and encodes them as JSON, and depends on nothing but the standard library.
//
// Package audit records events in a database, package client over HTTP.
package event

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
)

// Event is what application code hands over.
type Event struct {
	// ID is the caller's own key of the event, such as the ID of the message it came with: any text
	// of at most 200 bytes, unique within the organization. For 24 hours a second event with the ID
	// is not stored: it gets the receipt of the first, or ErrIDReused if it is another event.
	// With OccurredAt given as well it is not stored again after that time either. Empty means none.
	// It is not the ID of the entry.
	ID string

	// Organization is the slug of the organization it happened in. One of Organization and
	// ExternalID is required.
	Organization string
	// ExternalID names the organization by the application's own ID for it.
	ExternalID string

	// Action is what happened: one of the catalogue, or one the application registered. Empty means
	// what action.Fold makes of NativeAction.
	Action action.Action
	// NativeAction is what the system that the event comes from calls it, such as "iam:CreateRole" or
	// "Login failed": at most 200 bytes. It is kept beside Action unless they are the same.
	NativeAction string
	// EntityType is what was affected; empty means the part of the action before the colon.
	EntityType string
	// EntityID identifies the affected resource: at most 512 bytes, without white space at its ends.
	// Empty means that nothing was affected, as when a list was read.
	EntityID string
	// EntityName is its name at this moment: at most 200 bytes, may be empty.
	EntityName string
	// Related are further resources that it concerned, at most 20, such as the subnet a server was put into.
	Related []Resource

	// Outcome is how it ended; empty means OutcomeSuccess.
	Outcome Outcome
	// Reason is why, such as why it was denied: at most 500 bytes, may be empty.
	Reason string

	// Actor is who did it. The zero Actor means the one of the context; where there is none either,
	// Record returns ErrNoActor.
	Actor Actor

	// OccurredAt is when it happened, cut to the microsecond. Zero means now. At most five minutes
	// in the future.
	OccurredAt time.Time

	// Sequence orders events of the same microsecond, from 0 to MaxSequence: a client.Client counts its
	// events with it, so that they stay in order whichever way they go. Nil means the order in which they
	// are recorded. It does not make another event of one with the same ID.
	Sequence *int64

	// Metadata is additional context: anything that encodes to a JSON object, at most 256 KiB and
	// 32 levels. The usual keys are "changes" (see Changes), "changed_fields" and "service_name".
	// What looks like a credential, by its key or by its form, is not stored: see MaskKeys.
	Metadata any

	// URL leads to the affected resource: http or https, without a user name or password, at most
	// 2,048 bytes, may be empty.
	URL string

	// Request is where it came from. The zero Request means the one of the context.
	Request Request
}

// Masked returns how many values of a resolved event, or parts of them, are not in it: Masked stands in their place. Those
// that somebody masked before are among them, such as the client that sent the event.
func (e Event) Masked() (n int) {
	metadata, _ := e.Metadata.(json.RawMessage)
	count := func(texts ...string) {
		for _, text := range texts {
			n += strings.Count(text, Masked)
		}
	}
	count(string(metadata), e.EntityName, e.Reason, e.URL, e.NativeAction)
	for _, r := range e.Related {
		count(r.Name)
	}
	if p := e.Actor.OnBehalfOf; p != nil {
		count(p.Session)
	}
	return n
}

// Resource is one that an event concerned besides the affected one.
type Resource struct {
	Type string // as Event.EntityType, required
	ID   string // as Event.EntityID, required
	Name string // as Event.EntityName
	Role string // what it was to the event, such as "subnet": at most 100 bytes, may be empty
}

// Outcome is how what was done ended.
type Outcome string

// The outcomes.
const (
	OutcomeSuccess Outcome = "success" // the same as ""
	OutcomeFailure Outcome = "failure" // it was tried and did not succeed
	OutcomeDenied  Outcome = "denied"  // the actor was not allowed to
)

// Recorder records events outside of a caller's transaction. Record returns once the event is
// safely kept, or the error for which it is not. audit.Batcher and client.Client are recorders; so
// is the one in memory that package audittest has for tests.
type Recorder interface {
	Record(ctx context.Context, event Event) (Receipt, error)
}

// Receipt is the result of recording an event.
type Receipt struct {
	// EntryID is the ID of the stored entry; empty when nothing was stored.
	EntryID string
	// Stored is false when audit logging is off for the organization, or in a dry run: the event was
	// valid, and nothing was kept.
	Stored bool
	// Repeated: an event with the same ID was recorded before; the receipt is that one's, and
	// nothing was stored now.
	Repeated bool
	// Spooled: the event is safe in a Client's spool and has not reached the log yet. What the log
	// makes of it is not known: EntryID is empty and Stored false.
	Spooled bool
}
