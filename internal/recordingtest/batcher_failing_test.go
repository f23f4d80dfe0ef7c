package recordingtest

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

func TestBatcherBlamesNoEventWhereNoTransactionBegins(t *testing.T) {
	db := databasetest.SQLite(t)
	ensure(t, db.Write, audit.Organization{Slug: "acme"})
	h := hold(t, db.Write, audit.BatcherConfig{})
	var attempts atomic.Int64
	h.faults.onBegin(func() error { attempts.Add(1); return errors.New("password authentication failed") })
	for range 20 {
		h.record(t, t.Context(), anEvent(), func(_ audit.Receipt, err error) {
			if err == nil || !strings.Contains(err.Error(), "password authentication failed") {
				t.Errorf("answers %v", err)
			}
		})
	}
	h.letGo()
	h.calls.Wait()
	if stats := h.Stats(); stats.Recorded != 1 || stats.Failed != 20 || stats.Refused != 0 || attempts.Load() != 1 {
		t.Errorf("%d attempts, counted %+v", attempts.Load(), stats)
	}
}

func TestBatcherSurvivesAPanic(t *testing.T) {
	db := databasetest.SQLite(t)
	ensure(t, db.Write, audit.Organization{Slug: "acme"})
	faulty, faults := withFaults(t, db.Write)
	faults.onInsert(func() { panic("no") })
	batcher := newBatcher(t, faulty, audit.BatcherConfig{})
	if _, err := batcher.Record(t.Context(), anEvent()); err == nil || !strings.Contains(err.Error(), "no") {
		t.Errorf("answers %v", err)
	}
	faults.onInsert(nil)
	if _, err := batcher.Record(t.Context(), anEvent()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Connections break in every place: before the transaction, before the commit and after it.
func TestBatcherRecordsExactlyOnceOverLostConnections(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		faulty, faults := withFaults(t, db.Write)
		var begun, committed atomic.Int64
		faults.onBegin(func() error {
			if begun.Add(1)%5 == 0 {
				return driver.ErrBadConn
			}
			return nil
		})
		faults.onCommit(func(_ context.Context, commit func() error) error {
			switch committed.Add(1) % 6 {
			case 0:
				return driver.ErrBadConn // and the transaction is rolled back
			case 3:
				return errors.Join(commit(), driver.ErrBadConn)
			default:
				return commit()
			}
		})
		batcher := newBatcher(t, faulty, audit.BatcherConfig{MaxBatch: 16})
		var producers sync.WaitGroup
		for p := range 8 {
			producers.Go(func() {
				for i := range 15 {
					e := anEvent(func(e *audit.Event) {
						e.EntityID = fmt.Sprintf("%d-%d", p, i)
						if i%2 == 0 {
							e.ID = e.EntityID
						}
					})
					if receipt, err := batcher.Record(t.Context(), e); err != nil || !receipt.Stored || receipt.Repeated {
						t.Errorf("%+v, %v", receipt, err)
					}
				}
			})
		}
		producers.Wait()
		seen := map[string]int{}
		for _, row := range entries(t, db.Write) {
			seen[row.EntityID]++
		}
		if len(seen) != 120 {
			t.Errorf("%d events are stored, want 120", len(seen))
		}
		for id, times := range seen {
			if times != 1 {
				t.Errorf("%s is stored %d times", id, times)
			}
		}
		if stats := batcher.Stats(); stats.Recorded != 120 || stats.Failed+stats.Refused != 0 {
			t.Errorf("counted %+v", stats)
		}
	})
}

func TestBatcherWhoseServerEndsItsConnections(t *testing.T) {
	db := databasetest.Postgres(t)
	ensure(t, db.Write, audit.Organization{Slug: "acme"})
	batcher := newBatcher(t, db.Write, audit.BatcherConfig{MaxBatch: 8})
	var producers sync.WaitGroup
	var recorded atomic.Int64
	stop := make(chan struct{})
	for range 16 {
		producers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := batcher.Record(t.Context(), anEvent()); err != nil {
					t.Errorf("answers %v", err)
					return
				}
				recorded.Add(1)
			}
		})
	}
	// From one connection, which it leaves alone: another one may have been ended just before.
	err := db.Write.Connection(func(tx *gorm.DB) error {
		for round := range int64(5) {
			until(t, func() bool { return recorded.Load() > 50*round })
			set(t, tx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
		}
		close(stop)
		producers.Wait()
		if got := count(t, tx, "audit_entries"); got != recorded.Load() {
			t.Errorf("%d entries, %d were recorded", got, recorded.Load())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBatcherGivesUp(t *testing.T) {
	type behaviour struct {
		begin  func() error
		commit func(context.Context, func() error) error
	}
	for name, c := range map[string]struct {
		behaviour
		unknown bool
	}{
		"without having begun": {behaviour: behaviour{begin: func() error { return driver.ErrBadConn }}},
		"while committing": {behaviour{commit: func(_ context.Context, commit func() error) error {
			return errors.Join(commit(), driver.ErrBadConn)
		}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			path := databasetest.SQLiteFile(t)
			synctest.Test(t, func(t *testing.T) {
				db := databasetest.Open(t, "sqlite:"+path)
				ensure(t, db.Write, audit.Organization{Slug: "acme"})
				faulty, faults := withFaults(t, db.Write)
				attempts := 0
				faults.onBegin(func() error {
					attempts++
					if c.begin != nil {
						return c.begin()
					}
					return nil
				})
				faults.onCommit(c.commit)
				batcher := newBatcher(t, faulty, audit.BatcherConfig{RetryFor: time.Minute})
				began := time.Now()
				_, err := batcher.Record(t.Context(), anEvent(func(e *audit.Event) { e.ID = "m-1" }))
				if !errors.Is(err, driver.ErrBadConn) || errors.Is(err, audit.ErrOutcomeUnknown) != c.unknown {
					t.Errorf("answers %v", err)
				}
				if tried := time.Since(began); tried < 58*time.Second || tried > time.Minute || attempts < 30 {
					t.Errorf("tried %d times in %s", attempts, tried)
				}
				if want := (audit.BatcherStats{Failed: 1}); batcher.Stats() != want {
					t.Errorf("counted %+v, want %+v", batcher.Stats(), want)
				}
				faults.onBegin(nil)
				faults.onCommit(nil)
				receipt, err := batcher.Record(t.Context(), anEvent(func(e *audit.Event) { e.ID = "m-1" }))
				if err != nil || receipt.Repeated != c.unknown || len(entries(t, db.Write)) != 1 {
					t.Errorf("repeated: %+v, %v", receipt, err)
				}
				if err := batcher.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
