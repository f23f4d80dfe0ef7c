//go:build unix

package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/jobs"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/following"
)

var consumers = []string{"first", "second", "third"}

// Servers that follow the log are killed while others record in transactions that overlap, of which some stay open for
// long and some are rolled back. Every consumer is handed every entry, once.
func TestFollowersThatAreKilledPassOverNothing(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		follow(t, prepare(t, "sqlite:"+filepath.Join(t.TempDir(), "log.db"), "acme"), 0)
	})
	t.Run("postgres", func(t *testing.T) {
		lasting := time.Duration(kills(t)*kills(t)) * 150 * time.Millisecond
		_, databaseURL := startServers(t)
		follow(t, prepare(t, databaseURL, "acme"), min(lasting, time.Minute))
	})
}

// follow has transactions stay open for as long as lasting, if that is not 0.
func follow(t *testing.T, to target, lasting time.Duration) {
	chance := chance(t)
	entries := int64(500 * kills(t) * kills(t))
	within(t, to.databaseURL, func(db *database.DB) error {
		err := db.Write.Exec("CREATE TABLE followed (consumer text, id text)").Error
		if err == nil && lasting > 0 {
			err = managed(db.Write, "followed")
		}
		return err
	})
	start := func() *process {
		return startChild(t, "follower", []string{"SOAK_DATABASE=" + to.databaseURL}, func(string) {})
	}
	servers := []*process{start(), start()}

	db, err := database.Open(t.Context(), to.databaseURL, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var recorded atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	defer writers.Wait()
	defer stop()
	writer := func(seed uint64, most int, lasting time.Duration) {
		writers.Go(func() {
			random := rand.New(rand.NewPCG(seed, 1))
			for recorded.Load() < entries && ctx.Err() == nil {
				n, err := recordFor(ctx, db, to.organization, random, most, lasting)
				if err != nil && ctx.Err() == nil {
					t.Errorf("record: %v", err)
					return
				}
				recorded.Add(n)
				time.Sleep(time.Millisecond) // on SQLite others would hardly ever find their moment
			}
		})
	}
	seed := chance.Uint64()
	for n := range 4 {
		writer(seed+uint64(n), 300, 0)
	}
	if lasting > 0 {
		writer(seed+4, 30, lasting)
		writer(seed+5, 30, lasting/10)
	}
	for n := range kills(t) {
		for began := time.Now(); recorded.Load() < entries*int64(n+1)/int64(kills(t)+1); time.Sleep(time.Millisecond) {
			if time.Since(began) > patience || t.Failed() {
				t.Fatal("nothing is recorded any more")
			}
		}
		pause(chance, 300*time.Millisecond)
		servers[n%2].mustRun(t)
		servers[n%2].kill(t)
		servers[n%2] = start()
	}
	writers.Wait()
	t.Logf("killed %d times while %d entries were recorded", kills(t), recorded.Load())

	store, err := db.Store(nil)
	if err != nil {
		t.Fatal(err)
	}
	moved, at := time.Now(), ""
	for places := ""; !caughtUp(t, store, &places); time.Sleep(10 * time.Millisecond) {
		if places != at {
			moved, at = time.Now(), places
		}
		if time.Since(moved) > patience {
			t.Fatalf("the consumers do not get on: %s", at)
		}
	}
	for _, server := range servers {
		server.mustRun(t)
		server.finish(t)
	}
	var all []models.EntryID
	if err := db.Read.Raw("SELECT id FROM audit_entries").Scan(&all).Error; err != nil || int64(len(all)) != recorded.Load() {
		t.Fatalf("%d entries of %d: %v", len(all), recorded.Load(), err)
	}
	for _, consumer := range consumers {
		var ids []string
		if err := db.Read.Raw("SELECT id FROM followed WHERE consumer = ?", consumer).Scan(&ids).Error; err != nil {
			t.Fatal(err)
		}
		times := make(map[string]int, len(ids))
		for _, id := range ids {
			times[id]++
		}
		missing := 0
		for _, id := range all {
			if times[id.String()] == 0 {
				missing++
			}
		}
		if missing > 0 || len(ids) != len(all) || len(times) != len(all) {
			t.Errorf("%s was handed %d entries, %d different ones, of %d; %d are missing", consumer, len(ids), len(times), len(all), missing)
		}
	}
}

// recordFor records up to most entries in a transaction that stays open for a time, and returns how many it has committed.
func recordFor(ctx context.Context, db *database.DB, organization string, random *rand.Rand, most int, lasting time.Duration) (n int64, err error) {
	tx := db.Write.WithContext(ctx).Begin()
	if tx.Error != nil {
		return 0, tx.Error
	}
	defer tx.Rollback() // of no effect after Commit
	events := make([]audit.Event, 1+random.IntN(most))
	for i := range events {
		events[i] = audit.Event{Organization: organization, Action: action.ServiceUpdate, EntityID: fmt.Sprint("svc-", random.IntN(100)),
			Actor: audit.System("soak"), OccurredAt: time.Now().Add(-time.Duration(random.IntN(80*24)) * time.Hour)}
	}
	for len(events) > 0 {
		some := min(len(events), 1+random.IntN(50))
		if _, err := audit.RecordAll(ctx, tx, events[:some]); err != nil {
			return 0, err
		}
		n, events = n+int64(some), events[some:]
	}
	if lasting > 0 {
		select {
		case <-time.After(lasting/2 + time.Duration(random.Int64N(int64(lasting/2)))):
		case <-ctx.Done():
		}
	}
	if random.IntN(10) == 0 {
		return 0, tx.Rollback().Error
	}
	return n, tx.Commit().Error
}

// caughtUp reports whether no consumer has anything left to read, and where they are.
func caughtUp(t *testing.T, store *models.Store, places *string) bool {
	t.Helper()
	all := true
	*places = ""
	for _, consumer := range consumers {
		place, joined, err := following.PlaceOf(store.Reader(t.Context()), consumer)
		if err != nil {
			t.Fatal(err)
		}
		*places += string(place) + "\n"
		batch, err := following.New(store).Read(t.Context(), place, following.Needs{}, 1)
		if err != nil && !errors.Is(err, following.ErrPlaceGone) {
			t.Fatal(err)
		}
		all = all && joined && err == nil && len(batch.Entries) == 0
	}
	return all
}

// followerChild follows the log until its standard input ends.
func followerChild() error {
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	db, err := database.Open(ctx, os.Getenv("SOAK_DATABASE"), log)
	for began := time.Now(); err != nil && ctx.Err() == nil && time.Since(began) < patience; { // on SQLite others write all the time
		db, err = database.Open(ctx, os.Getenv("SOAK_DATABASE"), log)
	}
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	store, err := db.Store(nil)
	if err != nil {
		return err
	}
	var all []jobs.Consumer
	for _, name := range consumers {
		all = append(all, jobs.Consumer{Name: name, Consume: func(_ context.Context, tx *gorm.DB, entries []models.Entry) error {
			rows := make([]map[string]any, len(entries))
			for i := range entries {
				rows[i] = map[string]any{"consumer": name, "id": entries[i].ID.String()}
			}
			return tx.Table("followed").Create(rows).Error
		}})
	}
	jobs.NewFollower(store, log, all, jobs.FollowerConfig{
		Interval: 20 * time.Millisecond, BatchSize: 100, LeaderCheck: 100 * time.Millisecond, BatchTimeout: time.Second, Patience: time.Second,
	}).Run(ctx)
	return db.Close()
}
