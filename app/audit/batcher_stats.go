package audit

import (
	"errors"
	"fmt"
)

// A Batcher returns these where it did not store an event.
var (
	// ErrQueueFull reports that as many events wait as may.
	ErrQueueFull = errors.New("audit: the queue is full")
	// ErrBatcherClosed reports that the Batcher takes no more events, or was closed before this one's
	// turn.
	ErrBatcherClosed = errors.New("audit: the batcher is closed")
)

// BatcherStats are a Batcher's counters since it was made. Every call of Record is counted once: while it
// is in the queue or being committed in Waiting, when the outcome is known in one of the others.
type BatcherStats struct {
	Recorded  int64 // committed
	NotStored int64 // valid, but audit logging is off
	Refused   int64 // cannot be stored, by the event's fault
	Failed    int64 // withdrawn, turned away by a full queue, or given up when the database failed
	Waiting   int   // in the queue or being committed
	Batches   int64 // transactions committed
}

// Stats may be called at any time.
func (b *Batcher) Stats() BatcherStats {
	return BatcherStats{
		Recorded:  b.queue.Recorded.Load(),
		NotStored: b.queue.NotStored.Load(),
		Refused:   b.queue.Refused.Load(),
		Failed:    b.queue.Failed.Load(),
		Waiting:   b.queue.Waiting(),
		Batches:   b.batches.Load(),
	}
}

// UnflushedError lists what a Batcher could not record while it was being closed.
type UnflushedError struct {
	Events []UnflushedEvent
}

// UnflushedEvent is an event that was accepted and not recorded.
type UnflushedEvent struct {
	// Event holds what it had from the caller's context, so that it can be kept as JSON, and recorded
	// later. It holds when it occurred too, unless it has an ID and had no time: with one it would be
	// another event.
	Event Event
	// Err is what Record returned: ErrOutcomeUnknown where the event may be stored nevertheless.
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
