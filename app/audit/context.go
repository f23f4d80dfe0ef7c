package audit

import (
	"context"

	"github.com/auditlogs/auditlogs/models"
)

// Actor is who did something, as of now: later changes of the person do not change entries.
type Actor struct {
	// ID identifies the person in the application: at most 512 bytes, without white space at its
	// ends. "system" is reserved for automated actions; use System.
	ID string
	// Name is shown and sorted by: at most 200 bytes. Empty means as much of Email, or else of ID.
	Name string
	// Email tells namesakes apart: at most 320 bytes, may be empty.
	Email string

	// automated and source are set by System only.
	automated bool
	source    string
}

// System is the actor of automated actions. source names the automation, such as
// "github-webhook" or "nightly-backup"; it is shown in the entry's details.
func System(source string) Actor {
	return Actor{ID: models.SystemActorID, Name: models.SystemActorID, automated: true, source: source}
}

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
	apiKeyKey
	outsideKey
)

// WithActor sets who acts in ctx, usually once per request by middleware.
func WithActor(ctx context.Context, actor Actor) context.Context {
	return context.WithValue(ctx, actorKey, actor)
}

// ActorFrom is the actor WithActor set, or the zero Actor.
func ActorFrom(ctx context.Context) Actor {
	actor, _ := ctx.Value(actorKey).(Actor)
	return actor
}

// WithRequest sets where the actions of ctx come from, usually once per request by middleware.
func WithRequest(ctx context.Context, request Request) context.Context {
	return context.WithValue(ctx, requestKey, request)
}

// RequestFrom is the request WithRequest set, or the zero Request.
func RequestFrom(ctx context.Context) Request {
	request, _ := ctx.Value(requestKey).(Request)
	return request
}

// APIKey is the key of the HTTP API that events were sent with. It is stored beside their actor.
type APIKey struct {
	ID   string
	Name string // as of now
}

// FromOutside marks ctx: what is recorded with it comes from outside of this program, such as from
// whoever has a key, or from a file. Actions that are the web app's own, those of AccessGroup and
// organization:audit_config_update, are refused then, and so is deployment:status_update, which only
// GitHub's signed deliveries tell of: an *InvalidEventError names the field "action".
func FromOutside(ctx context.Context) context.Context {
	return context.WithValue(ctx, outsideKey, true)
}

// isFromOutside reports whether FromOutside has marked ctx, or a key was given.
func isFromOutside(ctx context.Context) bool {
	return ctx.Value(outsideKey) != nil || ctx.Value(apiKeyKey) != nil
}

// WithAPIKey sets the key with which the events of ctx were sent: the HTTP API does so. They come from
// outside, see FromOutside.
func WithAPIKey(ctx context.Context, key APIKey) context.Context {
	return context.WithValue(ctx, apiKeyKey, key)
}

func apiKeyFrom(ctx context.Context) APIKey {
	key, _ := ctx.Value(apiKeyKey).(APIKey)
	return key
}
