package accounts

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/models"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// Limits of invitations.
const (
	// InvitationLifetime is how long an invitation can be used.
	InvitationLifetime = 7 * 24 * time.Hour
	// MaxOpenInvitations is how many invitations of an organization can be used at a time.
	MaxOpenInvitations = 200
)

// Invitation lets whoever has its link into an organization, once. It ends with the rights of the
// admin who made it.
type Invitation struct {
	TokenHash TokenHash
	OrgID     int64
	Email     string // whose address the account must have; empty: anybody's
	Role      Role
	InvitedBy string // user ID; empty for an operator
	CreatedAt models.Micros
	ExpiresAt models.Micros
	UsedAt    models.Micros // zero while it can be used
}

func (Invitation) TableName() string { return "audit_invitations" }

// For reports whether somebody with that address may use the invitation. Only the case of ASCII letters makes
// no difference: Fold takes addresses of different mailboxes for one, such as those at strasse and straße.
func (i Invitation) For(email string) bool {
	return i.Email == "" || lowerASCII(i.Email) == lowerASCII(email)
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// ID names the invitation without giving its link away.
func (i Invitation) ID() string { return "inv_" + hex.EncodeToString(i.TokenHash) }

// CreateInvitation makes an invitation and returns the token of its link, which cannot be found
// again. Where email is not empty nobody else can use it.
//
// Errors: *fault.Field of the fields "email" (also where MaxOpenInvitations are open) and "role",
// ErrClosed and ErrNotFound for the organization.
func CreateInvitation(ctx context.Context, tx *gorm.DB, orgID int64, invitedBy, email string, role Role) (token string, invitation Invitation, err error) {
	email = strings.TrimSpace(email)
	if email != "" {
		if err := CheckEmail(email); err != nil {
			return "", Invitation{}, err
		}
	}
	if !role.Valid() {
		return "", Invitation{}, fault.Newf("role", fault.Invalid, ChooseRole)
	}
	if _, err := models.LockOrganization(ctx, tx, orgID); err != nil {
		return "", Invitation{}, err
	}
	now := models.TransactionNow(tx)
	var open int64
	if err := openInvitations(tx.WithContext(ctx), now).Where("org_id = ?", orgID).Count(&open).Error; err != nil {
		return "", Invitation{}, fmt.Errorf("count the invitations of organization %d: %w", orgID, err)
	}
	if open >= MaxOpenInvitations {
		return "", Invitation{}, fault.Newf("email", fault.LimitReached, "There are %d open invitations already; revoke one first.", MaxOpenInvitations)
	}
	token, hash := newToken()
	invitation = Invitation{
		TokenHash: hash, OrgID: orgID, Email: email, Role: role, InvitedBy: invitedBy,
		CreatedAt: models.MicrosOf(now), ExpiresAt: models.MicrosOf(now.Add(InvitationLifetime)),
	}
	if err := tx.WithContext(ctx).Create(&invitation).Error; err != nil {
		return "", Invitation{}, fmt.Errorf("create an invitation to organization %d: %w", orgID, err)
	}
	return token, invitation, nil
}

// OpenInvitation finds the invitation of a link and the organization it leads to. ErrNotFound means
// that there is none, or that it was used, revoked or has expired, the organization is closed, or who
// made it is no admin of it any more.
func (s *Store) OpenInvitation(ctx context.Context, token string) (Invitation, models.Organization, error) {
	var invitation Invitation
	var org models.Organization
	err := openInvitations(s.store.Reader(ctx), s.store.Now()).Where("token_hash = ?", hashToken(token)).Take(&invitation).Error
	if err == nil {
		err = s.store.Reader(ctx).Where("id = ? AND closed_at = 0", invitation.OrgID).Take(&org).Error
	}
	if err == nil {
		err = invitation.checkMaker(ctx, s.store.Reader(ctx))
	}
	if errors.Is(err, models.ErrNotFound) {
		return invitation, org, err
	}
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return invitation, org, fmt.Errorf("invitation: %w", models.ErrNotFound)
	}
	if err != nil {
		return invitation, org, fmt.Errorf("find invitation: %w", err)
	}
	return invitation, org, nil
}

// OpenInvitations lists the invitations to an organization that can still be used, newest first.
func (s *Store) OpenInvitations(ctx context.Context, orgID int64) ([]Invitation, error) {
	var open []Invitation
	err := openInvitations(s.store.Reader(ctx), s.store.Now()).Where("org_id = ?", orgID).
		Order("created_at DESC, token_hash").Find(&open).Error
	if err != nil {
		return nil, fmt.Errorf("list the invitations of organization %d: %w", orgID, err)
	}
	return open, nil
}

