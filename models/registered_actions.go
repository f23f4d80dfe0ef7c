package models

import (
	"context"
	"fmt"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
)

// registeredAction is an action that an application declared as its own.
type registeredAction struct{ Action action.Action }

func (registeredAction) TableName() string { return "audit_registered_actions" }

// SaveRegisteredActions adds those of actions that db does not hold yet. It writes only where there are any:
// on SQLite writing would wait for others who write.
func SaveRegisteredActions(ctx context.Context, db *gorm.DB, actions []action.Action) error {
	if len(actions) == 0 {
		return nil
	}
	db = db.WithContext(ctx)
	var there []action.Action
	err := db.Model(&registeredAction{}).Pluck("action", &there).Error
	var missing []registeredAction
	for _, one := range actions {
		if !slices.Contains(there, one) {
			missing = append(missing, registeredAction{one})
		}
	}
	if err == nil && len(missing) > 0 {
		err = db.Clauses(clause.OnConflict{DoNothing: true}).Create(&missing).Error
	}
	if err != nil {
		return fmt.Errorf("save the registered actions: %w", err)
	}
	return nil
}
