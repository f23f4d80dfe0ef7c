package commands

import (
	"context"
	"fmt"

	"github.com/auditlogs/auditlogs/app/backup"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/views"
)

type backupCommand struct {
	databaseFlags
	File string `arg:"" help:"New file for the copy."`
}

// Run copies the database to the file while servers and applications go on.
func (c *backupCommand) Run(ctx context.Context, to streams) error {
	return c.withDatabase(ctx, to, func(db *database.DB) error {
		summary, err := backup.Write(ctx, db, c.url(false), c.File)
		if err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		_, err = fmt.Fprintf(to.stdout, "%s, and all that belongs to them, are in %s (%.1f MB), which was read again and is whole. The secret key is not in it.\n",
			views.Count(int(summary.Entries), "entry", "entries"), c.File, float64(summary.Bytes)/1e6)
		return err
	})
}

type restoreCommand struct {
	databaseFlags
	File string `arg:"" help:"File that auditlogs backup has made."`
}

// Run makes a database of the file.
func (c *restoreCommand) Run(ctx context.Context, to streams) error {
	summary, err := backup.Restore(ctx, c.File, c.url(false), c.log(to))
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	_, err = fmt.Fprintf(to.stdout, "%s, and all that belongs to them, are restored and compared with the file. What has expired since is deleted by the next clean-up.\n", views.Count(int(summary.Entries), "entry", "entries"))
	return err
}
