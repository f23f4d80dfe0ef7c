package audit

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/migrations"
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
	entry, organization, err := entryOf(ctx, event, models.TransactionNow(tx))
	if err != nil {
		return Receipt{}, err
	}
	outcome, err := models.InsertEntry(ctx, tx, organization, entry, storedWhenOff(event.Action))
	if err != nil {
		return Receipt{}, fmt.Errorf("audit: %w", err)
	}
	switch outcome {
	case models.OrganizationUnknown:
		return Receipt{}, fmt.Errorf("%w: %q", ErrNoOrganization, organization.Slug+organization.ExternalID)
	case models.OrganizationClosed:
		return Receipt{}, fmt.Errorf("%w: %q", ErrOrganizationClosed, organization.Slug+organization.ExternalID)
	case models.LoggingOff:
		return Receipt{}, nil
	default:
		return Receipt{EntryID: entry.ID.String(), Stored: true}, nil
	}
}

// storedWhenOff says which events are kept while audit logging is off: that it was switched, and
// that the organization is gone.
func storedWhenOff(action Action) bool {
	return action == OrganizationAuditConfigUpdate || action == OrganizationDelete
}

// Migrate creates or updates the tables of the audit log in db; all their names begin with
// "audit_". Safe to call from several hosts at once.
func Migrate(ctx context.Context, db *gorm.DB) error {
	pool, err := db.DB()
	if err != nil {
		return fmt.Errorf("audit: migrate: %w", err)
	}
	if _, err := migrations.Up(ctx, pool, db.Dialector.Name()); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}
