package models

import (
	"context"
	"time"
)

type clockKey struct{}

// WithClock makes what is recorded under ctx happen at now() instead of time.Now(). It is for
// demo data, which fills ninety days in a few seconds, and for tests.
func WithClock(ctx context.Context, now func() time.Time) context.Context {
	return context.WithValue(ctx, clockKey{}, now)
}

// Now is the clock of ctx, in UTC: the one WithClock set, time.Now otherwise.
func Now(ctx context.Context) time.Time {
	if now, ok := ctx.Value(clockKey{}).(func() time.Time); ok {
		return now().UTC()
	}
	return time.Now().UTC()
}
