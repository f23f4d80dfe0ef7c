package commands

import (
	"context"
	"errors"
	"fmt"

	"github.com/auditlogs/auditlogs/app/database"
)

type migrateCommand struct {
	databaseFlags
}

func (c *migrateCommand) Run(ctx context.Context, to streams) error {
	db, err := database.Open(ctx, c.url(false), c.log(to))
	if err != nil {
		return err
	}
	if err := errors.Join(db.Migrate(ctx), db.Close()); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	fmt.Fprintln(to.stdout, "The schema is up to date.")
	return nil
}
