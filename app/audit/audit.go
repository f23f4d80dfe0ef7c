package audit

import (
	"context"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// What is recorded, as package event has it.
type (
	Event     = event.Event
	Resource  = event.Resource
	Outcome   = event.Outcome
	Actor     = event.Actor
	ActorType = event.ActorType
	Principal = event.Principal
	Request   = event.Request
	Change    = event.Change
	Receipt   = event.Receipt
	Recorder  = event.Recorder
)

// How it ended, and what kind of actor did it.
const (
	OutcomeSuccess = event.OutcomeSuccess
	OutcomeFailure = event.OutcomeFailure
	OutcomeDenied  = event.OutcomeDenied

	ActorUser      = event.ActorUser
	ActorService   = event.ActorService
	ActorAgent     = event.ActorAgent
	ActorSystem    = event.ActorSystem
	ActorAnonymous = event.ActorAnonymous
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
	ErrUnregisteredAction = event.ErrUnregisteredAction
	ErrIDReused           = event.ErrIDReused
	ErrExpired            = event.ErrExpired
)

// ErrOutcomeUnknown is event.ErrOutcomeUnknown.
var ErrOutcomeUnknown = event.ErrOutcomeUnknown

// System is the actor of automated actions: see event.System.
func System(source string) Actor { return event.System(source) }

// Anonymous is the actor of what nobody known did: see event.Anonymous.
func Anonymous() Actor { return event.Anonymous() }

// Changes compares two states of a thing: see event.Changes.
func Changes(before, after any) map[string]Change { return event.Changes(before, after) }

// MaskKeys adds to the keys of metadata whose values are never stored: see event.MaskKeys.
func MaskKeys(keys ...string) { event.MaskKeys(keys...) }

// KeepKeys lifts the masking of keys that open nothing: see event.KeepKeys.
func KeepKeys(keys ...string) { event.KeepKeys(keys...) }

// WithActor sets who acts in ctx, usually once per request by middleware.
func WithActor(ctx context.Context, actor Actor) context.Context { return event.WithActor(ctx, actor) }

// WithRequest sets where the actions of ctx come from, usually once per request by middleware.
func WithRequest(ctx context.Context, request Request) context.Context {
	return event.WithRequest(ctx, request)
}

// Strict marks ctx: what is recorded with it, by whichever recorder, has an action that is in the catalogue or
// registered (ErrUnregisteredAction otherwise), and Record, RecordAll and Backfill refuse a handle that is no
// transaction with ErrNoTransaction: the change it tells of might be undone, and the entry would stay.
//
// It is for tests, and for the services of teams that want no exceptions. Set it once, in the context that main
// derives all others from:
//
//	ctx = audit.Strict(ctx)
//	server.BaseContext = func(net.Listener) context.Context { return ctx }
//
// It is the context that is strict, and not the package, so that tests that run side by side, and libraries in one
// program, each have it their way.
func Strict(ctx context.Context) context.Context { return event.Strict(ctx) }
