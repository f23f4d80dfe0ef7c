package accounts

import (
	"context"
	"fmt"

	"github.com/auditlogs/auditlogs/models"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// LastChange is who changed a setting of an organization last, and when: whoever was about to change
// it as well is told so. It outlives entries, and what was changed.
//
// Retention and switch have the settings history instead.
type LastChange struct {
	OrgID      int64         `gorm:"primaryKey;autoIncrement:false"`
	Setting    string        `gorm:"primaryKey"`
	ChangedAt  models.Micros // zero: nobody changed it since this is kept
	ActorID    string
	ActorName  string // as it was then
	ActorEmail string
}

func (LastChange) TableName() string { return "audit_last_changes" }

// The settings of which the last change is kept.
const (
	SettingName   = "name"
	SettingGitHub = "github"
)

// SettingLink is the link of an entity type.
func SettingLink(entityType string) string { return "link:" + entityType }

// SettingMasking is what is masked of the events that come with an API key.
func SettingMasking(keyID string) string { return "masking:" + keyID }

// SettingRestriction is what is kept from those with a role.
func SettingRestriction(role Role) string { return "restriction:" + string(role) }

// SettingView is a view that an organization shares.
func SettingView(id string) string { return "view:" + id }

// SettingRole is the role of a member, and whether they are one.
func SettingRole(userID string) string { return "role:" + userID }

// NoteChange keeps in the caller's transaction that actor changed a setting just now.
func NoteChange(ctx context.Context, tx *gorm.DB, orgID int64, setting string, actor models.Actor) error {
	change := LastChange{
		OrgID: orgID, Setting: setting, ChangedAt: models.MicrosOf(models.TransactionNow(tx)),
		ActorID: actor.ID, ActorName: actor.Name, ActorEmail: actor.Email,
	}
	err := tx.WithContext(ctx).Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "org_id"}, {Name: "setting"}},
		DoUpdates: clause.AssignmentColumns([]string{"changed_at", "actor_id", "actor_name", "actor_email"}),
	}).Create(&change).Error
	if err != nil {
		return fmt.Errorf("keep who changed %s: %w", setting, err)
	}
	return nil
}

// LastChangeOf reads who changed a setting last; the zero LastChange where that is not known.
func LastChangeOf(ctx context.Context, tx *gorm.DB, orgID int64, setting string) (LastChange, error) {
	var change LastChange
	err := tx.WithContext(ctx).Where("org_id = ? AND setting = ?", orgID, setting).Limit(1).Find(&change).Error
	if err != nil {
		return change, fmt.Errorf("read who changed %s: %w", setting, err)
	}
	return change, nil
}
