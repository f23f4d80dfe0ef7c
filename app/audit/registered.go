package audit

import (
	"context"
	"database/sql"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
)

// SaveRegistered stores the actions that this program has declared with action.Register, so that the filters of
// the log, which another process shows, offer them before the first entry. migrate.Up does it too: call it once
// at start where an operator migrates instead.
//
// Give it a pool rather than a transaction. It writes only what is not there yet, so from the second start on it
// is one small question. What was stored once stays, also when a later version of the program does not register it.
func SaveRegistered(ctx context.Context, db *gorm.DB) error {
	if err := checkHandle(db); err != nil {
		return err
	}
	if err := models.SaveRegisteredActions(ctx, models.Fresh(db), action.Registered()); err != nil {
		return databaseError(db.Name(), err)
	}
	return nil
}

// SaveRegistered stores the actions this program has registered: see the function SaveRegistered.
func (d Dialect) SaveRegistered(ctx context.Context, db *sql.DB) error {
	_, err := within(ctx, d, db, func(db *gorm.DB) (none struct{}, err error) { return none, SaveRegistered(ctx, db) })
	return err
}
