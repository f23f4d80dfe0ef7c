package accounts

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/auditlogs/auditlogs/models"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Membership is a user's place in an organization.
type Membership struct {
	OrgID     int64
	UserID    string
	Role      Role
	CreatedAt models.Micros
}

func (Membership) TableName() string { return "audit_memberships" }

// Member is a user as an organization lists them.
type Member struct {
	UserID   string
	Name     string
	Email    string
	Role     Role
	JoinedAt models.Micros
}

// Access is an organization somebody may read, and their role there.
type Access struct {
	models.Organization
	Role        Role
	DefaultView string // the ID of the view that its log begins with for them; empty for all entries
}

// Readable reports whether the organization can be read with that role at now: a closed one by its admins and
// auditors, until the last entry has expired.
func (a Access) Readable(now time.Time) bool {
	return !a.Closed() || a.Role.Oversees() && !a.Gone(now)
}

// AccessOf lists the organizations a user may read, by name, as they are now: the open ones they
// belong to, and closed ones for their admins and auditors until nothing is left to read.
func (s *Store) AccessOf(ctx context.Context, userID string) ([]Access, error) {
	var all []Access
	err := s.store.Reader(ctx).Table("audit_organizations AS o").
		Joins("JOIN audit_memberships AS m ON m.org_id = o.id").
		Where("m.user_id = ?", userID).
		Select("o.*, m.role, m.default_view").
		Scan(&all).Error
	if err != nil {
		return nil, fmt.Errorf("find the organizations of %s: %w", userID, err)
	}
	return readable(all, s.store.Now()), nil
}

