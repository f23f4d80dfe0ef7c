package database

import (
	"context"
	"database/sql"
	"log/slog"
	"sync"
	"time"
)

// SQLite writes to a log first, which has to be moved into the file from time to time: a checkpoint. By
// default whoever makes the log longer than it should be does so, while all others wait. Here it is done
// beside those who write.

const (
	// checkpointLook is how often the log is looked at.
	checkpointLook = 50 * time.Millisecond
	// checkpointPages in the log are worth moving: 2 MB. The end of each index, where most entries go, is
	// moved once for many of them; and writing more at a time keeps those waiting who commit meanwhile.
	checkpointPages = 500
	// restartPages in the log, 32 MB, are enough for it to begin anew.
	restartPages = 8000
	// checkpointWarning is how often it is said that the log cannot be moved, as on a full disk.
	checkpointWarning = time.Minute
	// automaticPages are so many that whoever writes moves them after all: 256 MB, where a checkpoint
	// cannot keep up.
	automaticPages = "64000"
)

// checkpoints moves the log of a SQLite database into its file. Its pools are the database's, past GORM:
// what it asks is not one of the statements of whoever uses the database.
type checkpoints struct {
	read, write *sql.DB
	file        *sqliteFile
	log         *slog.Logger
	stop        context.CancelFunc
	ended       sync.WaitGroup
}

func beginCheckpoints(db *DB, file *sqliteFile, log *slog.Logger) (*checkpoints, error) {
	read, err := db.Read.DB()
	if err != nil {
		return nil, err
	}
	write, err := db.Write.DB()
	if err != nil {
		return nil, err
	}
	c := &checkpoints{read: read, write: write, file: file, log: log}
	var ctx context.Context
	ctx, c.stop = context.WithCancel(context.Background())
	c.ended.Go(func() {
		var warned time.Time
		look := time.NewTicker(checkpointLook)
		defer look.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-look.C:
			}
			// Another process may be moving it.
			if err := c.move(ctx); err != nil && ctx.Err() == nil && !IsBusy(err) && time.Since(warned) >= checkpointWarning {
				warned = time.Now()
				c.log.Warn("move SQLite's log into its file", "error", err)
			}
		}
	})
	return c, nil
}

// Close waits for a checkpoint under way.
func (c *checkpoints) Close() {
	if c != nil {
		c.stop()
		c.ended.Wait()
	}
}

// move moves what is in the log into the file, where it is worth it. It waits for nobody who reads: what
// they may still need stays in the log.
func (c *checkpoints) move(ctx context.Context) error {
	_, left, err := checkpoint(ctx, c.read, "NOOP")
	if err != nil || left < checkpointPages {
		return err
	}
	pages, _, err := c.moveBeside(ctx)
	if err != nil || pages < restartPages {
		return err
	}
	// Whoever writes next begins the log anew if all of it was moved, which it never is while others
	// write. So they wait here, in turn, for what has come since, as little of it as can be.
	if _, left, err = c.moveBeside(ctx); err == nil && left < checkpointPages {
		if _, left, err = checkpoint(ctx, c.write, "PASSIVE"); err == nil && left == 0 {
			c.log.Debug("SQLite's log begins anew", "pages", pages)
		}
	}
	return err
}

// moveBeside moves what is in the log while others write, as checkpoint does.
func (c *checkpoints) moveBeside(ctx context.Context) (pages, left int, err error) {
	if pages, left, err = checkpoint(ctx, c.read, "PASSIVE"); err == nil {
		err = c.file.Sync() // which SQLite leaves to the checkpoint that moves the last page
	}
	return pages, left, err
}

// checkpoint returns how many pages the log has, and how many of them are not in the file.
func checkpoint(ctx context.Context, pool *sql.DB, mode string) (pages, left int, err error) {
	var busy, moved int
	err = pool.QueryRowContext(ctx, "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &pages, &moved)
	return pages, pages - moved, err
}
