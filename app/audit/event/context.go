package event

import (
	"context"
)

// Actor is who did something, as of now: later changes of the person do not change entries.
type Actor struct {
	// Type is what kind of actor it is; empty means a person, ActorUser.
	Type ActorType
	// ID identifies the actor in the application: at most 512 bytes, without white space at its
	// ends. "system" is reserved for automated actions; use System. A person needs one; System and
	// Anonymous have theirs.
	ID string
	// Name is shown and sorted by: at most 200 bytes. Empty means as much of Email, or else of ID.
	Name string
	// Email distinguishes namesakes: at most 320 bytes, may be empty.
	Email string
	// OnBehalfOf is for whom the actor did it, such as the person who told an agent to; nil where it
	// acted for itself.
	OnBehalfOf *Principal

	source string // set by System only
}

// ActorType is what kind of actor somebody is.
type ActorType string

// The types of actors.
const (
	ActorUser      ActorType = "user"      // a person; the same as ""
	ActorService   ActorType = "service"   // a program with an account of its own, such as a CI runner
	ActorAgent     ActorType = "agent"     // a program that decides what it does, such as an AI agent
	ActorSystem    ActorType = "system"    // the application itself, see System
	ActorAnonymous ActorType = "anonymous" // nobody known, see Anonymous
)

// Principal is for whom an actor acts. Its fields are those of an Actor.
type Principal struct {
	Type  ActorType
	ID    string
	Name  string
	Email string
	// Session is in which it does so, such as an agent's session, or that of an assumed role: at most
	// 200 bytes, may be empty.
	Session string
}

// SystemID is the ID of the actor of automated actions. Nobody else can have it.
const SystemID = "system"

// AnonymousID is the ID of the actor that Anonymous returns.
const AnonymousID = "anonymous"

// System returns the actor of automated actions. source names the automation, such as
// "github-webhook" or "nightly-backup"; it is shown in the entry's details.
func System(source string) Actor {
	return Actor{Type: ActorSystem, ID: SystemID, Name: SystemID, source: source}
}

// Anonymous returns the actor of what nobody known did or tried, such as a sign-in that failed.
func Anonymous() Actor { return Actor{Type: ActorAnonymous, ID: AnonymousID, Name: AnonymousID} }

// Source returns the automation that System was given; "" for an actor of any other kind.
func (a Actor) Source() string { return a.source }

// Request is where an action came from.
type Request struct {
	IP        string // the client's address
	UserAgent string // cut to 512 bytes
	ID        string // the request's ID, cut to 200 bytes
}

type contextKey int

const (
	actorKey contextKey = iota
	requestKey
	outsideKey
	strictKey
	maskingKey
)

// WithActor returns a context in which actor acts, usually set once per request by middleware.
func WithActor(ctx context.Context, actor Actor) context.Context {
	return context.WithValue(ctx, actorKey, actor)
}

// ActorFrom returns the actor that WithActor set, or the zero Actor.
func ActorFrom(ctx context.Context) Actor {
	actor, _ := ctx.Value(actorKey).(Actor)
	return actor
}

// WithRequest returns a context whose actions come from request, usually set once per request by middleware.
func WithRequest(ctx context.Context, request Request) context.Context {
	return context.WithValue(ctx, requestKey, request)
}

// RequestFrom returns the request that WithRequest set, or the zero Request.
func RequestFrom(ctx context.Context) Request {
	request, _ := ctx.Value(requestKey).(Request)
	return request
}

// FromOutside returns a context whose events come from outside of this program, such as from
// whoever has a key, or from a file. Actions that are the web app's own, those of the group action.Access and
// organization:audit_config_update, are refused then, and so is deployment:status_update, which only
// GitHub's signed deliveries report: a *fault.Field names the field "action".
func FromOutside(ctx context.Context) context.Context {
	return context.WithValue(ctx, outsideKey, true)
}

// Strict marks ctx: with it, mistakes of the program are refused that are let through otherwise. See audit.Strict.
func Strict(ctx context.Context) context.Context { return context.WithValue(ctx, strictKey, true) }

// IsStrict reports whether Strict has marked ctx.
func IsStrict(ctx context.Context) bool { return ctx.Value(strictKey) != nil }

// IsFromOutside reports whether FromOutside has marked ctx.
func IsFromOutside(ctx context.Context) bool { return ctx.Value(outsideKey) != nil }