// AcceptInvitation uses the invitation of a link up and makes user a member with its role.
//
// Errors: ErrNotFound where the link leads nowhere any more, also because somebody else used it a
// moment ago, or its maker lost the right to invite; *fault.Field of the field "email" where it is for
// another address; ErrTaken for somebody who is a member already; ErrClosed. The caller then rolls
// back, and the invitation stays as it was.
func AcceptInvitation(ctx context.Context, tx *gorm.DB, token string, user User) (Invitation, error) {
	now := models.TransactionNow(tx)
	var invitation Invitation
	err := openInvitations(tx.WithContext(ctx), now).Where("token_hash = ?", hashToken(token)).Take(&invitation).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return invitation, fmt.Errorf("invitation: %w", models.ErrNotFound)
	}
	if err != nil {
		return invitation, fmt.Errorf("find invitation: %w", err)
	}
	if !invitation.For(user.Email) {
		return invitation, fault.Newf("email", fault.Invalid, "This invitation is for %s.", invitation.Email)
	}
	// The organization first and then the invitation: the order in which revoking locks them.
	if _, err := models.LockOrganization(ctx, tx, invitation.OrgID); err != nil {
		return invitation, err
	}
	if err := invitation.checkMaker(ctx, tx); err != nil {
		return invitation, err
	}
	used := openInvitations(tx.WithContext(ctx), now).Where("token_hash = ?", invitation.TokenHash).
		Update("used_at", models.MicrosOf(now))
	if used.Error != nil {
		return invitation, fmt.Errorf("use an invitation: %w", used.Error)
	}
	if used.RowsAffected == 0 { // by somebody else, a moment ago
		return invitation, fmt.Errorf("invitation: %w", models.ErrNotFound)
	}
	return invitation, AddMember(ctx, tx, invitation.OrgID, user.ID, invitation.Role)
}

// RevokeInvitation ends an invitation that has not been used, named by Invitation.ID. ErrNotFound
// means that the organization has no such invitation open.
func RevokeInvitation(ctx context.Context, tx *gorm.DB, orgID int64, id string) (Invitation, error) {
	hash, err := hex.DecodeString(strings.TrimPrefix(id, "inv_"))
	if err != nil {
		return Invitation{}, fmt.Errorf("invitation %q: %w", id, models.ErrNotFound)
	}
	if _, err := models.LockOrganization(ctx, tx, orgID); err != nil {
		return Invitation{}, err
	}
	var invitation Invitation
	open := openInvitations(tx.WithContext(ctx), models.TransactionNow(tx)).
		Where("org_id = ? AND token_hash = ?", orgID, TokenHash(hash))
	err = open.Session(&gorm.Session{}).Take(&invitation).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return invitation, fmt.Errorf("invitation %q: %w", id, models.ErrNotFound)
	}
	if err != nil {
		return invitation, fmt.Errorf("find invitation %q: %w", id, err)
	}
	deleted := tx.WithContext(ctx).Where("token_hash = ? AND used_at = 0", invitation.TokenHash).Delete(&Invitation{})
	if deleted.Error != nil {
		return invitation, fmt.Errorf("revoke invitation %q: %w", id, deleted.Error)
	}
	if deleted.RowsAffected == 0 {
		return invitation, fmt.Errorf("invitation %q: %w", id, models.ErrNotFound)
	}
	return invitation, nil
}

// Maker is who made the invitation: the zero User for an operator.
func (i Invitation) Maker(ctx context.Context, tx *gorm.DB) (maker User, err error) {
	if i.InvitedBy == "" {
		return maker, nil
	}
	if err = tx.WithContext(ctx).Where("id = ?", i.InvitedBy).Take(&maker).Error; err != nil {
		err = fmt.Errorf("find who made an invitation: %w", err)
	}
	return maker, err
}

// checkMaker returns ErrNotFound where the admin who made the invitation is one no longer.
func (i Invitation) checkMaker(ctx context.Context, db *gorm.DB) error {
	if i.InvitedBy == "" { // an operator, who needs no role
		return nil
	}
	admin, err := isAdmin(ctx, db, i.OrgID, i.InvitedBy)
	if err == nil && !admin {
		err = fmt.Errorf("invitation by somebody who is no admin: %w", models.ErrNotFound)
	}
	return err
}

func openInvitations(db *gorm.DB, now time.Time) *gorm.DB {
	return db.Model(&Invitation{}).Where("used_at = 0 AND expires_at > ?", models.MicrosOf(now))
}
