package jobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/following"
)

// noting is a consumer that notes, in the database, which entries it was handed.
func (f *fixture) noting(name string) Consumer {
	f.t.Helper()
	if err := f.db.Write.Exec("CREATE TABLE IF NOT EXISTS noted (consumer text, id text)").Error; err != nil {
		f.t.Fatal(err)
	}
	return Consumer{Name: name, Consume: func(ctx context.Context, tx *gorm.DB, entries []models.Entry) error {
		rows := make([]map[string]any, len(entries))
		for i, e := range entries {
			rows[i] = map[string]any{"consumer": name, "id": e.ID.String()}
		}
		return tx.WithContext(ctx).Table("noted").Create(rows).Error
	}}
}

// noted are the entries that a consumer was handed, and as often.
func (f *fixture) noted(name string) (ids []string) {
	f.t.Helper()
	if err := f.store.Reader(f.t.Context()).Raw("SELECT id FROM noted WHERE consumer = ? ORDER BY id", name).Scan(&ids).Error; err != nil {
		f.t.Fatal(err)
	}
	return ids
}

// recorded are all entries there are.
func (f *fixture) recorded() (ids []string) {
	f.t.Helper()
	var found []models.EntryID
	if err := f.store.Reader(f.t.Context()).Raw("SELECT id FROM audit_entries").Scan(&found).Error; err != nil {
		f.t.Fatal(err)
	}
	for _, id := range found {
		ids = append(ids, id.String())
	}
	slices.Sort(ids)
	return ids
}

func (f *fixture) wantNoted(consumer string) {
	f.t.Helper()
	want, got := f.recorded(), f.noted(consumer)
	if slices.Equal(got, want) {
		return
	}
	count := map[string]int{}
	for _, id := range got {
		count[id]++
	}
	missing, doubled := 0, 0
	for _, id := range want {
		if count[id] == 0 {
			missing++
		}
		if count[id] > 1 {
			doubled++
		}
	}
	f.t.Errorf("%s was handed %d entries of %d: %d are missing and %d came twice", consumer, len(got), len(want), missing, doubled)
}

var atOnce = FollowerConfig{Interval: time.Millisecond, BatchSize: 7, LeaderCheck: 10 * time.Millisecond, Patience: 5 * time.Millisecond}

// follow runs a follower until done, looked at now and then, says so.
func (f *fixture) follow(config FollowerConfig, consumers []Consumer, done func() bool) {
	f.t.Helper()
	ctx, stop := context.WithCancel(f.t.Context())
	var running sync.WaitGroup
	running.Go(func() { NewFollower(f.store, newLog(f), consumers, config).Run(ctx) })
	defer running.Wait()
	defer stop()
	for began := time.Now(); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 5*time.Minute {
			f.t.Fatal("it does not get to where it should")
		}
	}
}

// caughtUp reports whether there is nothing left for the consumers.
func (f *fixture) caughtUp(consumers ...Consumer) bool {
	f.t.Helper()
	for _, c := range consumers {
		place, joined, err := following.PlaceOf(f.store.Reader(f.t.Context()), c.Name)
		if err != nil {
			f.t.Fatal(err)
		}
		batch, err := following.New(f.store).Read(f.t.Context(), place, following.Needs{}, 1)
		if err != nil || !joined || len(batch.Entries) > 0 {
			return false
		}
	}
	return true
}

func TestEveryConsumerIsHandedEveryEntryOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		testFollowing(newFixture(t, db), 4, 60, 20, 100*time.Millisecond)
	})
}

