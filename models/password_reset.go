package models

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// PasswordResetLifetime is how long a reset link can be used.
const PasswordResetLifetime = 24 * time.Hour

// PasswordReset lets whoever has its link set a new password for an account, once.
type PasswordReset struct {
	TokenHash TokenHash
	UserID    string
	CreatedAt Micros
	ExpiresAt Micros
	UsedAt    Micros // zero while it can be used
}

func (PasswordReset) TableName() string { return "audit_password_resets" }

// CreatePasswordReset makes a reset link's token, which cannot be found again. Links made earlier
// for the account end.
func CreatePasswordReset(ctx context.Context, tx *gorm.DB, userID string) (token string, err error) {
	if err := endPasswordResets(ctx, tx, userID); err != nil {
		return "", err
	}
	now := TransactionNow(tx)
	token, hash := newToken()
	err = tx.WithContext(ctx).Create(&PasswordReset{
		TokenHash: hash, UserID: userID,
		CreatedAt: MicrosOf(now), ExpiresAt: MicrosOf(now.Add(PasswordResetLifetime)),
	}).Error
	if err != nil {
		return "", fmt.Errorf("create a password reset for %s: %w", userID, err)
	}
	return token, nil
}

// UserOfPasswordReset finds whose password a link resets. ErrNotFound says that there is no such
// link, or that it was used, replaced or has expired.
func (s *Store) UserOfPasswordReset(ctx context.Context, token string) (User, error) {
	var reset PasswordReset
	err := openPasswordResets(s.Reader(ctx), s.Now()).Where("token_hash = ?", hashToken(token)).Take(&reset).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return User{}, fmt.Errorf("password reset: %w", ErrNotFound)
	}
	if err != nil {
		return User{}, fmt.Errorf("find password reset: %w", err)
	}
	return s.UserByID(ctx, reset.UserID)
}

// ResetPassword uses a link up: it stores the new password's hash (from HashPassword, called before
// the transaction), ends every session of the account and every other link, and answers the user's
// ID. ErrNotFound says that the link leads nowhere any more.
func ResetPassword(ctx context.Context, tx *gorm.DB, token, passwordHash string) (userID string, err error) {
	now := TransactionNow(tx)
	used := openPasswordResets(tx.WithContext(ctx), now).Where("token_hash = ?", hashToken(token)).
		Update("used_at", MicrosOf(now))
	if used.Error != nil {
		return "", fmt.Errorf("use a password reset: %w", used.Error)
	}
	if used.RowsAffected == 0 {
		return "", fmt.Errorf("password reset: %w", ErrNotFound)
	}
	var reset PasswordReset
	if err := tx.WithContext(ctx).Where("token_hash = ?", hashToken(token)).Take(&reset).Error; err != nil {
		return "", fmt.Errorf("read the used password reset: %w", err)
	}
	err = tx.WithContext(ctx).Model(&User{}).Where("id = ?", reset.UserID).Update("password_hash", passwordHash).Error
	if err != nil {
		return "", fmt.Errorf("store the password of %s: %w", reset.UserID, err)
	}
	if err := endPasswordResets(ctx, tx, reset.UserID); err != nil {
		return "", err
	}
	return reset.UserID, EndSessions(ctx, tx, reset.UserID)
}

func endPasswordResets(ctx context.Context, tx *gorm.DB, userID string) error {
	if err := tx.WithContext(ctx).Where("user_id = ?", userID).Delete(&PasswordReset{}).Error; err != nil {
		return fmt.Errorf("end the password resets of %s: %w", userID, err)
	}
	return nil
}

func openPasswordResets(db *gorm.DB, now time.Time) *gorm.DB {
	return db.Model(&PasswordReset{}).Where("used_at = 0 AND expires_at > ?", MicrosOf(now))
}
