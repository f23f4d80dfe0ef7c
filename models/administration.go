package models

import "context"

type administrationKey struct{}

// AsAdministration marks ctx: what is recorded with it is what the web app does on its own pages. It is
// stored although an organization's audit logging is off, as that stops applications only.
func AsAdministration(ctx context.Context) context.Context {
	return context.WithValue(ctx, administrationKey{}, true)
}

// isAdministration reports whether AsAdministration has marked ctx.
func isAdministration(ctx context.Context) bool { return ctx.Value(administrationKey{}) != nil }
