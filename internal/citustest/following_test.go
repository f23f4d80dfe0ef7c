//go:build citus

package citustest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/migrate"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/following"
)

// Each node has transactions of its own, and entries go from one to another with their shards.
func TestTheLogIsFollowedWhileShardsMove(t *testing.T) {
	db := databasetest.Postgres(t)
	store, err := db.Store(nil)
	if err != nil {
		t.Fatal(err)
	}
	const organizations, writers, transactions = 12, 4, 60
	for n := range organizations {
		if _, err := audit.EnsureOrganization(t.Context(), db.Write, audit.Organization{Slug: fmt.Sprint("org-", n)}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var moving, recording sync.WaitGroup
	moves := 0
	moving.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			mode := []string{"block_writes", "force_logical"}[n%2]
			// One of the shards, to the other worker.
			err := db.Write.WithContext(t.Context()).Exec(`SELECT citus_move_shard_placement(s.shardid, s.nodename, s.nodeport, n.nodename, n.nodeport, ?::citus.shard_transfer_mode)
				FROM (SELECT * FROM citus_shards WHERE table_name = 'audit_entries'::regclass ORDER BY random() LIMIT 1) AS s
				JOIN pg_dist_node AS n ON n.groupid > 0 AND (n.nodename, n.nodeport) <> (s.nodename, s.nodeport)`, mode).Error
			if err != nil {
				t.Errorf("move a shard: %v", err)
				return
			}
			moves++
		}
	})
	for w := range writers {
		recording.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w)))
			for range transactions {
				tx := db.Write.WithContext(t.Context()).Begin()
				one := random.IntN(2) == 0 // organization, or several, on several nodes
				organization := fmt.Sprint("org-", random.IntN(organizations))
				err := tx.Error
				for range 1 + random.IntN(10) {
					if !one {
						organization = fmt.Sprint("org-", random.IntN(organizations))
					}
					if err == nil {
						_, err = audit.Record(t.Context(), tx, audit.Event{Organization: organization, Action: "service:update", EntityID: "svc-1", Actor: audit.System("test")})
					}
				}
				if random.IntN(5) == 0 {
					time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond)
				}
				if err != nil || random.IntN(6) == 0 {
					tx.Rollback()
				} else {
					err = tx.Commit().Error
				}
				if err != nil {
					t.Logf("record: %v", err) // it may be in the way of a move
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		recording.Wait()
		stop()
		moving.Wait()
		close(done)
	}()

	log := following.New(store)
	var place following.Place
	read := map[models.EntryID]int{}
	step := func() (more bool) {
		t.Helper()
		batch, err := log.Read(t.Context(), place, following.Needs{}, 7)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch.Entries {
			read[e.ID]++
		}
		place = batch.Next
		return batch.More
	}
	for recorded := false; !recorded; {
		select {
		case <-done:
			recorded = true
		default:
			step()
		}
	}
	for step() {
	}
	var all []models.EntryID
	if err := db.Read.Raw("SELECT id FROM audit_entries").Scan(&all).Error; err != nil || len(all) < writers*transactions {
		t.Fatalf("%d entries: %v", len(all), err)
	}
	missing := 0
	for _, id := range all {
		if read[id] == 0 {
			missing++
		}
	}
	times := slices.Max(slices.Collect(maps.Values(read)))
	if missing > 0 || len(read) != len(all) || times != 1 || moves < 2 {
		t.Errorf("of %d entries %d were read, up to %d times, and %d are missing, over %d moves of shards", len(all), len(read), times, missing, moves)
	}
	t.Logf("%d entries, %d moves", len(all), moves)
}

// What was recorded by versions whose entries did not say on which node is read, and what comes behind it.
func TestALogOfBeforeIsFollowed(t *testing.T) {
	db := databasetest.Postgres(t)
	store, err := db.Store(nil)
	if err != nil {
		t.Fatal(err)
	}
	record := func() {
		t.Helper()
		for n := range 6 {
			organization := fmt.Sprint("org-", n)
			if _, err := audit.EnsureOrganization(t.Context(), db.Write, audit.Organization{Slug: organization}); err != nil {
				t.Fatal(err)
			}
			event := audit.Event{Organization: organization, Action: "service:update", EntityID: "svc-1", Actor: audit.System("test"),
				Related: []audit.Resource{{Type: "subnet", ID: "net-1"}}}
			if _, err := audit.Record(t.Context(), db.Write, event); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := databasetest.MigrationsOf(t, db).DownTo(t.Context(), 21); err != nil {
		t.Fatal(err)
	}
	record()
	for range 2 {
		if err := migrate.Up(t.Context(), db.Write); err != nil {
			t.Fatal(err)
		}
	}
	log := following.New(store)
	var place following.Place
	for range 2 {
		read := 0
		for more := true; more; {
			batch, err := log.Read(t.Context(), place, following.Needs{}, 4)
			if err != nil {
				t.Fatal(err)
			}
			read, place, more = read+len(batch.Entries), batch.Next, batch.More
		}
		if read != 6 {
			t.Errorf("%d entries were read to %q", read, place)
		}
		record()
	}
}
