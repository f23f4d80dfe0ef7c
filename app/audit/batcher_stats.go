package audit

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// These say that a Batcher did not store an event.
var (
	// ErrQueueFull says that as many events wait as may.
	ErrQueueFull = errors.New("audit: the queue is full")
	// ErrBatcherClosed says that the Batcher takes no more events, or was closed before this one's
	// turn.
	ErrBatcherClosed = errors.New("audit: the batcher is closed")
)

// Stats are a Batcher's counters since it was made. Every call of Record is counted once: while it
// is in the queue or being committed in Waiting, when the outcome is known in one of the others.
type Stats struct {
	Recorded  int64 // committed
	NotStored int64 // valid, but audit logging is off
	Refused   int64 // cannot be stored, by the event's fault
	Failed    int64 // withdrawn, turned away by a full queue, or given up when the database failed
	Waiting   int   // in the queue or being committed
	Batches   int64 // transactions committed
}

// Stats may be called at any time.
func (b *Batcher) Stats() Stats {
	return Stats{
		Recorded:  b.tally.recorded.Load(),
		NotStored: b.tally.notStored.Load(),
		Refused:   b.tally.refused.Load(),
		Failed:    b.tally.failed.Load(),
		Waiting:   b.queue.waiting(),
		Batches:   b.tally.batches.Load(),
	}
}

// UnflushedError lists what a Batcher could not record while it was being closed.
type UnflushedError struct {
	Events []UnflushedEvent
}

// UnflushedEvent is an event that was accepted and not recorded.
type UnflushedEvent struct {
	// Event says by itself what it had from the caller's context, so that it can be kept as JSON, and
	// recorded later. It says when it occurred too, unless it has an ID and said no time: with one it
	// would be another event.
	Event Event
	// Err is what Record answered: ErrOutcomeUnknown where the event may be stored nevertheless.
	Err error
}

func (e *UnflushedError) Error() string {
	return fmt.Sprintf("audit: closing the batcher left %d events unrecorded; the first: %v", len(e.Events), e.Events[0].Err)
}

// Unwrap lets errors.Is and errors.As look into every event's error.
func (e *UnflushedError) Unwrap() []error {
	errs := make([]error, len(e.Events))
	for i, event := range e.Events {
		errs[i] = event.Err
	}
	return errs
}

// tally is what became of a Batcher's events.
type tally struct {
	recorded, notStored, refused, failed, batches atomic.Int64

	mutex sync.Mutex
	lost  []UnflushedEvent
}

func (t *tally) unflushed(event Event, err error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.lost = append(t.lost, UnflushedEvent{event, err})
}

func (t *tally) unflushedError() error {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if len(t.lost) == 0 {
		return nil
	}
	return &UnflushedError{t.lost}
}