// testFollowing has writers record in transactions, some of which stay open for a time and some of which are rolled back,
// while followers are stopped again and again, and checks that each consumer was handed all there is.
func testFollowing(f *fixture, writers, transactions, stops int, open time.Duration) {
	f.t.Helper()
	f.organization("acme")
	f.organization("beta")
	ctx := f.t.Context()
	failing := f.noting("failing")
	notes := failing.Consume
	var calls atomic.Int64
	failing.Consume = func(ctx context.Context, tx *gorm.DB, entries []models.Entry) error {
		err := notes(ctx, tx, entries)
		switch n := calls.Add(1); {
		case n%5 == 0:
			return errors.New("the disk is on fire")
		case n%11 == 0:
			panic("on fire")
		}
		return err
	}
	consumers := []Consumer{f.noting("first"), f.noting("second"), failing}
	config := atOnce
	if databasetest.OnCitus() { // where a transaction takes as long as ten
		config.BatchSize *= 10
	}

	record := func(ctx context.Context, random *rand.Rand, name string) error {
		tx := f.db.Write.WithContext(ctx).Begin()
		if tx.Error != nil {
			return tx.Error
		}
		defer tx.Rollback()
		for i := range 1 + random.IntN(40) {
			_, err := audit.Record(ctx, models.WithClock(tx, f.store.Now), audit.Event{
				Organization: []string{"acme", "beta"}[i%2], Action: action.ServiceUpdate, EntityID: name, Actor: audit.System("test"),
				OccurredAt: f.now.Add(-time.Duration(random.IntN(1000)) * time.Hour),
			})
			if err != nil {
				return err
			}
		}
		if f.store.Dialect() == "postgres" && random.IntN(4) == 0 {
			sleep(ctx, time.Duration(random.Int64N(int64(open))))
		}
		if random.IntN(5) == 0 {
			return tx.Rollback().Error
		}
		return tx.Commit().Error
	}
	var recording sync.WaitGroup
	for w := range writers {
		recording.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w)))
			for i := range transactions {
				if err := record(ctx, random, fmt.Sprintf("svc-%d-%d", w, i)); err != nil {
					f.t.Errorf("record: %v", err)
					return
				}
			}
		})
	}
	recorded := make(chan struct{})
	go func() { recording.Wait(); close(recorded) }()

	// Two servers follow, each of which is stopped now and then.
	var servers sync.WaitGroup
	for s := range 2 {
		servers.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(s)))
			for range stops / 2 {
				ctx, stop := context.WithTimeout(ctx, time.Duration(5+random.IntN(200))*time.Millisecond)
				follower := NewFollower(f.store, newLog(f), consumers, config)
				if s == 1 {
					follower.leader = soleLeader{} // it takes itself for the leader
				}
				follower.Run(ctx)
				stop()
			}
		})
	}
	servers.Wait()
	<-recorded
	f.follow(config, consumers, func() bool { return f.caughtUp(consumers...) })
	for _, c := range consumers {
		f.wantNoted(c.Name)
	}
	if calls.Load() < 12 {
		f.t.Errorf("the failing consumer was called %d times", calls.Load())
	}
}

func TestAConsumerThatFailsHoldsUpNoOther(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		f.organization("acme")
		f.record("acme", day, 20)
		failing := f.noting("failing")
		failing.Consume = func(context.Context, *gorm.DB, []models.Entry) error { return errors.New("the disk is on fire") }
		other := f.noting("other")
		f.follow(atOnce, []Consumer{failing, other}, func() bool { return f.caughtUp(other) && strings.Contains(f.log.String(), "on fire") })
		f.wantNoted("other")
		if !strings.Contains(f.log.String(), "consumer=failing") {
			t.Errorf("the log says %s", f.log.String())
		}
		lag := func(name string) time.Duration {
			lag, err := following.New(f.store).Lag(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			return lag
		}
		f.now = f.now.Add(time.Hour)
		if failed, at := lag("failing"), lag("other"); failed != day+time.Hour || at != 0 || lag("unknown") != 0 {
			t.Errorf("the one that fails lags by %s, the other by %s", failed, at)
		}
		failing = f.noting("failing")
		f.follow(atOnce, []Consumer{failing}, func() bool { return f.caughtUp(failing) })
		f.wantNoted("failing")
		if lag("failing") != 0 {
			t.Error("it still lags")
		}
	})
}

// A batch that takes too long would do so for ever.
func TestAConsumerThatFailsIsHandedLess(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		f.organization("acme")
		f.record("acme", day, 10)
		slow := f.noting("slow")
		consume := slow.Consume
		var sizes []int
		slow.Consume = func(ctx context.Context, tx *gorm.DB, entries []models.Entry) error {
			if sizes = append(sizes, len(entries)); len(entries) > 3 {
				return context.DeadlineExceeded
			}
			return consume(ctx, tx, entries)
		}
		follower := NewFollower(f.store, newLog(f), []Consumer{slow}, FollowerConfig{})
		clock := time.Now()
		follower.now = func() time.Time { return clock }
		for range 7 {
			follower.round(t.Context())
			clock = clock.Add(follower.config.Patience)
		}
		f.wantNoted("slow")
		if !slices.Equal(sizes, []int{10, 5, 2, 3, 4, 2, 3}) {
			t.Errorf("it was handed %v", sizes)
		}
	})
}

func TestAConsumerWhosePlaceCannotBeReadHoldsUpNoOther(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		f.organization("acme")
		broken, other := f.noting("broken"), f.noting("other")
		follower := NewFollower(f.store, newLog(f), []Consumer{broken, other}, atOnce)
		follower.now = func() time.Time { return f.now } // so that it waits for ever
		follower.round(t.Context())
		if err := db.Write.Exec("UPDATE audit_consumers SET place = 'nowhere' WHERE name = 'broken'").Error; err != nil {
			t.Fatal(err)
		}
		follower = NewFollower(f.store, newLog(f), []Consumer{broken, other}, atOnce)
		follower.now = func() time.Time { return f.now }
		for range 3 {
			f.record("acme", day, 5)
			for follower.round(t.Context()) {
			}
			f.wantNoted("other")
		}
		if logged := f.log.String(); strings.Count(logged, "level=ERROR") != 1 || !strings.Contains(logged, "consumer=broken") {
			t.Errorf("the log says %s", logged)
		}
	})
}

