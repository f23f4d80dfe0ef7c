package database

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"gorm.io/gorm"
)

// SQLite writes to a log first, which has to be moved into the file from time to time: a checkpoint. By
// default whoever makes the log longer than it should be does so, while all others wait. Here it is done
// beside those who write.

const (
	// checkpointLook is how often the log is looked at.
	checkpointLook = 100 * time.Millisecond
	// checkpointPages in the log are worth moving: 4 MB. The end of each index, where most entries go, is
	// moved once for many of them.
	checkpointPages = 1000
	// restartPages in the log, 16 MB, are enough for it to begin anew.
	restartPages = 4000
	// automaticPages are so many that whoever writes moves them after all: 256 MB, where a checkpoint
	// cannot keep up.
	automaticPages = "64000"
)

// checkpoints moves the log of a SQLite database into its file.
type checkpoints struct {
	db    *DB
	log   *slog.Logger
	stop  context.CancelFunc
	ended sync.WaitGroup
}

func beginCheckpoints(db *DB, log *slog.Logger) *checkpoints {
	c := &checkpoints{db: db, log: log}
	var ctx context.Context
	ctx, c.stop = context.WithCancel(context.Background())
	c.ended.Go(func() {
		look := time.NewTicker(checkpointLook)
		defer look.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-look.C:
			}
			if err := c.move(ctx); err != nil && ctx.Err() == nil {
				c.log.Warn("move SQLite's log into its file", "error", err)
			}
		}
	})
	return c
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
	pages, moved, err := checkpoint(ctx, c.db.Read, "NOOP")
	if err == nil && pages-moved >= checkpointPages {
		pages, moved, err = checkpoint(ctx, c.db.Read, "PASSIVE")
	}
	// Whoever writes next begins the log anew if all of it was moved, which it never is while others
	// write. So they wait here, in turn, for the little that is left.
	if err == nil && pages >= restartPages && pages-moved < checkpointPages {
		_, _, err = checkpoint(ctx, c.db.Write, "PASSIVE")
	}
	return err
}

// checkpoint says how many pages the log has, and how many of them are in the file.
func checkpoint(ctx context.Context, db *gorm.DB, mode string) (pages, moved int, err error) {
	var busy int
	err = db.WithContext(ctx).Raw("PRAGMA wal_checkpoint("+mode+")").Row().Scan(&busy, &pages, &moved)
	return pages, moved, err
}
