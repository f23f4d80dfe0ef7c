package main

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/internal/benchdata"
)

// load records events at a fixed rate, each in a transaction of its own, whether or not the ones
// before are done: as applications do that do not know of each other.
type load struct {
	db    *gorm.DB
	spec  benchdata.Spec
	now   func() time.Time // when the events happen
	every time.Duration

	stop  context.CancelFunc
	ended sync.WaitGroup

	mutex    sync.Mutex
	recorded []recorded
	err      error // the first
}

type recorded struct {
	due  time.Time
	took time.Duration // since it was due
}

// record begins; the events are those with which the log of spec would go on.
func record(ctx context.Context, db *gorm.DB, spec benchdata.Spec, now func() time.Time, perSecond int) *load {
	l := &load{db: db, spec: spec, now: now, every: time.Second / time.Duration(perSecond)}
	var due context.Context
	due, l.stop = context.WithCancel(ctx)
	l.ended.Go(func() {
		began := time.Now()
		for n := 0; due.Err() == nil; n++ {
			at := began.Add(time.Duration(n) * l.every)
			time.Sleep(time.Until(at))
			l.ended.Go(func() { l.one(ctx, n, at) })
		}
	})
	return l
}

func (l *load) one(ctx context.Context, n int, due time.Time) {
	event := l.spec.Event(l.spec.Rows + n)
	event.OccurredAt = l.now()
	err := l.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		_, err := audit.Record(ctx, tx, event)
		return err
	})
	took := time.Since(due)
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.recorded = append(l.recorded, recorded{due, took})
	l.err = cmp.Or(l.err, err)
}

// end returns when all that was due is recorded.
func (l *load) end() error {
	l.stop()
	l.ended.Wait()
	return l.err
}

// between is how long recording took of the events that were due in that time, the shortest first.
// It is asked after the end.
func (l *load) between(from, to time.Time) latencies {
	var all latencies
	for _, r := range l.recorded {
		if !r.due.Before(from) && r.due.Before(to) {
			all = append(all, r.took)
		}
	}
	slices.Sort(all)
	return all
}

// latencies are in order.
type latencies []time.Duration

// percentile is how long the fastest percent in a hundred took at most.
func (l latencies) percentile(percent int) time.Duration {
	if len(l) == 0 {
		return 0
	}
	return l[min(len(l)*percent/100, len(l)-1)]
}
