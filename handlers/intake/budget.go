// Package intake bounds what the server holds of what comes in: connections, and bytes of requests, in
// all and by whom they come from. Whoever sends more than their share waits for a moment and is then
// told to come again; nobody's share is large enough to end the server.
package intake

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// ErrBusy reports that something found no room, although it waited for a moment.
const ErrBusy = fault.Busy

// Budget is how many bytes may be held at once, in all and by each owner.
type Budget struct {
	all, each int64
	patience  time.Duration

	mu    sync.Mutex
	held  int64
	by    map[string]int64
	freed chan struct{} // closed when bytes are given back; nil where nobody waits

	waiting atomic.Int32
}

// Waiting is how many wait for room.
func (b *Budget) Waiting() int { return int(b.waiting.Load()) }

// NewBudget makes a budget of all bytes, of which one owner may hold each at most, and of which
// a taker waits for no longer than patience.
func NewBudget(all, each int64, patience time.Duration) *Budget {
	return &Budget{all: all, each: each, patience: patience, by: map[string]int64{}}
}

// Take takes size bytes for all of owners; "" is nobody, who has no bound of their own. It waits where
// there is no room, and returns ErrBusy where none has come of it, or the error of ctx. Whoever took
// gives back, once.
func (b *Budget) Take(ctx context.Context, size int64, owners ...string) (giveBack func(), err error) {
	var over <-chan time.Time
	for {
		freed := b.try(size, owners)
		if freed == nil {
			return sync.OnceFunc(func() { b.give(size, owners) }), nil
		}
		if over == nil {
			timer := time.NewTimer(b.patience)
			defer timer.Stop()
			over = timer.C
			b.waiting.Add(1)
			defer b.waiting.Add(-1)
		}
		select {
		case <-freed:
		case <-over:
			return nil, ErrBusy
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for room: %w", ctx.Err())
		}
	}
}

// Owe takes size bytes for all of owners, whether there is room or not: they are held already. Others wait
// until there is. Whoever owes gives back, once.
func (b *Budget) Owe(size int64, owners ...string) (giveBack func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(size, owners)
	return sync.OnceFunc(func() { b.give(size, owners) })
}

// try takes size bytes and returns nil, or a channel that is closed when trying again may help.
func (b *Budget) try(size int64, owners []string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	room := b.held+size <= b.all
	for _, owner := range owners {
		room = room && (owner == "" || b.by[owner]+size <= b.each)
	}
	if !room {
		if b.freed == nil {
			b.freed = make(chan struct{})
		}
		return b.freed
	}
	b.add(size, owners)
	return nil
}

func (b *Budget) give(size int64, owners []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(-size, owners)
	if b.freed != nil {
		close(b.freed)
		b.freed = nil
	}
}

func (b *Budget) add(size int64, owners []string) {
	b.held += size
	for _, owner := range owners {
		if owner == "" {
			continue
		}
		if b.by[owner] += size; b.by[owner] == 0 {
			delete(b.by, owner)
		}
	}
}