// readable are those of a user's organizations that can be read at now, as they are then, by name.
func readable(all []Access, now time.Time) []Access {
	all = slices.DeleteFunc(all, func(a Access) bool { return !a.Readable(now) })
	for i := range all {
		all[i].Organization = all[i].InForce(now)
	}
	slices.SortFunc(all, func(a, b Access) int {
		return cmp.Or(cmp.Compare(models.Fold(a.Name), models.Fold(b.Name)), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// OrganizationMembers is an organization and how many belong to it.
type OrganizationMembers struct {
	models.Organization
	Members int
}

// Organizations lists all organizations by slug, closed ones included.
func (s *Store) Organizations(ctx context.Context) ([]OrganizationMembers, error) {
	var all []OrganizationMembers
	err := s.store.Reader(ctx).Table("audit_organizations AS o").
		Select("o.*, (SELECT COUNT(*) FROM audit_memberships AS m WHERE m.org_id = o.id) AS members").
		Order("o.slug").Scan(&all).Error
	if err != nil {
		return nil, fmt.Errorf("list the organizations: %w", err)
	}
	return all, nil
}

// OrganizationsOfNobody lists the first of those open organizations, by slug, that have no members: applications made
// them by recording.
func OrganizationsOfNobody(ctx context.Context, tx *gorm.DB, limit int) ([]models.Organization, error) {
	var all []models.Organization
	err := tx.WithContext(ctx).Table("audit_organizations AS o").
		Where("o.closed_at = 0 AND NOT EXISTS (SELECT 1 FROM audit_memberships AS m WHERE m.org_id = o.id)").
		Order("o.slug").Limit(limit).Scan(&all).Error
	if err != nil {
		return nil, fmt.Errorf("list the organizations without members: %w", err)
	}
	return all, nil
}

// Members lists who belongs to an organization, by name.
func (s *Store) Members(ctx context.Context, orgID int64) ([]Member, error) {
	var members []Member
	err := membersOf(s.store.Reader(ctx), orgID).Scan(&members).Error
	if err != nil {
		return nil, fmt.Errorf("list the members of organization %d: %w", orgID, err)
	}
	slices.SortFunc(members, func(a, b Member) int {
		return cmp.Or(cmp.Compare(models.Fold(a.Name), models.Fold(b.Name)), cmp.Compare(a.UserID, b.UserID))
	})
	return members, nil
}

func membersOf(db *gorm.DB, orgID int64) *gorm.DB {
	return db.Table("audit_memberships AS m").
		Joins("JOIN audit_users AS u ON u.id = m.user_id").
		Where("m.org_id = ?", orgID).
		Select("u.id AS user_id, u.name, u.email, m.role, m.created_at AS joined_at")
}

// AddMember lets a user into an organization. Links that reset the user's password end: an admin of
// another organization may have made one, and whoever has it would get into this one.
//
// Errors: ErrTaken for somebody who is in it already (their role stays), ErrClosed and ErrNotFound for
// the organization. All leave tx usable.
func AddMember(ctx context.Context, tx *gorm.DB, orgID int64, userID string, role Role) error {
	if _, err := models.LockOrganization(ctx, tx, orgID); err != nil {
		return err
	}
	created := tx.WithContext(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&Membership{
		OrgID: orgID, UserID: userID, Role: role, CreatedAt: models.MicrosOf(models.TransactionNow(tx)),
	})
	if created.Error != nil {
		return fmt.Errorf("add %s to organization %d: %w", userID, orgID, created.Error)
	}
	if created.RowsAffected == 0 {
		return fmt.Errorf("add %s to organization %d: %w", userID, orgID, models.ErrTaken)
	}
	return endPasswordResets(ctx, tx, userID)
}

// EndedLinks counts the open links that ended with the rights of who had made them.
type EndedLinks struct{ Invitations, ResetLinks int }

// Any reports whether a link ended.
func (e EndedLinks) Any() bool { return e.Invitations+e.ResetLinks > 0 }

// ChangeRole gives a member another role and returns the member as they were before. Nothing is
// written where they have the role already. The open links that an admin made who is one no longer
// end, and stay ended if they become an admin again.
//
// Errors: ErrNotFound for somebody who is no member, ErrLastAdmin where nobody would be left to
// set anything, ErrClosed. Of two changes at once the second waits for the first, so two admins who
// step down together do not leave the organization without one.
func ChangeRole(ctx context.Context, tx *gorm.DB, orgID int64, userID string, role Role) (before Member, ended EndedLinks, err error) {
	before, err = LockMember(ctx, tx, orgID, userID)
	if err != nil || before.Role == role {
		return before, ended, err
	}
	if before.Role == RoleAdmin {
		if err := needAnotherAdmin(ctx, tx, orgID, userID); err != nil {
			return before, ended, err
		}
		if ended, err = endLinksOf(ctx, tx, orgID, userID); err != nil {
			return before, ended, err
		}
	}
	err = tx.WithContext(ctx).Model(&Membership{}).
		Where("org_id = ? AND user_id = ?", orgID, userID).Update("role", role).Error
	if err != nil {
		return before, ended, fmt.Errorf("change the role of %s in organization %d: %w", userID, orgID, err)
	}
	return before, ended, nil
}

// RemoveMember ends a membership, one's own or another's, and returns the member as they were. Open
// links that they made end, and those that were made here to reset their password; views of their own go. Errors and
// concurrency are those of ChangeRole.
func RemoveMember(ctx context.Context, tx *gorm.DB, orgID int64, userID string) (before Member, ended EndedLinks, err error) {
	before, err = LockMember(ctx, tx, orgID, userID)
	if err != nil {
		return before, ended, err
	}
	if before.Role == RoleAdmin {
		if err := needAnotherAdmin(ctx, tx, orgID, userID); err != nil {
			return before, ended, err
		}
	}
	if ended, err = endLinksOf(ctx, tx, orgID, userID); err != nil {
		return before, ended, err
	}
	err = tx.WithContext(ctx).Where("org_id = ? AND user_id = ?", orgID, userID).Delete(&PasswordReset{}).Error
	if err != nil {
		return before, ended, fmt.Errorf("end the reset links made for %s in organization %d: %w", userID, orgID, err)
	}
	err = tx.WithContext(ctx).Where("org_id = ? AND owner_id = ?", orgID, userID).Delete(&View{}).Error
	if err != nil {
		return before, ended, fmt.Errorf("remove the views of %s in organization %d: %w", userID, orgID, err)
	}
	err = tx.WithContext(ctx).Where("org_id = ? AND user_id = ?", orgID, userID).Delete(&Membership{}).Error
	if err != nil {
		return before, ended, fmt.Errorf("remove %s from organization %d: %w", userID, orgID, err)
	}
	return before, ended, nil
}

// endLinksOf ends the open links that somebody made as an admin of an organization. The caller holds
// its lock: who uses such a link holds it as well, and asks there whether its maker is an admin.
func endLinksOf(ctx context.Context, tx *gorm.DB, orgID int64, adminID string) (ended EndedLinks, err error) {
	now := models.TransactionNow(tx)
	invitations := openInvitations(tx.WithContext(ctx), now).
		Where("org_id = ? AND invited_by = ?", orgID, adminID).Delete(&Invitation{})
	if invitations.Error != nil {
		return ended, fmt.Errorf("end the invitations of %s to organization %d: %w", adminID, orgID, invitations.Error)
	}
	// A link made elsewhere, too: it took an admin of every organization of the account.
	resets := openPasswordResets(tx.WithContext(ctx), now).
		Where("made_by = ? AND (org_id = ? OR user_id IN (SELECT user_id FROM audit_memberships WHERE org_id = ?))", adminID, orgID, orgID).
		Delete(&PasswordReset{})
	if resets.Error != nil {
		return ended, fmt.Errorf("end the reset links of %s in organization %d: %w", adminID, orgID, resets.Error)
	}
	return EndedLinks{int(invitations.RowsAffected), int(resets.RowsAffected)}, nil
}

// endLinksOfOrganization ends the open links into an organization.
func endLinksOfOrganization(ctx context.Context, tx *gorm.DB, orgID int64) error {
	err := tx.WithContext(ctx).Where("org_id = ? AND used_at = 0", orgID).Delete(&Invitation{}).Error
	if err == nil {
		err = tx.WithContext(ctx).Where("org_id = ?", orgID).Delete(&PasswordReset{}).Error
	}
	if err != nil {
		return fmt.Errorf("end the links of organization %d: %w", orgID, err)
	}
	return nil
}

// isAdmin reports whether somebody is an admin of an organization.
func isAdmin(ctx context.Context, db *gorm.DB, orgID int64, userID string) (bool, error) {
	var found int64
	err := db.WithContext(ctx).Model(&Membership{}).
		Where("org_id = ? AND user_id = ? AND role = ?", orgID, userID, RoleAdmin).Count(&found).Error
	if err != nil {
		return false, fmt.Errorf("find the role of %s in organization %d: %w", userID, orgID, err)
	}
	return found > 0, nil
}

// LockMember reads a member of an organization that the rest of tx is going to change, as
// LockOrganization does. Errors: ErrNotFound for somebody who is no member, and those of LockOrganization.
func LockMember(ctx context.Context, tx *gorm.DB, orgID int64, userID string) (Member, error) {
	if _, err := models.LockOrganization(ctx, tx, orgID); err != nil {
		return Member{}, err
	}
	var found []Member
	err := membersOf(tx.WithContext(ctx), orgID).Where("m.user_id = ?", userID).Scan(&found).Error
	if err != nil {
		return Member{}, fmt.Errorf("find member %s of organization %d: %w", userID, orgID, err)
	}
	if len(found) == 0 {
		return Member{}, fmt.Errorf("member %s of organization %d: %w", userID, orgID, models.ErrNotFound)
	}
	return found[0], nil
}

// LockAsAdmin locks an organization, as LockOrganization does, for a change that takes an admin. What
// userID may do is read under the lock: somebody who was removed or made a member a moment ago
// changes nothing any more, and whoever wants to do that now waits until tx ends.
//
// Errors: ErrNotAdmin for another member, ErrNotFound for anybody else, and those of LockOrganization.
func LockAsAdmin(ctx context.Context, tx *gorm.DB, orgID int64, userID string) error {
	member, err := LockMember(ctx, tx, orgID, userID)
	if err == nil && member.Role != RoleAdmin {
		err = fmt.Errorf("%s in organization %d: %w", userID, orgID, models.ErrNotAdmin)
	}
	return err
}

// needAnotherAdmin returns ErrLastAdmin where userID is the only admin. The caller holds the
// organization's lock, so the answer stays true until the transaction ends.
func needAnotherAdmin(ctx context.Context, tx *gorm.DB, orgID int64, userID string) error {
	var others int64
	err := tx.WithContext(ctx).Model(&Membership{}).
		Where("org_id = ? AND user_id <> ? AND role = ?", orgID, userID, RoleAdmin).Count(&others).Error
	if err != nil {
		return fmt.Errorf("count the admins of organization %d: %w", orgID, err)
	}
	if others == 0 {
		return models.ErrLastAdmin
	}
	return nil
}