// While much is recorded the follower leaves most of the machine to others. What is left then it reads at once.
func TestTheFollowerRestsWhileMuchIsRecorded(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		f.organization("acme")
		clock := f.now
		consumer := f.noting("consumer")
		notes := consumer.Consume
		consumer.Consume = func(ctx context.Context, tx *gorm.DB, entries []models.Entry) error {
			clock = clock.Add(20 * time.Millisecond)
			return notes(ctx, tx, entries)
		}
		follower := NewFollower(f.store, newLog(f), []Consumer{consumer}, FollowerConfig{BatchSize: 7})
		follower.now = func() time.Time { return clock }
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		const recording = 6
		var rests []time.Duration
		follower.sleep = func(_ context.Context, rest time.Duration) {
			rests = append(rests, rest)
			clock = clock.Add(rest)
			switch n := len(rests); {
			case n == 1:
				f.record("acme", day, 60) // in half a second
			case n < recording:
				f.record("acme", day, 50) // in two fifths
			case n > recording && rest > 0:
				stop()
			}
		}
		follower.Run(ctx)
		f.wantNoted("consumer")
		for i, rest := range rests {
			want := share * 20 * time.Millisecond
			switch {
			case i == 0, i == len(rests)-1:
				want = 500 * time.Millisecond // there was nothing left
			case i >= recording:
				want = 0
			}
			if rest > want || rest < want-want/100 {
				t.Errorf("rest %d of %d is %s, want %s", i+1, len(rests), rest, want)
			}
		}
		if len(rests) < 2*recording {
			t.Errorf("%d rests", len(rests))
		}
	})
}

func TestBatchesAreAsLargeAsTheirTimeAllows(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		f.organization("acme")
		f.record("acme", day, 900)
		clock := f.now
		var sizes []int
		consumer := Consumer{Name: "consumer", Consume: func(_ context.Context, _ *gorm.DB, entries []models.Entry) error {
			sizes = append(sizes, len(entries))
			clock = clock.Add(time.Duration(len(entries)) * time.Millisecond)
			return nil
		}}
		follower := NewFollower(f.store, newLog(f), []Consumer{consumer}, FollowerConfig{BatchTime: 150 * time.Millisecond})
		follower.now = func() time.Time { return clock }
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		follower.sleep = func(_ context.Context, rest time.Duration) {
			if rest > 0 {
				stop()
			}
		}
		follower.Run(ctx)
		if want := []int{100, 150, 150, 150, 150, 150, 50}; !slices.Equal(sizes, want) {
			t.Errorf("batches of %d entries, want %d", sizes, want)
		}

		// One that wants many at a time gets them while little is recorded.
		sizes = nil
		consumer.Name, consumer.BatchSize = "many", 400
		follower = NewFollower(f.store, newLog(f), []Consumer{consumer}, FollowerConfig{BatchTime: 150 * time.Millisecond})
		follower.now = func() time.Time { return clock }
		for _, follower.busy = range []bool{false, true, true} {
			follower.round(t.Context())
		}
		if want := []int{400, 100, 150}; !slices.Equal(sizes, want) {
			t.Errorf("batches of %d entries, want %d", sizes, want)
		}
	})
}

func TestRests(t *testing.T) {
	now := time.Now()
	f := &Follower{config: FollowerConfig{}.withDefaults("sqlite"), now: func() time.Time { return now }}
	for _, test := range []struct {
		name      string
		consumers int
		busy      bool
		more      bool
		behind    time.Duration // since when
		want      time.Duration
	}{
		{"much is recorded", 1, true, true, 0, 1900 * time.Millisecond},
		{"much is recorded, for two", 2, true, true, 0, 3800 * time.Millisecond},
		{"it has been behind for half an hour", 1, true, true, 30 * time.Minute, 950 * time.Millisecond},
		{"it has been behind for two hours", 1, true, true, 2 * time.Hour, 0},
		{"it is not behind any more", 1, true, false, 2 * time.Hour, 1900 * time.Millisecond},
		{"little is recorded", 1, false, true, time.Minute, 0},
		{"nothing is left", 1, false, false, 0, 500 * time.Millisecond},
	} {
		c := &follower{worked: 100 * time.Millisecond, more: test.more, behind: now.Add(-test.behind)}
		f.busy, f.all = test.busy, make([]*follower, test.consumers)
		if got := f.restOf(c, now); got != test.want {
			t.Errorf("%s: it rests for %s, want %s", test.name, got, test.want)
		}
	}
	f.busy, f.all = true, make([]*follower, 1)
	if got := f.restOf(&follower{worked: time.Hour}, now); got != time.Minute {
		t.Errorf("one that took too long rests for %s", got)
	}
}

