package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/internal/recorder"
	"github.com/auditlogs/auditlogs/models"
)

const (
	// maxBatchMetadata is how many bytes of metadata make a batch large enough: a batch goes to the
	// database in one piece.
	maxBatchMetadata = 4 << 20
	// attemptTimeout is when a transaction is given up as hanging.
	attemptTimeout = 20 * time.Second
	// firstPause and longestPause are between attempts.
	firstPause   = 20 * time.Millisecond
	longestPause = time.Second
)

// batchedEvent is an event on its way through a Batcher.
type batchedEvent struct {
	event  Event
	entry  models.NewEntry
	unsure bool // an attempt may have been committed
}

type batchItem = recorder.Item[*batchedEvent]

// write stores what gathers in the queue until that is closed and empty.
func (b *Batcher) write() {
	for batch := range b.queue.Batches() {
		b.store(batch)
	}
}

// store records a batch and settles every event of it.
func (b *Batcher) store(batch []*batchItem) {
	results, err := b.insert(batch)
	var lost *givenUpError
	switch {
	case err == nil:
		for i, item := range batch {
			b.settle(item, results[i])
		}
	case errors.As(err, &lost):
		for _, item := range batch {
			b.queue.Fail(item, b.lost(item.Value, lost.reason))
		}
	case len(batch) == 1:
		b.queue.Settle(batch[0], Receipt{}, b.lost(batch[0].Value, err))
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
func (b *Batcher) insert(batch []*batchItem) ([]models.InsertResult, error) {
	entries := make([]models.NewEntry, len(batch))
	for i, item := range batch {
		entries[i] = item.Value.entry
	}
	stopped := b.queue.Stopped
	backoff := recorder.Backoff{Next: firstPause, Longest: longestPause, Until: time.Now().Add(b.config.RetryFor)}
	for {
		if stopped.Err() != nil {
			return nil, &givenUpError{ErrBatcherClosed}
		}
		results, reached, err := b.attempt(entries)
		if err == nil {
			b.batches.Add(1)
			b.names.Add(results)
			return results, nil
		}
		temporary := models.Temporary(err)
		anyEvents := reached == nothing || knownError(b.db.Name(), err) != nil // it is no event's fault
		err = databaseError(b.db.Name(), err)
		if stopped.Err() == nil && !temporary && !anyEvents {
			return nil, err
		}
		for _, item := range batch {
			item.Value.unsure = item.Value.unsure || reached == theCommit
		}
		wait, again := backoff.Pause(0)
		switch {
		case stopped.Err() != nil:
			return nil, &givenUpError{fmt.Errorf("%w: %w", ErrBatcherClosed, err)}
		case !temporary || !again:
			return nil, &givenUpError{err}
		}
		recorder.Sleep(stopped, wait)
	}
}

// progress is how far a transaction came.
type progress int

const (
	nothing       progress = iota // it could not begin, which is no event's fault
	theStatements                 // one of them failed
	theCommit                     // with the connection lost then, nobody knows whether it was committed
)

// attempt is one transaction. Where there is an error, reached is how far it came.
func (b *Batcher) attempt(entries []models.NewEntry) (results []models.InsertResult, reached progress, err error) {
	ctx, cancel := context.WithTimeout(b.queue.Stopped, attemptTimeout)
	defer cancel()
	defer func() {
		if problem := recover(); problem != nil {
			err = fmt.Errorf("recording panicked: %v", problem)
		}
	}()
	err = b.db.WithContext(ctx).Transaction(func(tx *gorm.DB) (err error) {
		reached = theStatements
		results, err = models.InsertEntries(ctx, models.HandleOf(tx), entries, models.BatchOptions{Names: b.names})
		if err == nil {
			reached = theCommit
		}
		return err
	}, models.TransactionOptions(b.db)...)
	return results, reached, err
}

// givenUpError is why a batch was given up, by no fault of its events.
type givenUpError struct{ reason error }

func (e *givenUpError) Error() string { return e.reason.Error() }

// settle settles an event of a transaction that was committed.
func (b *Batcher) settle(item *batchItem, result models.InsertResult) {
	e := item.Value
	if e.unsure && result.ID == e.entry.Entry.ID {
		result.Repeated = false // what it seems to repeat is an attempt of its own
	}
	receipt, err := result.Receipt(e.entry)
	b.queue.Settle(item, receipt, err)
}

// lost returns the error for an event that no attempt is known to have recorded, and keeps it for Close.
func (b *Batcher) lost(e *batchedEvent, err error) error {
	if e.unsure {
		err = fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	if b.queue.Closed() {
		b.mutex.Lock()
		defer b.mutex.Unlock()
		b.unflushed = append(b.unflushed, UnflushedEvent{e.event, err})
	}
	return err
}
