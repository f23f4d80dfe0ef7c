// Package audithttp tells package audit, once per request of a net/http application, who acts and
// where the request came from. Whatever the request's handlers record carries it:
//
//	identify := audithttp.New(audithttp.Config{
//		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
//		Actor: func(r *http.Request) audit.Actor {
//			user := currentUser(r)
//			return audit.Actor{ID: user.ID, Name: user.Name, Email: user.Email}
//		},
//	})
//	mux.HandleFunc("DELETE /services/{id}", func(w http.ResponseWriter, r *http.Request) {
//		tx, err := db.BeginTx(r.Context(), nil)
//		…
//		_, err = audit.PostgreSQL.Record(r.Context(), tx, audit.Event{…})
//		…
//	})
//	http.ListenAndServe(addr, signIn(identify(mux)))
//
// It imports nothing but the standard library and package audit, and fits every router that takes
// func(http.Handler) http.Handler.
package audithttp

import (
	"crypto/rand"
	"net/http"
	"net/netip"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/internal/clientip"
)

const (
	forwardedFor    = "X-Forwarded-For"
	requestIDHeader = "X-Request-Id"
)

// Config holds what the middleware cannot know. Zero values are fine.
type Config struct {
	// Actor returns who makes the request, from whatever the application's own middleware, which runs
	// before this one, found out. The zero Actor means nobody: recording then needs an actor of its
	// own.
	Actor func(r *http.Request) event.Actor

	// TrustedProxies are the proxies whose X-Forwarded-For and X-Request-ID are believed: ranges
	// such as 10.0.0.0/8, or 192.0.2.1/32 for one address. Without any, both are ignored.
	TrustedProxies []netip.Prefix

	// RequestID returns the ID the request goes by. By default it is the X-Request-ID of the answer,
	// where middleware that ran before has set one; or else that of the request, where it comes from
	// a trusted proxy; or else a new one. The answer carries it then.
	RequestID func(r *http.Request) string
}

// New makes the middleware. It leaves its findings in the request's context.
func New(config Config) func(next http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx := event.WithRequest(r.Context(), event.Request{
				IP:        ClientIP(r, config.TrustedProxies),
				UserAgent: r.UserAgent(),
				ID:        config.requestID(w, r),
			})
			if config.Actor != nil {
				if actor := config.Actor(r); actor != (event.Actor{}) {
					ctx = event.WithActor(ctx, actor)
				}
			}
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

func (c *Config) requestID(w http.ResponseWriter, r *http.Request) string {
	if c.RequestID != nil {
		return c.RequestID(r)
	}
	if id := w.Header().Get(requestIDHeader); id != "" {
		return id
	}
	id := r.Header.Get(requestIDHeader)
	if id == "" || !clientip.Proxies(c.TrustedProxies).Trusts(r.RemoteAddr) {
		id = rand.Text()
	}
	w.Header().Set(requestIDHeader, id)
	return id
}

// ClientIP is the address the request came from. Behind proxies it is the last one in
// X-Forwarded-For that is no proxy of ours: what stands further left was sent by the client and
// proves nothing. It is empty where the server listens on a Unix socket.
func ClientIP(r *http.Request, trustedProxies []netip.Prefix) string {
	return clientip.Proxies(trustedProxies).Of(r.RemoteAddr, r.Header.Values(forwardedFor))
}
