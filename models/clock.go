package models

import (
	"context"
	"time"

	"gorm.io/gorm"
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

// TransactionNow is the moment a change in tx happens: by the clock of ctx where it carries one, by
// that of the store (or the application) that opened tx otherwise.
func TransactionNow(ctx context.Context, tx *gorm.DB) time.Time {
	if now, ok := ctx.Value(clockKey{}).(func() time.Time); ok {
		return now().UTC()
	}
	return tx.NowFunc().UTC()
}
