package app

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/auditlogs/auditlogs/models"
)

const (
	// probeEvery is how often the database is written to at most for finding out whether it stores anything, and
	// probeAgain while it does not.
	probeEvery = 5 * time.Second
	probeAgain = time.Second
	// refusalHolds is for how long nothing counts as stored once something could not be: a probe is less than most
	// events, and may still find room where they do not.
	refusalHolds = 10 * time.Second
)

// storage knows whether anything can be stored: by what could not be, by what was, and by a probe where neither
// happened lately.
type storage struct {
	probe func(context.Context) error
	now   func() time.Time
	log   *slog.Logger
	once  singleflight.Group

	mu      sync.Mutex
	failure error     // why nothing can be stored; nil while something can
	known   time.Time // when that was found out last
	refused time.Time // when something could not be stored last
}

func newStorage(config Config, store *models.Store) *storage {
	s := &storage{probe: func(context.Context) error { return nil }, now: store.Now, log: config.Log}
	if config.DB != nil {
		s.probe = config.DB.Probe
	}
	return s
}

// check returns why nothing can be stored, or nil. Whoever asks while a probe is under way gets its result.
func (s *storage) check(ctx context.Context) error {
	if failure, fresh := s.last(); fresh {
		return failure
	}
	result := s.once.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTimeout)
		defer cancel()
		s.found(s.probe(ctx))
		return nil, nil
	})
	select {
	case <-result:
		failure, _ := s.last()
		return failure
	case <-ctx.Done():
		return ctx.Err()
	}
}

// last is what was found out last, and whether that was so lately that it still counts.
func (s *storage) last() (failure error, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, every := s.now(), probeEvery
	if s.failure != nil {
		every = probeAgain
	}
	return s.failure, now.Sub(s.known) < every || now.Sub(s.refused) < refusalHolds
}

// stored notes that something was committed.
func (s *storage) stored() { s.found(nil) }

// failed notes err where it says that the database takes no changes.
func (s *storage) failed(err error) {
	if models.Unwritable(err) == "" {
		return
	}
	s.mu.Lock()
	s.refused = s.now()
	s.mu.Unlock()
	s.found(err)
}

// found keeps whether anything can be stored, and tells the log where that has changed.
func (s *storage) found(failure error) {
	s.mu.Lock()
	if failure == nil && s.now().Sub(s.refused) < refusalHolds {
		s.mu.Unlock()
		return
	}
	before := s.failure
	s.failure, s.known = failure, s.now()
	s.mu.Unlock()
	switch {
	case before == nil && failure != nil:
		s.log.Error("nothing can be stored", "error", failure)
	case before != nil && failure == nil:
		s.log.Info("events are stored again")
	}
}
