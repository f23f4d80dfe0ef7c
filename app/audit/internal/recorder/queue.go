// Package recorder is what audit.Batcher and client.Client have in common: a queue in which the events of many
// goroutines wait to be recorded together, counters of what became of them, and pauses between attempts.
package recorder

import (
	"container/list"
	"context"
	"fmt"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/auditlogs/auditlogs/app/audit/event"
)

// Config configures a Queue. All of it is required but Full.
type Config struct {
	Size     int   // how many events may wait
	Full     error // what Record returns when they do; nil lets it wait for room
	Closed   error // what Record returns once the Queue is closed
	MaxBatch int   // how many events make a batch
	MaxBytes int   // how many bytes make one, whatever the number of events
}

// Queue holds events that wait to be recorded, oldest first, each as a T. Goroutines of its own take them in batches,
// and settle each.
type Queue[T any] struct {
	Tally
	config  Config
	room    chan struct{} // holds one for each event that waits or is about to
	closing chan struct{}
	running sync.WaitGroup
	taken   atomic.Int64 // events taken and not settled

	// Stopped ends when Close is out of time, and with it what is under way.
	Stopped context.Context
	stop    context.CancelFunc

	mutex   sync.Mutex
	filled  sync.Cond
	waiting list.List
}

// New makes a Queue. It must be closed.
func New[T any](config Config) *Queue[T] {
	// However large, a channel of nothing takes no memory.
	q := &Queue[T]{config: config, room: make(chan struct{}, config.Size), closing: make(chan struct{})}
	q.filled.L = &q.mutex
	q.Stopped, q.stop = context.WithCancel(context.Background())
	return q
}

// Item is an event on its way through a Queue.
type Item[T any] struct {
	Value   T
	Context context.Context // of whoever waits for the outcome
	bytes   int
	place   *list.Element // nil once it is taken or withdrawn
	settled chan struct{} // closed when receipt and err are there
	receipt event.Receipt
	err     error
}

// Record lets an event of so many bytes wait for its turn and returns what it is settled with. When ctx ends before
// that, the event is withdrawn and the error is that of ctx; once it is taken, the error is event.ErrOutcomeUnknown.
func (q *Queue[T]) Record(ctx context.Context, value T, bytes int) (event.Receipt, error) {
	item := &Item[T]{Value: value, Context: ctx, bytes: bytes, settled: make(chan struct{})}
	if err := q.push(item); err != nil {
		q.Failed.Add(1)
		return event.Receipt{}, err
	}
	select {
	case <-item.settled:
		return item.receipt, item.err
	case <-ctx.Done():
	}
	q.mutex.Lock()
	q.withdraw(item)
	q.mutex.Unlock()
	select {
	case <-item.settled:
		return item.receipt, item.err
	default:
		return event.Receipt{}, fmt.Errorf("%w: %w", event.ErrOutcomeUnknown, context.Cause(ctx))
	}
}

func (q *Queue[T]) push(item *Item[T]) error {
	if item.Context.Err() != nil {
		return notRecorded(item.Context)
	}
	select {
	case q.room <- struct{}{}:
	default:
		if q.config.Full != nil {
			return q.config.Full
		}
		select {
		case q.room <- struct{}{}:
		case <-item.Context.Done():
			return notRecorded(item.Context)
		case <-q.closing:
			return q.config.Closed
		}
	}
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if q.Closed() {
		<-q.room
		return q.config.Closed
	}
	item.place = q.waiting.PushBack(item)
	q.filled.Signal()
	return nil
}

func notRecorded(ctx context.Context) error {
	return fmt.Errorf("audit: not recorded: %w", context.Cause(ctx))
}

// withdraw settles an event whose context has ended, unless it has been taken. It expects the mutex to be held.
func (q *Queue[T]) withdraw(item *Item[T]) {
	if item.place != nil {
		q.remove(item)
		q.Failed.Add(1)
		item.settle(event.Receipt{}, notRecorded(item.Context))
	}
}

