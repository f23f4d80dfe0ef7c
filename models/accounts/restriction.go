package accounts

import (
	"context"
	"fmt"

	"github.com/auditlogs/auditlogs/models"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Restriction is what those with a role may not see of an organization's log. Admins see all of it, and so do API keys,
// which only admins make.
type Restriction struct {
	OrgID          int64 `gorm:"primaryKey;autoIncrement:false"`
	Role           Role  `gorm:"primaryKey"`
	HiddenActions  models.ActionPatterns
	MetadataHidden bool
}

func (Restriction) TableName() string { return "audit_restrictions" }

// RestrictedRoles are the roles that something can be kept from.
var RestrictedRoles = []Role{RoleMember, RoleAuditor}

// hidden is the restriction as questions about the log go by it; nil where nothing is hidden.
func (r Restriction) hidden() *models.Restriction {
	if r.HiddenActions == "" && !r.MetadataHidden {
		return nil
	}
	return &models.Restriction{Actions: r.HiddenActions, Metadata: r.MetadataHidden}
}

// Restrictions lists what is kept from each of RestrictedRoles.
func (s *Store) Restrictions(ctx context.Context, orgID int64) ([]Restriction, error) {
	var found, all []Restriction
	if err := s.store.Reader(ctx).Where("org_id = ?", orgID).Find(&found).Error; err != nil {
		return nil, fmt.Errorf("read what organization %d keeps from roles: %w", orgID, err)
	}
	for _, role := range RestrictedRoles {
		restriction := Restriction{OrgID: orgID, Role: role}
		for _, r := range found {
			if r.Role == role {
				restriction = r
			}
		}
		all = append(all, restriction)
	}
	return all, nil
}

// SetRestriction says what is kept from those with to.Role from now on, and returns what was before. Nothing is written
// where nothing changes. Errors: those of LockOrganization.
func SetRestriction(ctx context.Context, tx *gorm.DB, to Restriction) (before Restriction, err error) {
	before = Restriction{OrgID: to.OrgID, Role: to.Role}
	if _, err := models.LockOrganization(ctx, tx, to.OrgID); err != nil {
		return before, err
	}
	err = tx.WithContext(ctx).Where("org_id = ? AND role = ?", to.OrgID, to.Role).Limit(1).Find(&before).Error
	if err == nil && before != to {
		err = tx.WithContext(ctx).Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "org_id"}, {Name: "role"}},
			DoUpdates: clause.AssignmentColumns([]string{"hidden_actions", "metadata_hidden"}),
		}).Create(&to).Error
	}
	if err != nil {
		return before, fmt.Errorf("change what organization %d keeps from a role: %w", to.OrgID, err)
	}
	return before, nil
}
