package intake

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestABudgetIsSharedAndWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget, ctx := NewBudget(10, 6, time.Second), t.Context()
		take := func(size int64, owners ...string) func() {
			t.Helper()
			giveBack, err := budget.Take(ctx, size, owners...)
			if err != nil {
				t.Fatalf("take %d for %v: %v", size, owners, err)
			}
			return giveBack
		}
		refuse := func(size int64, owners ...string) {
			t.Helper()
			began := time.Now()
			if _, err := budget.Take(ctx, size, owners...); !errors.Is(err, ErrBusy) {
				t.Errorf("take %d for %v: %v, want ErrBusy", size, owners, err)
			}
			if waited := time.Since(began); waited != time.Second {
				t.Errorf("it waited %s", waited)
			}
		}

		first := take(6, "a", "x")
		refuse(1, "a")
		refuse(1, "b", "x") // all of the owners need room
		refuse(5, "b")      // and so does the whole
		second := take(4, "")
		first()
		first() // no more than once
		third := take(6, "a")
		refuse(1, "")

		time.AfterFunc(time.Second/2, second)
		take(4, "b")()
		third()
		if budget.held != 0 || len(budget.by) != 0 {
			t.Errorf("%d bytes are held in the end, by %v", budget.held, budget.by)
		}

		gone, cancel := context.WithCancel(ctx)
		cancel()
		take(10, "")
		if _, err := budget.Take(gone, 1, ""); !errors.Is(err, context.Canceled) {
			t.Errorf("whoever is gone gets %v", err)
		}
	})
}
