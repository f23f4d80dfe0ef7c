package audit

import (
	"context"

	"gorm.io/gorm"
)

// Record stores event in tx, the caller's transaction (or a plain *gorm.DB for one of its own).
//
// What commits is in the log; what rolls back is not. When audit logging is off for the
// organization the event is checked all the same, nothing is stored, and Receipt.Stored is false;
// only OrganizationAuditConfigUpdate and OrganizationDelete are stored even then. The switch is
// read by the inserting statement itself.
//
// Errors: ErrNoOrganization, ErrOrganizationClosed, ErrNoActor and *InvalidEventError leave the
// transaction usable; anything else comes from the database.
//
// Recording takes no lock that another transaction would wait for.
func Record(ctx context.Context, tx *gorm.DB, event Event) (Receipt, error) {
	panic("soon")
}

// Organization describes a tenant to EnsureOrganization.
type Organization struct {
	Slug       string // empty: made from Name, or ExternalID
	ExternalID string // the application's own ID, if it has one
	Name       string // empty: the slug
}

// EnsureOrganization finds the organization by its external ID, or slug where it has none, and
// creates it (retention 90 days, logging on) where it does not exist. It returns the slug.
func EnsureOrganization(ctx context.Context, tx *gorm.DB, organization Organization) (string, error) {
	panic("soon")
}

// Migrate creates or updates the tables of the audit log in db; all their names begin with
// "audit_". Safe to call from several hosts at once.
func Migrate(ctx context.Context, db *gorm.DB) error {
	panic("soon")
}
