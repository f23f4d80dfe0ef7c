package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/models"
)

// withExistingStore opens a database for commands that only add to it: they make none, and leave its
// schema alone, for scripts run them without a thought of either. It closes it after do.
func withExistingStore(ctx context.Context, databaseURL string, log *slog.Logger, do func(*models.Store) error) (err error) {
	if err := database.CheckExists(databaseURL); err != nil {
		return err
	}
	db, err := database.Open(ctx, databaseURL, log)
	if err != nil {
		return Unfinished{err}
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	current, err := db.UpToDate(ctx)
	switch {
	case err != nil:
		return Unfinished{fmt.Errorf("database: %w", err)}
	case !current:
		return errors.New("database: its schema is not this version's: run auditlogs migrate first")
	}
	store, err := db.Store(nil)
	if err != nil {
		return err
	}
	return do(store)
}
