package recorder

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is the pauses between attempts: each twice the one before, less up to a half of it, so that those who
// failed together do not come back together.
type Backoff struct {
	Next    time.Duration // the next pause, at most
	Longest time.Duration
	Until   time.Time // no pause ends later; zero means that there is always another
}

// Pause returns how long to wait before another attempt, at least as long as asked; false reports that it would be
// too late then.
func (b *Backoff) Pause(asked time.Duration) (wait time.Duration, again bool) {
	wait = max(b.Next-rand.N(b.Next/2), asked)
	b.Next = min(2*b.Next, b.Longest)
	return wait, b.Until.IsZero() || !time.Now().Add(wait).After(b.Until)
}

// Sleep waits and reports whether ctx lasted as long.
func Sleep(ctx context.Context, wait time.Duration) bool {
	select {
	case <-time.After(wait):
		return true
	case <-ctx.Done():
		return false
	}
}
