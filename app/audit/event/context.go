package event

import (
	"context"
)

// Actor is who did something, as of now: later changes of the person do not change entries.
type Actor struct {
	// ID identifies the person in the application: at most 512 bytes, without white space at its
	// ends. "system" is reserved for automated actions; use System.
	ID string
	// Name is shown and sorted by: at most 200 bytes. Empty means as much of Email, or else of ID.
	Name string
	// Email distinguishes namesakes: at most 320 bytes, may be empty.
	Email string

	// automated and source are set by System only.
	automated bool
	source    string
}

// SystemID is the ID of the actor of automated actions. Nobody else can have it.
const SystemID = "system"

// System returns the actor of automated actions. source names the automation, such as
// "github-webhook" or "nightly-backup"; it is shown in the entry's details.
func System(source string) Actor {
	return Actor{ID: SystemID, Name: SystemID, automated: true, source: source}
}

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
