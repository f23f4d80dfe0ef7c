//go:build unix

package jobs

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/handlers/settings"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// Two servers behind a pooler clean up, one after the other and never both: the second begins once the lease of the
// first, which has died, has run out.
func TestOfTwoServersBehindAPoolerOneCleansUp(t *testing.T) {
	address := databasetest.PostgresURL(t)
	pooled := databasetest.Pooler(t, address)
	recorder := newFixture(t, databasetest.Open(t, address))
	recorder.organization("acme")

	var mutex sync.Mutex
	var order []string // who deleted
	deleted := func() (all string) {
		mutex.Lock()
		defer mutex.Unlock()
		return strings.Join(order, "")
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	servers := map[string]*fixture{}
	for _, name := range []string{"a", "b"} {
		server := newFixture(t, databasetest.Open(t, pooled))
		servers[name] = server
		server.beforeDeleting(func() {
			mutex.Lock()
			defer mutex.Unlock()
			order = append(order, name)
		})
		job, err := NewRetention(server.store, settings.Settle, newLog(server),
			RetentionConfig{Interval: time.Second, LeaderCheck: 20 * time.Millisecond, BatchTimeout: 500 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() { job.Run(ctx) })
	}
	// There is always something to delete.
	recordUntil := func(done func() bool) {
		for began := time.Now(); !done(); time.Sleep(50 * time.Millisecond) {
			if time.Since(began) > time.Minute {
				t.Fatalf("after a minute those who have deleted are %s", deleted())
			}
			recorder.record("acme", 100*day, 1)
		}
	}
	recordUntil(func() bool { return len(deleted()) >= 3 })
	leader := deleted()[:1]
	if pool, err := servers[leader].db.Write.DB(); err != nil || pool.Close() != nil { // it reaches the database no more
		t.Fatal(err)
	}
	recordUntil(func() bool { return strings.Count(deleted(), leader) <= len(deleted())-2 })
	stop()
	running.Wait()

	if all := deleted(); strings.Trim(strings.TrimLeft(all, leader), map[string]string{"a": "b", "b": "a"}[leader]) != "" {
		t.Errorf("they have deleted in the order %s", all)
	}
	var left string
	err := recorder.db.Write.Raw("SELECT leader FROM audit_jobs").Scan(&left).Error
	if err != nil || left != "" {
		t.Errorf("who has stopped still leads: %q, %v", left, err)
	}
}
