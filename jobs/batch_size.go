package jobs

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// restPerBatch is how long the job rests on SQLite after a batch, beside how long that took: others may
// have waited for the transaction to end.
const restPerBatch = 2

// minBatchSize is the smallest batch worth its transaction, and the first. Where the disk is slow,
// smaller ones take as long.
func minBatchSize(dialect string) int {
	if dialect == "sqlite" {
		return 100
	}
	return 1000
}

// usualBatchTime is the default of RetentionConfig.BatchTime.
func usualBatchTime(dialect string) time.Duration {
	if dialect == "sqlite" {
		return 5 * time.Millisecond
	}
	return 2 * time.Millisecond
}

// batchSize is how many rows a transaction is about: as many as it can be in the time it should take.
type batchSize struct {
	size int
	aim  time.Duration // that time; zero for that of the configuration
}

// follow chooses the next size after a batch of p.size rows took that long where aim was wanted. Only a
// full batch says that a larger one is quick enough.
func (p *batchSize) follow(took, aim time.Duration, full bool) {
	next := int(float64(p.size) * float64(aim) / float64(max(took, 1)))
	next = max(next, p.size/4)
	if full {
		p.size = min(next, p.size*2)
	} else {
		p.size = min(next, p.size)
	}
}

// inBatches calls step with a size until it reports that there is no more; while there is, the batch was
// full. Each call has the time-out of a batch; after one that took too long the size is smaller.
func (r *Retention) inBatches(ctx context.Context, p *batchSize, step func(ctx context.Context, size int) (more bool, err error)) error {
	least := min(minBatchSize(r.store.Dialect()), r.config.BatchSize)
	for more := true; more; {
		p.size = min(max(p.size, least), r.config.BatchSize)
		if err := r.goOn(ctx); err != nil {
			return err
		}
		batch, cancel := context.WithTimeout(ctx, r.config.BatchTimeout)
		began := time.Now()
		var err error
		more, err = step(batch, p.size)
		took := time.Since(began)
		tooLong := batch.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err == nil:
			p.follow(took, cmp.Or(p.aim, r.config.BatchTime), more)
			if r.store.Dialect() == "sqlite" {
				sleep(ctx, restPerBatch*took)
			}
		case tooLong && p.size > least:
			p.size /= 4
			more, err = true, nil
		case tooLong:
			err = fmt.Errorf("%w (%s): %w", errTooLong, r.config.BatchTimeout, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sleep returns early when ctx ends.
func sleep(ctx context.Context, duration time.Duration) {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
