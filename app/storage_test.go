package app

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auditlogs/auditlogs/models"
)

// probedStorage is a storage whose probes are counted, and fail with err.
type probedStorage struct {
	*storage
	probes int
	err    error
	said   strings.Builder
}

func newProbedStorage() *probedStorage {
	p := &probedStorage{}
	p.storage = &storage{now: time.Now, log: slog.New(slog.NewTextHandler(&p.said, nil)), probe: func(context.Context) error {
		p.probes++
		time.Sleep(10 * time.Millisecond)
		return p.err
	}}
	return p
}

func (p *probedStorage) expect(t *testing.T, failure error, probes int) {
	t.Helper()
	if err := p.check(t.Context()); !errors.Is(err, failure) || (err == nil) != (failure == nil) {
		t.Errorf("it finds %v, want %v", err, failure)
	}
	if p.probes != probes {
		t.Errorf("it has probed %d times, want %d", p.probes, probes)
	}
	p.probes = 0
}

func TestTheDatabaseIsProbedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newProbedStorage()
		var asking sync.WaitGroup
		for range 10 {
			asking.Go(func() { _ = s.check(t.Context()) })
		}
		asking.Wait()
		s.expect(t, nil, 1)
		s.expect(t, nil, 0)
		time.Sleep(probeEvery)
		s.stored()
		s.expect(t, nil, 0) // something was stored just now
		time.Sleep(probeEvery)
		s.err = errors.New("refused")
		s.expect(t, s.err, 1)
		s.expect(t, s.err, 0)
		time.Sleep(probeAgain)
		s.err = nil
		s.expect(t, nil, 1)
		if said := s.said.String(); strings.Count(said, "\n") != 2 || !strings.Contains(said, "nothing can be stored") || !strings.Contains(said, "events are stored again") {
			t.Errorf("the log says %q", said)
		}
	})
}

func TestWhatCouldNotBeStoredOutweighsAProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newProbedStorage()
		s.expect(t, nil, 1)
		s.failed(errors.New("a mistake")) // which is no fault of the database
		s.expect(t, nil, 0)
		s.failed(models.ErrFileGone)
		s.expect(t, models.ErrFileGone, 0)
		time.Sleep(refusalHolds - time.Second)
		s.stored() // something small
		s.expect(t, models.ErrFileGone, 0)
		time.Sleep(time.Second)
		s.expect(t, nil, 1)
	})
}

// A probe that was under way when something could not be stored says nothing of that.
func TestAnEarlierProbeDoesNotOutweighWhatCouldNotBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newProbedStorage()
		var asking sync.WaitGroup
		asking.Go(func() { s.expect(t, models.ErrFileGone, 1) })
		synctest.Wait()
		s.failed(models.ErrFileGone)
		asking.Wait()
		s.expect(t, models.ErrFileGone, 0)
	})
}
