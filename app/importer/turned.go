package importer

import (
	"context"
	"slices"
	"time"
)

// So many lines of one time are turned round, and so many bytes of them.
const (
	maxTurned      = 10_000
	maxTurnedBytes = 16 << 20
)

// turned turns lines of one time round where a history runs newest first, since entries of one time are in the
// order in which they are stored. Those of several are ordered by time, wherever they stand.
type turned struct {
	order   order
	at      time.Time // of the lines that are held, or were sent last
	held    []line
	size    int
	falls   bool // the time before that was later
	tooMany bool // have this time: they go on as they come
}

// turn sends l, or holds it until all lines of its time are there.
func (r *lineReader) turn(ctx context.Context, l line) bool {
	if r.order == asWritten {
		return r.send(ctx, l)
	}
	if at := l.event.OccurredAt.Truncate(time.Microsecond); !at.IsZero() && !at.Equal(r.at) {
		if !r.at.IsZero() {
			r.order, r.falls = asTimesRun, at.Before(r.at)
		}
		if !r.release(ctx) {
			return false
		}
		r.at = at
	}
	if r.held, r.size = append(r.held, l), r.size+len(l.raw); len(r.held) > maxTurned || r.size > maxTurnedBytes {
		r.held[0].note = "too many have the time of this one to be turned round: they keep the order of the file"
		r.tooMany = true
	}
	return !r.tooMany || r.sendHeld(ctx)
}

// release sends the lines that are held, in the order in which they happened.
func (r *lineReader) release(ctx context.Context) bool {
	if r.falls || r.order == newestFirst {
		slices.Reverse(r.held)
	}
	r.tooMany = false
	return r.sendHeld(ctx)
}

func (r *lineReader) sendHeld(ctx context.Context) bool {
	held := r.held
	r.held, r.size = nil, 0
	for _, l := range held {
		if !r.send(ctx, l) {
			return false
		}
	}
	return true
}
