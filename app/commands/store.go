package commands

import (
	"context"
	"errors"
	"fmt"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/models"
)

// withDatabase calls do with the database, which is there and has the schema of this version, and closes it
// afterwards: only serve, migrate and restore make a database or change its schema, and so none is made by a mistyped
// address.
func (f *databaseFlags) withDatabase(ctx context.Context, to streams, do func(*database.DB) error) (err error) {
	if err := database.CheckExists(f.url(false)); err != nil {
		return err
	}
	db, err := database.Open(ctx, f.url(false), f.log(to))
	if err != nil {
		return unfinished{err}
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	current, err := db.UpToDate(ctx)
	switch {
	case err != nil:
		return unfinished{fmt.Errorf("database: %w", err)}
	case !current:
		return errors.New("database: its schema is not this version's: run auditlogs migrate first")
	}
	if err = do(db); err != nil && ctx.Err() != nil {
		err = unfinished{err}
	}
	return err
}

// withStore is withDatabase for what goes by its rows.
func (f *databaseFlags) withStore(ctx context.Context, to streams, do func(*models.Store) error) error {
	return f.withDatabase(ctx, to, func(db *database.DB) error {
		store, err := db.Store(nil)
		if err != nil {
			return err
		}
		return do(store)
	})
}
