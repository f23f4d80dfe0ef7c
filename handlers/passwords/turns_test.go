package passwords

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// However many sign in at once, two passwords are worked on, and nobody waits for long.
func TestTurnsAreWaitedForBriefly(t *testing.T) {
	if size := cap(work.taken); size != 2 {
		t.Errorf("%d passwords are worked on at once", size)
	}
	synctest.Test(t, func(t *testing.T) {
		limited := turns{taken: make(chan struct{}, 2), patience: 5 * time.Second}
		take := func() func() {
			t.Helper()
			done, err := limited.take(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return done
		}
		first, second := take(), take()
		began := time.Now()
		if _, err := limited.take(t.Context()); !errors.Is(err, ErrBusy) || time.Since(began) != 5*time.Second {
			t.Errorf("one more waits %s: %v", time.Since(began), err)
		}
		time.AfterFunc(4*time.Second, first)
		take()()
		gone, cancel := context.WithCancel(t.Context())
		take()
		cancel()
		if _, err := limited.take(gone); !errors.Is(err, context.Canceled) {
			t.Errorf("whoever is gone: %v", err)
		}
		second()
	})
}