// remove expects the mutex to be held.
func (q *Queue[T]) remove(item *Item[T]) {
	q.waiting.Remove(item.place)
	item.place = nil
	<-q.room
}

func (i *Item[T]) settle(receipt event.Receipt, err error) {
	i.receipt, i.err = receipt, err
	close(i.settled)
}

// Go runs work in a goroutine that Close waits for.
func (q *Queue[T]) Go(work func()) { q.running.Go(work) }

// Batches waits for events and yields what has gathered, until the Queue is closed and empty. Whoever ranges over it
// settles each of them.
func (q *Queue[T]) Batches() iter.Seq[[]*Item[T]] {
	return func(yield func([]*Item[T]) bool) {
		for q.await() {
			q.gather()
			// There may be none: another goroutine was faster, or nobody waits for them any more.
			if batch := q.take(); len(batch) > 0 && !yield(batch) {
				return
			}
		}
	}
}

// await returns true when there are events, and false when there will be none.
func (q *Queue[T]) await() bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	for q.waiting.Len() == 0 && !q.Closed() {
		q.filled.Wait()
	}
	return q.waiting.Len() > 0
}

// gather lets other goroutines run as long as they bring more events. Callers who have just been
// answered often have another one at once; without this they would fall into groups that wait for
// each other's commits.
func (q *Queue[T]) gather() {
	for n, before := q.length(), -1; n > before && n < q.config.MaxBatch; n = q.length() {
		before = n
		runtime.Gosched()
	}
}

func (q *Queue[T]) length() int {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return q.waiting.Len()
}

func (q *Queue[T]) take() []*Item[T] {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	batch := make([]*Item[T], 0, min(q.config.MaxBatch, q.waiting.Len()))
	for bytes := 0; len(batch) < q.config.MaxBatch && q.waiting.Len() > 0; {
		item := q.waiting.Front().Value.(*Item[T])
		if item.Context.Err() != nil {
			q.withdraw(item)
			continue
		}
		if bytes += item.bytes; bytes > q.config.MaxBytes && len(batch) > 0 {
			break
		}
		q.remove(item)
		batch = append(batch, item)
	}
	q.taken.Add(int64(len(batch)))
	return batch
}

// Settle tells the caller of an event that was taken what became of it: recorded, or refused with err.
func (q *Queue[T]) Settle(item *Item[T], receipt event.Receipt, err error) {
	q.Count(receipt, err)
	q.taken.Add(-1)
	item.settle(receipt, err)
}

// Fail tells the caller of an event that was taken that it could not be recorded, by no fault of its own.
func (q *Queue[T]) Fail(item *Item[T], err error) {
	q.Failed.Add(1)
	q.taken.Add(-1)
	item.settle(event.Receipt{}, err)
}

// Waiting returns how many events are in the Queue, or taken and not settled.
func (q *Queue[T]) Waiting() int {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return q.waiting.Len() + int(q.taken.Load())
}

// Close lets nothing in any more and returns when all goroutines have ended: after the last event is settled, or
// soon after ctx has ended. It may be called again.
func (q *Queue[T]) Close(ctx context.Context) {
	q.mutex.Lock()
	if !q.Closed() {
		close(q.closing)
		q.filled.Broadcast()
	}
	q.mutex.Unlock()
	release := context.AfterFunc(ctx, q.stop)
	q.running.Wait()
	release()
	q.stop()
}

// Closed reports whether Close has been called.
func (q *Queue[T]) Closed() bool {
	select {
	case <-q.closing:
		return true
	default:
		return false
	}
}

// Tally counts what became of events.
type Tally struct {
	Recorded, NotStored, Refused, Failed atomic.Int64
}

// Count counts an event that is recorded, not stored, or refused with err. One that is spooled is on its way.
func (t *Tally) Count(receipt event.Receipt, err error) {
	switch {
	case err != nil:
		t.Refused.Add(1)
	case receipt.Stored:
		t.Recorded.Add(1)
	case !receipt.Spooled:
		t.NotStored.Add(1)
	}
}
