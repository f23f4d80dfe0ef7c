package recordingtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

func TestBatcherClosesUnderLoad(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		batcher := newBatcher(t, db.Write, audit.BatcherConfig{MaxBatch: 16, QueueSize: 16})
		var producers sync.WaitGroup
		var recorded atomic.Int64
		for range 64 {
			producers.Go(func() {
				for {
					switch _, err := batcher.Record(t.Context(), anEvent()); {
					case err == nil:
						recorded.Add(1)
					case errors.Is(err, audit.ErrBatcherClosed):
						return
					default:
						t.Errorf("answers %v", err)
						return
					}
				}
			})
		}
		until(t, func() bool { return recorded.Load() > 100 })
		for range 2 {
			if err := batcher.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if stats := batcher.Stats(); stats.Waiting != 0 || stats.Recorded < 100 {
			t.Errorf("after closing: %+v", stats)
		}
		producers.Wait()
		if got := count(t, db.Write, "audit_entries"); got != recorded.Load() {
			t.Errorf("%d entries, %d were recorded", got, recorded.Load())
		}
		noWriterIsLeft(t)
	})
}

func TestBatcherThatHasNoTimeToClose(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		h := hold(t, db.Write, audit.BatcherConfig{})
		ctx := audit.WithRequest(audit.WithActor(t.Context(), anna), audit.Request{ID: "req-1"})
		for i := range 3 {
			e := anEvent(func(e *audit.Event) { e.EntityID, e.Actor = fmt.Sprint(i), audit.Actor{} })
			h.record(t, ctx, e, func(_ audit.Receipt, err error) {
				if !errors.Is(err, audit.ErrBatcherClosed) || errors.Is(err, audit.ErrOutcomeUnknown) {
					t.Errorf("event %d waited: %v", i, err)
				}
			})
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		err := h.Close(ended)
		var unflushed *audit.UnflushedError
		if !errors.As(err, &unflushed) || len(unflushed.Events) != 4 {
			t.Fatalf("closing answers %v", err)
		}
		noWriterIsLeft(t)
		h.calls.Wait()
		if got := count(t, db.Write, "audit_entries"); got != 0 {
			t.Errorf("%d entries", got)
		}
		if first := unflushed.Events[0]; first.Event.EntityID != "first" || !errors.Is(first.Err, audit.ErrOutcomeUnknown) {
			t.Errorf("the one being committed: %+v", first)
		}
		// What is left can be kept as JSON and recorded later: it tells of its actor, request and time.
		text, err := json.Marshal(unflushed.Events[1].Event)
		if err != nil {
			t.Fatal(err)
		}
		var kept audit.Event
		if err := json.Unmarshal(text, &kept); err != nil {
			t.Fatal(err)
		}
		if _, err := audit.Record(t.Context(), db.Write, kept); err != nil || kept.Actor != anna || kept.Request.ID != "req-1" || kept.OccurredAt.IsZero() {
			t.Errorf("%s: %v", text, err)
		}
		if again := h.Close(t.Context()); again == nil || again.Error() != unflushed.Error() {
			t.Errorf("closing again answers %v", again)
		}
		if _, err := h.Record(t.Context(), anEvent()); !errors.Is(err, audit.ErrBatcherClosed) {
			t.Errorf("recording afterwards: %v", err)
		}
	})
}

func noWriterIsLeft(t *testing.T) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	if text := string(stacks[:runtime.Stack(stacks, true)]); strings.Contains(text, "(*Batcher).write") {
		t.Errorf("a goroutine is left:\n%s", text)
	}
}
