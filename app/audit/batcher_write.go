package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/models"
)

const (
	// attemptTimeout is when a transaction is given up as hanging.
	attemptTimeout = 20 * time.Second
	// firstPause and longestPause are between attempts; each pause is twice the one before.
	firstPause   = 20 * time.Millisecond
	longestPause = time.Second
)

// write stores what gathers in the queue until that is closed and empty.
func (b *Batcher) write() {
	for {
		batch := b.queue.take(b.config.MaxBatch)
		if len(batch) == 0 {
			return
		}
		b.store(batch)
	}
}

// store records a batch and answers every event of it.
func (b *Batcher) store(batch []*queuedEvent) {
	results, err := b.insert(batch)
	var lost *givenUpError
	switch {
	case err == nil:
		for i, item := range batch {
			b.settle(item, results[i])
		}
	case errors.As(err, &lost):
		for _, item := range batch {
			b.fail(item, item.because(lost.reason))
		}
	case len(batch) == 1:
		b.refuse(batch[0], batch[0].because(err))
	default:
		// One of them is to blame: the others are recorded without it.
		half := len(batch) / 2
		b.store(batch[:half])
		b.store(batch[half:])
	}
}

// insert stores a batch in one transaction, again and again while that fails for a temporary reason.
// The IDs are the same at every attempt, so that one which was committed unnoticed counts. The error
// is a *givenUpError, or an event's fault.
func (b *Batcher) insert(batch []*queuedEvent) ([]models.InsertResult, error) {
	entries := make([]models.NewEntry, len(batch))
	for i, item := range batch {
		entries[i] = item.entry
	}
	began, pause := time.Now(), firstPause
	for {
		if b.stopped.Err() != nil {
			return nil, &givenUpError{ErrBatcherClosed}
		}
		results, reached, err := b.attempt(entries)
		if err == nil {
			b.tally.batches.Add(1)
			b.names.Add(results)
			return results, nil
		}
		stopped, temporary := b.stopped.Err() != nil, models.Temporary(err)
		if !stopped && !temporary && reached != nothing {
			return nil, fmt.Errorf("audit: %w", err)
		}
		for _, item := range batch {
			item.unsure = item.unsure || reached == theCommit
		}
		switch {
		case stopped:
			return nil, &givenUpError{fmt.Errorf("%w: %w", ErrBatcherClosed, err)}
		case !temporary || time.Since(began)+pause > b.config.RetryFor:
			return nil, &givenUpError{fmt.Errorf("audit: not recorded: %w", err)}
		}
		select {
		case <-time.After(pause):
		case <-b.stopped.Done():
		}
		pause = min(2*pause, longestPause)
	}
}

// progress is how far a transaction came.
type progress int

const (
	nothing       progress = iota // it could not begin, which is no event's fault
	theStatements                 // one of them failed
	theCommit                     // with the connection lost then, nobody knows whether it was committed
)

// attempt is one transaction, and says how far it came where there is an error.
func (b *Batcher) attempt(entries []models.NewEntry) (results []models.InsertResult, reached progress, err error) {
	ctx, cancel := context.WithTimeout(b.stopped, attemptTimeout)
	defer cancel()
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("recording panicked: %v", problem)
		}
	}()
	err = b.db.WithContext(ctx).Transaction(func(tx *gorm.DB) (err error) {
		reached = theStatements
		results, err = models.InsertEntries(ctx, tx, entries, models.BatchOptions{Names: b.names})
		if err == nil {
			reached = theCommit
		}
		return err
	})
	return results, reached, err
}

// givenUpError is why a batch was given up, by no fault of its events.
type givenUpError struct{ reason error }

func (e *givenUpError) Error() string { return e.reason.Error() }

// because is the error for an event that no attempt is known to have recorded.
func (item *queuedEvent) because(reason error) error {
	if item.unsure {
		return fmt.Errorf("%w: %w", ErrOutcomeUnknown, reason)
	}
	return reason
}

// settle answers for an event of a transaction that was committed.
func (b *Batcher) settle(item *queuedEvent, result models.InsertResult) {
	if item.unsure && result.ID == item.entry.Entry.ID {
		result.Repeated = false // what it seems to repeat is an attempt of its own
	}
	receipt, err := result.Receipt(item.entry)
	switch {
	case err != nil:
		b.tally.refused.Add(1)
	case receipt.Stored:
		b.tally.recorded.Add(1)
	default:
		b.tally.notStored.Add(1)
	}
	b.queue.settled()
	item.answer <- answer{receipt, err}
}

// refuse answers for an event that the database does not take.
func (b *Batcher) refuse(item *queuedEvent, err error) {
	b.tally.refused.Add(1)
	b.lose(item, err)
}

// fail answers for an event that could not be recorded, by no fault of its own.
func (b *Batcher) fail(item *queuedEvent, err error) {
	b.tally.failed.Add(1)
	b.lose(item, err)
}

func (b *Batcher) lose(item *queuedEvent, err error) {
	if b.queue.isClosed() {
		b.tally.unflushed(item.event, err)
	}
	b.queue.settled()
	item.answer <- answer{err: err}
}
