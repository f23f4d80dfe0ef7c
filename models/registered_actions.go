package models

import (
	"context"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
)

// SaveRegisteredActions adds those of actions that db does not hold yet. It writes only if there are any:
// on SQLite writing would wait for others who write.
func SaveRegisteredActions(ctx context.Context, db *gorm.DB, actions []action.Action) error {
	if len(actions) == 0 {
		return nil
	}
	db = db.WithContext(ctx)
	var there []action.Action
	err := db.Raw("SELECT action FROM audit_registered_actions").Scan(&there).Error
	for _, one := range actions {
		if err == nil && !slices.Contains(there, one) {
			err = db.Exec("INSERT INTO audit_registered_actions (action) VALUES (?) ON CONFLICT DO NOTHING", one).Error
		}
	}
	if err != nil {
		return fmt.Errorf("save the registered actions: %w", err)
	}
	return nil
}
