package accounts

import (
	"context"
	"fmt"
	"time"

	"github.com/auditlogs/auditlogs/models"
	"gorm.io/gorm"
)

// Limits of known devices.
const (
	// KnownDeviceLifetime is how long a browser is known after somebody signed in with it.
	KnownDeviceLifetime = 180 * 24 * time.Hour
	// maxKnownDevices is how many browsers of one account are known: those that came last.
	maxKnownDevices = 20
)

// KnownDevice is a browser with which somebody has signed in. It lets nobody in: wrong passwords from
// it are counted by themselves, so that others who try the account do not keep its owner out.
type KnownDevice struct {
	TokenHash TokenHash
	UserID    string
	CreatedAt models.Micros
	ExpiresAt models.Micros
}

func (KnownDevice) TableName() string { return "audit_known_devices" }

// KnowsDevice reports whether token was given to a browser with which the user signed in.
func (s *Store) KnowsDevice(ctx context.Context, userID, token string) (bool, error) {
	var found int64
	err := s.store.Reader(ctx).Model(&KnownDevice{}).
		Where("token_hash = ? AND user_id = ? AND expires_at > ?", hashToken(token), userID, models.MicrosOf(s.store.Now())).
		Count(&found).Error
	if err != nil {
		return false, fmt.Errorf("find a known device of %s: %w", userID, err)
	}
	return found > 0, nil
}

// RememberDevice makes the token by which a browser of the user will be known, instead of before, which
// may be empty. Browsers whose time is over, and the oldest of too many, are forgotten.
func RememberDevice(ctx context.Context, tx *gorm.DB, userID, before string) (token string, err error) {
	now := models.TransactionNow(tx)
	token, hash := newToken()
	err = tx.WithContext(ctx).Create(&KnownDevice{
		TokenHash: hash, UserID: userID,
		CreatedAt: models.MicrosOf(now), ExpiresAt: models.MicrosOf(now.Add(KnownDeviceLifetime)),
	}).Error
	if err != nil {
		return "", fmt.Errorf("remember a device of %s: %w", userID, err)
	}
	err = tx.WithContext(ctx).Where(`user_id = ? AND (expires_at <= ? OR token_hash = ? OR token_hash NOT IN (
	SELECT token_hash FROM audit_known_devices WHERE user_id = ? ORDER BY created_at DESC, token_hash LIMIT ?))`,
		userID, models.MicrosOf(now), hashToken(before), userID, maxKnownDevices).Delete(&KnownDevice{}).Error
	if err != nil {
		return "", fmt.Errorf("forget the former devices of %s: %w", userID, err)
	}
	return token, nil
}

func forgetDevices(ctx context.Context, tx *gorm.DB, userID string) error {
	if err := tx.WithContext(ctx).Where("user_id = ?", userID).Delete(&KnownDevice{}).Error; err != nil {
		return fmt.Errorf("forget the devices of %s: %w", userID, err)
	}
	return nil
}
