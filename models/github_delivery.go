package models

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// GitHubDeliveryKeptFor is how long a delivery's ID is remembered. GitHub delivers again for three
// days.
const GitHubDeliveryKeptFor = 30 * 24 * time.Hour

// GitHubDelivery is a delivery that was received, and what became of it.
type GitHubDelivery struct {
	OrgID      int64
	ID         string
	EntryID    string // empty where audit logging was off
	ReceivedAt Micros
}

func (GitHubDelivery) TableName() string { return "audit_github_deliveries" }

// ClaimGitHubDelivery notes that a delivery was received; the caller stores its entry in the same
// transaction. first is false where it was received before: nothing is noted then, and delivery is
// what became of it. Of two at once the second waits for the first.
func ClaimGitHubDelivery(ctx context.Context, tx *gorm.DB, orgID int64, id string) (delivery GitHubDelivery, first bool, err error) {
	now := TransactionNow(tx)
	db := tx.WithContext(ctx)
	err = db.Where("org_id = ? AND received_at < ?", orgID, MicrosOf(now.Add(-GitHubDeliveryKeptFor))).Delete(&GitHubDelivery{}).Error
	if err != nil {
		return delivery, false, fmt.Errorf("forget old deliveries: %w", err)
	}
	delivery = GitHubDelivery{OrgID: orgID, ID: id, ReceivedAt: MicrosOf(now)}
	claimed := db.Clauses(clause.OnConflict{DoNothing: true}).Create(&delivery)
	if claimed.Error != nil {
		return delivery, false, fmt.Errorf("note a delivery: %w", claimed.Error)
	}
	if claimed.RowsAffected > 0 {
		return delivery, true, nil
	}
	if err := db.Where("org_id = ? AND id = ?", orgID, id).Take(&delivery).Error; err != nil {
		return delivery, false, fmt.Errorf("find a delivery: %w", err)
	}
	return delivery, false, nil
}

// SettleGitHubDelivery notes which entry a claimed delivery became.
func SettleGitHubDelivery(ctx context.Context, tx *gorm.DB, delivery GitHubDelivery, entryID string) error {
	err := tx.WithContext(ctx).Model(&GitHubDelivery{}).Where("org_id = ? AND id = ?", delivery.OrgID, delivery.ID).
		Update("entry_id", entryID).Error
	if err != nil {
		return fmt.Errorf("note the entry of a delivery: %w", err)
	}
	return nil
}
