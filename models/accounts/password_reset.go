package accounts

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/models"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// PasswordResetLifetime is how long a reset link can be used.
const PasswordResetLifetime = 24 * time.Hour

// PasswordReset lets whoever has its link set a new password for an account, once. It ends with the
// rights of the admin who made it.
type PasswordReset struct {
	TokenHash TokenHash
	UserID    string
	MadeBy    string // user ID; empty for an operator
	OrgID     int64  // where MadeBy made it as an admin; zero for an operator
	CreatedAt models.Micros
	ExpiresAt models.Micros
	UsedAt    models.Micros // zero while it can be used
}

func (PasswordReset) TableName() string { return "audit_password_resets" }

// ID names the reset without giving its link away.
func (r PasswordReset) ID() string { return "rst_" + hex.EncodeToString(r.TokenHash) }

// OperatorPasswordReset makes a reset link's token for an operator, who needs no role. It cannot be
// found again. Links made earlier for the account end.
func OperatorPasswordReset(ctx context.Context, tx *gorm.DB, userID string) (token string, err error) {
	return createPasswordReset(ctx, tx, PasswordReset{UserID: userID})
}

// CreatePasswordReset makes a reset link's token for madeBy, an admin of an organization, which
// cannot be found again. Links made earlier for the account end. Whoever has the link has the
// account, so it takes an admin of every organization the account can read; all of them are locked
// until tx ends, in the order of their IDs, and no other organization may be locked in tx before.
//
// Errors: ErrNotFound where the account does not belong to the organization, ErrNotAdmin, ErrClosed,
// ErrAdminElsewhere.
func CreatePasswordReset(ctx context.Context, tx *gorm.DB, orgID int64, madeBy, userID string) (token string, err error) {
	reset := PasswordReset{UserID: userID, MadeBy: madeBy, OrgID: orgID}
	if err := reset.lockMaker(ctx, tx); err != nil {
		return "", err
	}
	return createPasswordReset(ctx, tx, reset)
}

func createPasswordReset(ctx context.Context, tx *gorm.DB, reset PasswordReset) (token string, err error) {
	if err := endPasswordResets(ctx, tx, reset.UserID); err != nil {
		return "", err
	}
	now := models.TransactionNow(tx)
	token, reset.TokenHash = newToken()
	reset.CreatedAt, reset.ExpiresAt = models.MicrosOf(now), models.MicrosOf(now.Add(PasswordResetLifetime))
	if err := tx.WithContext(ctx).Create(&reset).Error; err != nil {
		return "", fmt.Errorf("create a password reset for %s: %w", reset.UserID, err)
	}
	return token, nil
}

// OpenPasswordReset finds whose password a link resets, and who made it: the zero User for an
// operator. ErrNotFound means that there is no such link, or that it was used, replaced or revoked,
// has expired, or ended with the rights of its maker.
func (s *Store) OpenPasswordReset(ctx context.Context, token string) (user, maker User, err error) {
	reset, err := takePasswordReset(s.store.Reader(ctx), s.store.Now(), token)
	if err != nil {
		return user, maker, err
	}
	if reset.MadeBy != "" {
		if _, err := reset.checkMaker(s.store.Reader(ctx), s.store.Now()); err != nil {
			return user, maker, asDeadReset(err)
		}
		if maker, err = s.UserByID(ctx, reset.MadeBy); err != nil {
			return user, maker, err
		}
	}
	user, err = s.UserByID(ctx, reset.UserID)
	return user, maker, err
}

// OpenPasswordResets lists the reset links that were made in an organization and can still be used,
// newest first.
func (s *Store) OpenPasswordResets(ctx context.Context, orgID int64) ([]PasswordReset, error) {
	var open []PasswordReset
	err := openPasswordResets(s.store.Reader(ctx), s.store.Now()).Where("org_id = ?", orgID).
		Order("created_at DESC, token_hash").Find(&open).Error
	if err != nil {
		return nil, fmt.Errorf("list the reset links of organization %d: %w", orgID, err)
	}
	return open, nil
}

// RevokePasswordReset ends a reset link that has not been used, named by PasswordReset.ID. ErrNotFound
// means that none such was made in the organization, or that it has ended already.
func RevokePasswordReset(ctx context.Context, tx *gorm.DB, orgID int64, id string) (PasswordReset, error) {
	hash, err := hex.DecodeString(strings.TrimPrefix(id, "rst_"))
	if err != nil {
		return PasswordReset{}, fmt.Errorf("reset link %q: %w", id, models.ErrNotFound)
	}
	if _, err := models.LockOrganization(ctx, tx, orgID); err != nil {
		return PasswordReset{}, err
	}
	var found []PasswordReset
	open := openPasswordResets(tx.WithContext(ctx), models.TransactionNow(tx)).Where("org_id = ? AND token_hash = ?", orgID, TokenHash(hash))
	if err := open.Session(&gorm.Session{}).Find(&found).Error; err != nil {
		return PasswordReset{}, fmt.Errorf("find reset link %q: %w", id, err)
	}
	deleted := open.Session(&gorm.Session{}).Delete(&PasswordReset{})
	if deleted.Error != nil {
		return PasswordReset{}, fmt.Errorf("revoke reset link %q: %w", id, deleted.Error)
	}
	if len(found) == 0 || deleted.RowsAffected == 0 {
		return PasswordReset{}, fmt.Errorf("reset link %q: %w", id, models.ErrNotFound)
	}
	return found[0], nil
}

