package audit

import (
	"container/list"
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/auditlogs/auditlogs/models"
)

// maxBatchMetadata is how many bytes of metadata make a batch large enough: a batch goes to the
// database in one piece.
const maxBatchMetadata = 4 << 20

// queuedEvent is an event on its way through a Batcher.
type queuedEvent struct {
	event  Event
	entry  models.NewEntry
	answer chan answer // takes one without waiting for a reader
	place  *list.Element
	unsure bool // an attempt may have been committed
}

type answer struct {
	receipt Receipt
	err     error
}

// eventQueue holds events that wait for a transaction, oldest first.
type eventQueue struct {
	room    chan struct{} // holds one for each event that waits or is about to
	closing chan struct{}

	mutex  sync.Mutex
	filled sync.Cond
	events list.List
	closed bool

	taken atomic.Int64 // events taken and not settled
}

func newEventQueue(size int) *eventQueue {
	q := &eventQueue{room: make(chan struct{}, size), closing: make(chan struct{})}
	q.filled.L = &q.mutex
	return q
}

// push adds an event. A full queue is waited for, or answers ErrQueueFull.
func (q *eventQueue) push(ctx context.Context, item *queuedEvent, wait bool) error {
	if ctx.Err() != nil {
		return fmt.Errorf("audit: not recorded: %w", context.Cause(ctx))
	}
	select {
	case q.room <- struct{}{}:
	default:
		if !wait {
			return ErrQueueFull
		}
		select {
		case q.room <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("audit: not recorded: %w", context.Cause(ctx))
		case <-q.closing:
			return ErrBatcherClosed
		}
	}
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if q.closed {
		<-q.room
		return ErrBatcherClosed
	}
	item.place = q.events.PushBack(item)
	q.filled.Signal()
	return nil
}

// withdraw takes an event out of the queue, unless a writer has.
func (q *eventQueue) withdraw(item *queuedEvent) bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if item.place == nil {
		return false
	}
	q.remove(item)
	return true
}

// remove expects the mutex to be held.
func (q *eventQueue) remove(item *queuedEvent) {
	q.events.Remove(item.place)
	item.place = nil
	<-q.room
}

// take waits for events and answers the oldest, at most most; none once the queue is closed and
// empty. The caller settles each of them.
func (q *eventQueue) take(most int) []*queuedEvent {
	for q.await() {
		q.gather(most)
		if batch := q.pop(most); len(batch) > 0 {
			return batch
		}
		// Another writer was faster.
	}
	return nil
}

// await returns when there are events, or with false when there will be none.
func (q *eventQueue) await() bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	for q.events.Len() == 0 && !q.closed {
		q.filled.Wait()
	}
	return q.events.Len() > 0
}

// gather lets other goroutines run as long as they bring more events. Callers who have just been
// answered often have another one at once; without this they would fall into groups that wait for
// each other's commits.
func (q *eventQueue) gather(most int) {
	for n, before := q.length(), -1; n > before && n < most; n = q.length() {
		before = n
		runtime.Gosched()
	}
}

func (q *eventQueue) length() int {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return q.events.Len()
}

func (q *eventQueue) pop(most int) []*queuedEvent {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	batch := make([]*queuedEvent, 0, min(most, q.events.Len()))
	for size := 0; len(batch) < most && q.events.Len() > 0; {
		item := q.events.Front().Value.(*queuedEvent)
		if size += len(item.entry.Entry.Metadata); size > maxBatchMetadata && len(batch) > 0 {
			break
		}
		q.remove(item)
		batch = append(batch, item)
	}
	q.taken.Add(int64(len(batch)))
	return batch
}

// settled notes that an event that was taken is about to be answered.
func (q *eventQueue) settled() { q.taken.Add(-1) }

// waiting is how many events are in the queue, or taken and not settled.
func (q *eventQueue) waiting() int {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return q.events.Len() + int(q.taken.Load())
}

// close lets nothing in any more.
func (q *eventQueue) close() {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if !q.closed {
		q.closed = true
		close(q.closing)
		q.filled.Broadcast()
	}
}

func (q *eventQueue) isClosed() bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return q.closed
}
