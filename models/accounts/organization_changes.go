package accounts

import (
	"context"
	"fmt"
	"time"

	"github.com/auditlogs/auditlogs/models"
	"gorm.io/gorm"
)

// RenameOrganization gives an organization another name in the caller's transaction; its slug
// stays. It returns the organization before and after; both are the same, and nothing was written,
// where it already had the name. Errors: as LockOrganization.
func RenameOrganization(ctx context.Context, tx *gorm.DB, orgID int64, name string) (before, after models.Organization, err error) {
	before, err = models.LockOrganization(ctx, tx, orgID)
	if err != nil {
		return before, before, err
	}
	after = before
	if before.Name == name {
		return before, after, nil
	}
	after.Name = name
	err = tx.WithContext(ctx).Model(&models.Organization{}).Where("id = ?", orgID).Update("name", name).Error
	if err != nil {
		return before, after, fmt.Errorf("rename organization %q: %w", before.Slug, err)
	}
	return before, after, nil
}

// CloseOrganization deletes an organization for its people, in the caller's transaction: nothing is
// recorded any more, its admins read the log until the last entry has expired, and its slug is
// never given away again. Its connection to GitHub and its open links end, and a shorter retention that
// is not in force yet never will be: nobody could undo it any more. Undo it and record
// organization:delete before, in the same transaction. Errors: as LockOrganization.
func CloseOrganization(ctx context.Context, tx *gorm.DB, orgID int64, now time.Time) error {
	org, err := models.LockOrganization(ctx, tx, orgID)
	if err != nil {
		return err
	}
	err = tx.WithContext(ctx).Model(&models.Organization{}).Where("id = ?", orgID).Updates(map[string]any{
		"closed_at":              models.MicrosOf(now),
		"retention_days":         org.InForce(now).RetentionDays,
		"pending_retention_days": 0,
		"pending_from":           0,
	}).Error
	if err != nil {
		return fmt.Errorf("close organization %q: %w", org.Slug, err)
	}
	if err := endLinksOfOrganization(ctx, tx, orgID); err != nil {
		return err
	}
	return forgetGitHub(ctx, tx, orgID)
}
