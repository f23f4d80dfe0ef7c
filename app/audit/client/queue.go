package client

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/auditlogs/auditlogs/app/audit/event"
)

// What one request holds at most. The server takes 1,000 events and 5 MB.
const (
	maxSentEvents = 1000
	maxSentBytes  = 4 << 20
)

// call is a call of Client.Record that waits for its outcome.
type call struct {
	ctx     context.Context
	event   json.RawMessage // as the API takes it
	receipt event.Receipt
	err     error
	settled chan struct{} // closed when receipt and err are there

	withdrawn bool // found to be nobody's when it was to be taken
}

// queue holds calls until they are taken together.
type queue struct {
	waiting atomic.Int64 // calls not settled

	mutex  sync.Mutex
	filled sync.Cond
	calls  []*call
	closed bool
}

func newQueue() *queue {
	q := &queue{}
	q.filled.L = &q.mutex
	return q
}

func (q *queue) push(call *call) error {
	if call.ctx.Err() != nil {
		return fmt.Errorf("audit: not recorded: %w", context.Cause(call.ctx))
	}
	q.mutex.Lock()
	defer q.mutex.Unlock()
	if q.closed {
		return ErrClosed
	}
	q.calls = append(q.calls, call)
	q.waiting.Add(1)
	q.filled.Signal()
	return nil
}

// withdraw takes a call out of the queue, unless it has been taken.
func (q *queue) withdraw(call *call) bool {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	i := slices.Index(q.calls, call)
	if i < 0 {
		return call.withdrawn
	}
	q.calls = slices.Delete(q.calls, i, i+1)
	q.waiting.Add(-1)
	return true
}

// take waits for calls and answers with the oldest, as many as one request holds. It answers with
// none when the queue is closed and empty.
func (q *queue) take() []*call {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	for q.dropEnded(); len(q.calls) == 0 && !q.closed; q.dropEnded() {
		q.filled.Wait()
	}
	n, bytes := 0, 0
	for n < min(len(q.calls), maxSentEvents) {
		bytes += len(q.calls[n].event)
		if n > 0 && bytes > maxSentBytes {
			break
		}
		n++
	}
	taken := slices.Clone(q.calls[:n])
	q.calls = slices.Delete(q.calls, 0, n)
	return taken
}

// dropEnded withdraws the calls whose context has ended, before they can do it themselves.
func (q *queue) dropEnded() {
	q.calls = slices.DeleteFunc(q.calls, func(call *call) bool {
		if call.ctx.Err() == nil {
			return false
		}
		call.withdrawn = true
		q.waiting.Add(-1)
		return true
	})
}

// settle tells a call that was taken what became of it.
func (q *queue) settle(call *call, receipt event.Receipt, err error) {
	call.receipt, call.err = receipt, err
	q.waiting.Add(-1)
	close(call.settled)
}

func (q *queue) close() {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.closed = true
	q.filled.Broadcast()
}
