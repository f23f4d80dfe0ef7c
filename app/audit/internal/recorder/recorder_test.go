package recorder_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/internal/recorder"
)

var (
	errFull   = errors.New("full")
	errClosed = errors.New("closed")
)

// log is a Queue whose batches are noted, and each waits for the gate where there is one.
type log struct {
	*recorder.Queue[string]
	gate    chan struct{}
	batches [][]string
	calls   sync.WaitGroup
}

func newLog(config recorder.Config) *log {
	config.Closed = errClosed
	l := &log{Queue: recorder.New[string](config), gate: make(chan struct{})}
	l.Go(func() {
		for batch := range l.Batches() {
			l.batches = append(l.batches, nil)
			for _, item := range batch {
				l.batches[len(l.batches)-1] = append(l.batches[len(l.batches)-1], item.Value)
			}
			select {
			case <-l.gate:
			case <-l.Stopped.Done():
			}
			for _, item := range batch {
				switch {
				case l.Stopped.Err() != nil:
					l.Fail(item, errClosed)
				case item.Value == "bad":
					l.Settle(item, event.Receipt{}, errors.New("bad"))
				default:
					l.Settle(item, event.Receipt{EntryID: item.Value, Stored: item.Value != "off"}, nil)
				}
			}
		}
	})
	return l
}

// record calls Record from a goroutine of its own and returns once it waits for something.
func (l *log) record(ctx context.Context, value string, done func(event.Receipt, error)) {
	l.calls.Go(func() { done(l.Record(ctx, value, len(value))) })
	synctest.Wait()
}

func (l *log) expect(t *testing.T, recorded, notStored, refused, failed int64) {
	t.Helper()
	got := []int64{l.Recorded.Load(), l.NotStored.Load(), l.Refused.Load(), l.Failed.Load(), int64(l.Waiting())}
	if want := []int64{recorded, notStored, refused, failed, 0}; !slices.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}

func TestEventsThatWaitAreTakenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(recorder.Config{Size: math.MaxInt, MaxBatch: 3, MaxBytes: 10})
		for _, value := range []string{"first", "a", "bad", "off", "d", "123456789", "e", "12345678901", "f"} {
			l.record(t.Context(), value, func(receipt event.Receipt, err error) {
				if (err != nil) != (value == "bad") || err == nil && receipt.EntryID != value {
					t.Errorf("%s is told %+v, %v", value, receipt, err)
				}
			})
		}
		if l.Waiting() != 9 {
			t.Errorf("%d wait", l.Waiting())
		}
		close(l.gate)
		l.calls.Wait()
		l.Close(t.Context())
		want := "[[first] [a bad off] [d 123456789] [e] [12345678901] [f]]"
		if got := fmt.Sprint(l.batches); got != want {
			t.Errorf("the batches are %s, want %s", got, want)
		}
		l.expect(t, 7, 1, 1, 0)
	})
}

func TestAFullQueueFailsOrIsWaitedFor(t *testing.T) {
	for _, full := range []error{errFull, nil} {
		synctest.Test(t, func(t *testing.T) {
			l := newLog(recorder.Config{Size: 1, Full: full, MaxBatch: 10, MaxBytes: 100})
			fine := func(_ event.Receipt, err error) {
				if err != nil {
					t.Error(err)
				}
			}
			l.record(t.Context(), "taken", fine)
			l.record(t.Context(), "waiting", fine)
			ctx, cancel := context.WithCancel(t.Context())
			want := errFull
			if full == nil {
				want = context.Canceled
				l.record(t.Context(), "one more", fine)
			}
			l.record(ctx, "too many", func(_ event.Receipt, err error) {
				if !errors.Is(err, want) || errors.Is(err, event.ErrOutcomeUnknown) {
					t.Errorf("a full queue returns %v", err)
				}
			})
			cancel()
			synctest.Wait()
			if l.Failed.Load() != 1 {
				t.Errorf("%d failed", l.Failed.Load())
			}
			close(l.gate)
			l.calls.Wait()
			l.Close(t.Context())
		})
	}
}

func TestWhoeverLeavesIsToldWhetherTheEventWasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLog(recorder.Config{Size: 10, MaxBatch: 10, MaxBytes: 100})
		ctx, cancel := context.WithCancel(t.Context())
		for _, value := range []string{"taken", "waiting"} {
			l.record(ctx, value, func(_ event.Receipt, err error) {
				if !errors.Is(err, context.Canceled) || errors.Is(err, event.ErrOutcomeUnknown) != (value == "taken") {
					t.Errorf("%s: %v", value, err)
				}
			})
		}
		cancel()
		l.calls.Wait()
		l.record(ctx, "late", func(_ event.Receipt, err error) {
			if !errors.Is(err, context.Canceled) || errors.Is(err, event.ErrOutcomeUnknown) {
				t.Errorf("a context that has ended: %v", err)
			}
		})
		close(l.gate)
		l.Close(t.Context())
		if got := fmt.Sprint(l.batches); got != "[[taken]]" {
			t.Errorf("the batches are %s", got)
		}
		l.expect(t, 1, 0, 0, 2)
	})
}

func TestClosing(t *testing.T) {
	for name, hurried := range map[string]bool{"at leisure": false, "without time": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLog(recorder.Config{Size: 2, MaxBatch: 1, MaxBytes: 100})
				for i := range 4 { // one taken, two waiting, and one that finds no room
					l.record(t.Context(), fmt.Sprint(i), func(_ event.Receipt, err error) {
						if errors.Is(err, errClosed) != (hurried || i == 3) {
							t.Errorf("%d is told %v", i, err)
						}
					})
				}
				ctx, cancel := context.WithCancel(t.Context())
				var closed sync.WaitGroup
				closed.Go(func() { l.Close(ctx) })
				synctest.Wait()
				if hurried {
					cancel()
				} else {
					close(l.gate)
				}
				closed.Wait()
				l.calls.Wait()
				cancel()
				if _, err := l.Record(t.Context(), "late", 4); !errors.Is(err, errClosed) || !l.Closed() {
					t.Errorf("a closed queue returns %v", err)
				}
				l.Close(t.Context())
				if hurried {
					l.expect(t, 0, 0, 0, 5)
				} else {
					l.expect(t, 3, 0, 0, 2)
				}
			})
		})
	}
}

func TestPausesGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backoff := recorder.Backoff{Next: time.Second, Longest: 5 * time.Second, Until: time.Now().Add(time.Minute)}
		for i, most := range []time.Duration{1, 2, 4, 5, 5} {
			most *= time.Second
			wait, again := backoff.Pause(0)
			if wait <= most/2-1 || wait > most || !again {
				t.Errorf("pause %d is %s, want at most %s; another: %t", i, wait, most, again)
			}
		}
		if wait, again := backoff.Pause(50 * time.Second); wait != 50*time.Second || !again {
			t.Errorf("asked for 50s the pause is %s; another: %t", wait, again)
		}
		if _, again := backoff.Pause(time.Minute + 1); again {
			t.Error("a pause ends after the last moment")
		}
		backoff.Until = time.Time{}
		if _, again := backoff.Pause(time.Hour); !again {
			t.Error("there is an end although none was given")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if !recorder.Sleep(ctx, time.Second/2) || recorder.Sleep(ctx, time.Minute) {
			t.Error("Sleep does not end with its context")
		}
	})
}