// ResetPassword uses a link up: it stores the new password's hash (from HashPassword, called before
// the transaction), ends every session of the account and every other link, and returns the link.
// ErrNotFound means that it leads nowhere any more: also because who made it lost the right to. What
// that takes is read under the locks of the account's organizations.
func ResetPassword(ctx context.Context, tx *gorm.DB, token, passwordHash string) (reset PasswordReset, err error) {
	now := models.TransactionNow(tx)
	if reset, err = takePasswordReset(tx.WithContext(ctx), now, token); err != nil {
		return reset, err
	}
	if reset.MadeBy != "" {
		if err := reset.lockMaker(ctx, tx); err != nil {
			return reset, asDeadReset(err)
		}
	}
	// The account first and then its links: the order in which ChangePassword locks them.
	err = tx.WithContext(ctx).Model(&User{}).Where("id = ?", reset.UserID).Update("password_hash", passwordHash).Error
	if err != nil {
		return reset, fmt.Errorf("store the password of %s: %w", reset.UserID, err)
	}
	used := openPasswordResets(tx.WithContext(ctx), now).Where("token_hash = ?", reset.TokenHash).
		Update("used_at", models.MicrosOf(now))
	if used.Error != nil {
		return reset, fmt.Errorf("use a password reset: %w", used.Error)
	}
	if used.RowsAffected == 0 { // ended a moment ago
		return reset, fmt.Errorf("password reset: %w", models.ErrNotFound)
	}
	return reset, endWaysIn(ctx, tx, reset.UserID)
}

// endWaysIn ends all that lets somebody into an account but its password: sessions, reset links, and
// that browsers are known.
func endWaysIn(ctx context.Context, tx *gorm.DB, userID string) error {
	if err := endPasswordResets(ctx, tx, userID); err != nil {
		return err
	}
	if err := forgetDevices(ctx, tx, userID); err != nil {
		return err
	}
	return EndSessions(ctx, tx, userID)
}

// lockMaker locks the organizations of the account and returns what checkMaker does of them.
func (r PasswordReset) lockMaker(ctx context.Context, tx *gorm.DB) error {
	var locked []int64
	err := tx.WithContext(ctx).Model(&models.Organization{}).Clauses(clause.Locking{Strength: "UPDATE"}).
		Where("id IN (SELECT org_id FROM audit_memberships WHERE user_id = ?)", r.UserID).
		Order("id").Pluck("id", &locked).Error
	if err != nil {
		return fmt.Errorf("lock the organizations of %s: %w", r.UserID, err)
	}
	asked, err := r.checkMaker(tx.WithContext(ctx), models.TransactionNow(tx))
	if err != nil {
		return err
	}
	for _, id := range asked {
		if !slices.Contains(locked, id) { // joined between the two statements
			return fmt.Errorf("reset link for %s: %w", r.UserID, models.ErrAdminElsewhere)
		}
	}
	return nil
}

// checkMaker returns nil, and the organizations of the account, where who made the link may make it at
// now. Errors are those of CreatePasswordReset.
func (r PasswordReset) checkMaker(db *gorm.DB, now time.Time) (asked []int64, err error) {
	var rows []struct {
		Access    `gorm:"embedded"`
		MakerRole Role
	}
	err = db.Table("audit_organizations AS o").
		Joins("JOIN audit_memberships AS m ON m.org_id = o.id").
		Joins("LEFT JOIN audit_memberships AS maker ON maker.org_id = o.id AND maker.user_id = ?", r.MadeBy).
		Where("m.user_id = ?", r.UserID).
		Select("o.*, m.role, COALESCE(maker.role, '') AS maker_role").
		Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("find who may reset the password of %s: %w", r.UserID, err)
	}
	belongs, elsewhere := false, false
	for _, row := range rows {
		asked = append(asked, row.ID)
		switch {
		case row.ID == r.OrgID && row.Closed():
			return asked, fmt.Errorf("reset link for %s: %w", r.UserID, models.ErrClosed)
		case row.ID == r.OrgID && row.MakerRole != RoleAdmin:
			return asked, fmt.Errorf("reset link for %s by %s: %w", r.UserID, r.MadeBy, models.ErrNotAdmin)
		case row.ID == r.OrgID:
			belongs = true
		case row.MakerRole != RoleAdmin && row.Readable(now):
			elsewhere = true
		}
	}
	if !belongs {
		return asked, fmt.Errorf("member %s of organization %d: %w", r.UserID, r.OrgID, models.ErrNotFound)
	}
	if elsewhere {
		return asked, fmt.Errorf("reset link for %s: %w", r.UserID, models.ErrAdminElsewhere)
	}
	return asked, nil
}

// asDeadReset makes one error of all the reasons for which a link's maker lost the right to it.
func asDeadReset(err error) error {
	for _, lost := range []error{models.ErrNotAdmin, models.ErrAdminElsewhere, models.ErrClosed} {
		if errors.Is(err, lost) {
			return fmt.Errorf("%w: %w", models.ErrNotFound, err)
		}
	}
	return err
}

func takePasswordReset(db *gorm.DB, now time.Time, token string) (PasswordReset, error) {
	var reset PasswordReset
	err := openPasswordResets(db, now).Where("token_hash = ?", hashToken(token)).Take(&reset).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return reset, fmt.Errorf("password reset: %w", models.ErrNotFound)
	}
	if err != nil {
		return reset, fmt.Errorf("find password reset: %w", err)
	}
	return reset, nil
}

func endPasswordResets(ctx context.Context, tx *gorm.DB, userID string) error {
	if err := tx.WithContext(ctx).Where("user_id = ?", userID).Delete(&PasswordReset{}).Error; err != nil {
		return fmt.Errorf("end the password resets of %s: %w", userID, err)
	}
	return nil
}

func openPasswordResets(db *gorm.DB, now time.Time) *gorm.DB {
	return db.Model(&PasswordReset{}).Where("used_at = 0 AND expires_at > ?", models.MicrosOf(now))
}