// One that takes long rests long, and the other does not.
func TestEachConsumerRestsForItself(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		f.organization("acme")
		f.record("acme", day, 200)
		clock := f.now
		var follower *Follower
		called := map[string][]time.Duration{} // since the beginning
		consumer := func(name string, works time.Duration) Consumer {
			return Consumer{Name: name, Consume: func(_ context.Context, _ *gorm.DB, entries []models.Entry) error {
				called[name] = append(called[name], clock.Sub(f.now))
				clock = clock.Add(works)
				follower.busy, follower.looked = true, clock // much is recorded
				return nil
			}}
		}
		follower = NewFollower(f.store, newLog(f), []Consumer{consumer("slow", time.Second), consumer("quick", 10*time.Millisecond)}, FollowerConfig{BatchSize: 1})
		follower.now = func() time.Time { return clock }
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		follower.sleep = func(_ context.Context, rest time.Duration) {
			clock = clock.Add(rest)
			follower.looked = clock
			if len(called["slow"]) == 3 {
				stop()
			}
		}
		follower.Run(ctx)
		if slow, quick := called["slow"], called["quick"]; slow[2]-slow[1] < 38*time.Second || len(quick) < 50 {
			t.Errorf("the slow one is called after %v, the quick one %d times", slow, len(quick))
		}
	})
}

func TestAConsumerBeginsWithTheOldestEntryOrNow(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		f.organization("acme")
		f.record("acme", 2*day, 10)
		fromNow := f.noting("from now")
		fromNow.FromNow = true
		f.follow(atOnce, []Consumer{fromNow}, func() bool { return f.caughtUp(fromNow) })
		fromStart := f.noting("from the start")
		f.record("acme", day, 5)
		f.follow(atOnce, []Consumer{fromNow, fromStart}, func() bool { return f.caughtUp(fromNow, fromStart) })
		f.wantNoted("from the start")
		if n := len(f.noted("from now")); n != 5 {
			t.Errorf("%d entries were handed to it", n)
		}
	})
}

// What is deleted before it was read is left out; what was read stays so.
func TestTheCleanUpMayGoAheadOfAConsumer(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		org := f.organization("acme")
		f.record("acme", day, 5)
		consumer := f.noting("consumer")
		step := func() {
			f.follow(atOnce, []Consumer{consumer}, func() bool { return f.caughtUp(consumer) })
		}
		step()
		f.record("acme", 100*day, 5) // expired, and on SQLite last
		step()
		f.record("acme", 100*day, 5)
		f.mustRun()
		f.wantEntries(org, 5)
		f.record("acme", day, 5)
		step()
		if n := len(f.noted("consumer")); n != 15 {
			t.Errorf("%d entries were handed to it", n)
		}
	})
}

// A consumer that prepares is handed as many as it says, and left alone once it has all.
func TestAConsumerPreparesAndRests(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		f.organization("acme")
		f.record("acme", 2*day, 10)
		noting := f.noting("prepared")
		var sizes []int
		prepared := Consumer{Name: noting.Name, BatchSize: 4, Rest: time.Hour, Prepare: func(ctx context.Context, store *models.Store, entries []models.Entry) (func(*gorm.DB) error, error) {
			if err := store.Writer(ctx).Exec("DELETE FROM noted WHERE consumer = 'nobody'").Error; err != nil {
				return nil, err // which would wait for a transaction of the follower
			}
			sizes = append(sizes, len(entries))
			return func(tx *gorm.DB) error { return noting.Consume(ctx, tx, entries) }, nil
		}}
		follower := NewFollower(f.store, newLog(f), []Consumer{prepared}, FollowerConfig{})
		clock := time.Now()
		follower.now = func() time.Time { return clock }
		for range 5 {
			follower.round(t.Context())
		}
		f.wantNoted("prepared")
		f.record("acme", day, 1)
		follower.round(t.Context())
		if len(sizes) != 3 {
			t.Errorf("it was handed %v before it had rested", sizes)
		}
		clock = clock.Add(prepared.Rest)
		follower.round(t.Context())
		f.wantNoted("prepared")
		if !slices.Equal(sizes, []int{4, 4, 2, 1}) {
			t.Errorf("it was handed %v: %s", sizes, f.log.String())
		}
	})
}
