// Package audit records what happened in an organization.
//
// Application code calls Record with its own GORM transaction, so the event and the change it
// tells of are kept, or undone, together:
//
//	err := db.Transaction(func(tx *gorm.DB) error {
//		if err := tx.Delete(&service).Error; err != nil {
//			return err
//		}
//		_, err := audit.Record(ctx, tx, audit.Event{
//			Organization: "acme",
//			Action:       action.ServiceDelete,
//			EntityID:     service.ID,
//			EntityName:   service.Name,
//		})
//		return err
//	})
//
// Who did it, from where and in which request come from the context (see WithActor and
// WithRequest) unless the event says so itself.
package audit

import (
	"context"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// What is recorded, as package event has it.
type (
	Event    = event.Event
	Actor    = event.Actor
	Request  = event.Request
	Change   = event.Change
	Receipt  = event.Receipt
	Recorder = event.Recorder
)

// Why it was not, as package event has it.
type (
	InvalidEventError = fault.Field
	EventError        = event.EventError
	EventsError       = event.EventsError
)

// These leave the caller's transaction usable.
const (
	ErrNoOrganization     = event.ErrNoOrganization
	ErrOrganizationClosed = event.ErrOrganizationClosed
	ErrNoActor            = event.ErrNoActor
	ErrIDReused           = event.ErrIDReused
	ErrExpired            = event.ErrExpired
)

// ErrOutcomeUnknown is event.ErrOutcomeUnknown.
var ErrOutcomeUnknown = event.ErrOutcomeUnknown

// System is the actor of automated actions: see event.System.
func System(source string) Actor { return event.System(source) }

// Changes compares two states of a thing: see event.Changes.
func Changes(before, after any) map[string]Change { return event.Changes(before, after) }

// WithActor sets who acts in ctx, usually once per request by middleware.
func WithActor(ctx context.Context, actor Actor) context.Context { return event.WithActor(ctx, actor) }

// WithRequest sets where the actions of ctx come from, usually once per request by middleware.
func WithRequest(ctx context.Context, request Request) context.Context {
	return event.WithRequest(ctx, request)
}
