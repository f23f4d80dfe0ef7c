package commands

import (
	"context"
	"errors"
	"fmt"

	"github.com/auditlogs/auditlogs/app/audit/migrate"
	"github.com/auditlogs/auditlogs/app/database"
)

type migrateCommand struct {
	databaseFlags
	Citus bool `help:"Distribute the log over the nodes of Citus. A log without entries is distributed without being asked."`
}

func (c *migrateCommand) Run(ctx context.Context, to streams) error {
	db, err := database.Open(ctx, c.url(false), c.log(to))
	if err != nil {
		return err
	}
	up := migrate.Up
	if c.Citus {
		up = migrate.Distribute
	}
	if err := errors.Join(up(ctx, db.Write), db.Close()); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	fmt.Fprintln(to.stdout, "The schema is up to date.")
	return nil
}
