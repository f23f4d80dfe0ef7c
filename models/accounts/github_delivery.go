package accounts

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/auditlogs/auditlogs/models"
	"gorm.io/gorm"
)

// GitHubDeliveryKeptFor is how long a delivery's ID is remembered. GitHub delivers again for three
// days.
const GitHubDeliveryKeptFor = 30 * 24 * time.Hour

// GitHubBodyKeptFor is how long what was delivered is taken for the same, whatever the delivery's ID:
// GitHub signs the one and not the other.
const GitHubBodyKeptFor = time.Hour

// GitHubDelivery is a delivery that was received, and what became of it.
type GitHubDelivery struct {
	OrgID      int64
	ID         string
	EntryID    string // empty where audit logging was off
	ReceivedAt models.Micros
	BodyHash   []byte // SHA-256 of what was signed; nil for one of an earlier version
}

func (GitHubDelivery) TableName() string { return "audit_github_deliveries" }

// ClaimGitHubDelivery notes that a delivery was received over a connection; the caller stores its entry
// in the same transaction. first is false where it was received before, or the same body was within
// GitHubBodyKeptFor: nothing is noted then, and delivery is what became of that one. Of two at once the
// second waits for the first. Errors: ErrNotFound where the connection has ended since it was read.
func ClaimGitHubDelivery(ctx context.Context, tx *gorm.DB, connection GitHubConnection, id string, body []byte) (delivery GitHubDelivery, first bool, err error) {
	now, orgID := models.TransactionNow(tx), connection.OrgID
	db := tx.WithContext(ctx)
	// The lock of the connection. What comes after it sees what others have committed who held it.
	locked := db.Model(&GitHubConnection{}).Where("id = ?", connection.ID).Update("last_delivery_at", gorm.Expr("last_delivery_at"))
	if locked.Error != nil {
		return delivery, false, fmt.Errorf("lock the connection of a delivery: %w", locked.Error)
	}
	if locked.RowsAffected == 0 {
		return delivery, false, fmt.Errorf("connection of a delivery: %w", models.ErrNotFound)
	}
	err = db.Where("org_id = ? AND received_at < ?", orgID, models.MicrosOf(now.Add(-GitHubDeliveryKeptFor))).Delete(&GitHubDelivery{}).Error
	if err != nil {
		return delivery, false, fmt.Errorf("forget old deliveries: %w", err)
	}
	hash := sha256.Sum256(body)
	found := db.Where("org_id = ? AND id = ?", orgID, id).
		Or("org_id = ? AND received_at > ? AND body_hash = ?", orgID, models.MicrosOf(now.Add(-GitHubBodyKeptFor)), hash[:]).
		Order("received_at").Limit(1).Find(&delivery)
	if found.Error != nil {
		return delivery, false, fmt.Errorf("find a delivery: %w", found.Error)
	}
	if found.RowsAffected > 0 {
		return delivery, false, nil
	}
	delivery = GitHubDelivery{OrgID: orgID, ID: id, ReceivedAt: models.MicrosOf(now), BodyHash: hash[:]}
	if err := db.Create(&delivery).Error; err != nil {
		return delivery, false, fmt.Errorf("note a delivery: %w", err)
	}
	return delivery, true, nil
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
