package recordingtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

func newBatcher(t *testing.T, db *gorm.DB, config audit.BatcherConfig) *audit.Batcher {
	t.Helper()
	batcher, err := audit.NewBatcher(db, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = batcher.Close(context.Background()) })
	return batcher
}

// held is a Batcher with one writer whose commits wait until they are let go. Its first batch, of one
// event, is being committed already.
type held struct {
	*audit.Batcher
	faults *faults
	calls  sync.WaitGroup
	letGo  func()
}

func hold(t *testing.T, db *gorm.DB, config audit.BatcherConfig) *held {
	t.Helper()
	faulty, faults := withFaults(t, db)
	committing, gate := make(chan struct{}, 100), make(chan struct{})
	faults.onCommit(func(ctx context.Context, commit func() error) error {
		committing <- struct{}{}
		select {
		case <-gate:
			return commit()
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	config.Writers = 1
	h := &held{Batcher: newBatcher(t, faulty, config), faults: faults, letGo: sync.OnceFunc(func() { close(gate) })}
	t.Cleanup(h.letGo)
	h.calls.Go(func() {
		if _, err := h.Record(t.Context(), anEvent(func(e *audit.Event) { e.EntityID = "first" })); err != nil &&
			!errors.Is(err, audit.ErrBatcherClosed) && !errors.Is(err, audit.ErrOutcomeUnknown) {
			t.Errorf("the first event: %v", err)
		}
	})
	<-committing
	return h
}

// record calls Record from a goroutine of its own and returns once the event waits.
func (h *held) record(t *testing.T, ctx context.Context, e audit.Event, done func(audit.Receipt, error)) {
	t.Helper()
	before := h.Stats().Waiting
	h.calls.Go(func() { done(h.Record(ctx, e)) })
	until(t, func() bool { return h.Stats().Waiting > before })
}

// until returns when condition holds.
func until(t *testing.T, condition func() bool) {
	t.Helper()
	for !condition() {
		if t.Context().Err() != nil {
			t.Fatal("it does not come to pass")
		}
		time.Sleep(100 * time.Microsecond)
	}
}

func TestBatcherSharesTransactions(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		ensure(t, db.Write, audit.Organization{Slug: "quiet"})
		set(t, db.Write, "UPDATE audit_organizations SET logging_enabled = ? WHERE slug = 'quiet'", false)
		h := hold(t, db.Write, audit.BatcherConfig{})
		var mutex sync.Mutex
		stored := map[string]string{} // entity IDs by entry IDs
		for i := range 100 {
			e := anEvent(func(e *audit.Event) {
				e.EntityID, e.Actor = fmt.Sprintf("svc-%d", i), audit.Actor{}
				if i%10 == 0 {
					e.Organization = "quiet"
				}
				if i%10 == 5 {
					e.ID = fmt.Sprintf("message-%d", i)
				}
			})
			ctx := audit.WithActor(t.Context(), audit.Actor{ID: fmt.Sprintf("u%d", i)})
			h.record(t, ctx, e, func(receipt audit.Receipt, err error) {
				if err != nil || receipt.Stored != (e.Organization == "acme") || receipt.Repeated {
					t.Errorf("%s: %+v, %v", e.EntityID, receipt, err)
				}
				mutex.Lock()
				defer mutex.Unlock()
				stored[receipt.EntryID] = e.EntityID
			})
		}
		if waiting := h.Stats().Waiting; waiting != 101 {
			t.Errorf("%d events wait, want 101", waiting)
		}
		if _, err := h.Record(t.Context(), anEvent(func(e *audit.Event) { e.EntityID = "" })); err == nil {
			t.Error("an event without an entity was accepted")
		}
		h.letGo()
		h.calls.Wait()
		if want := (audit.BatcherStats{Recorded: 91, NotStored: 10, Refused: 1, Batches: 2}); h.Stats() != want {
			t.Errorf("counted %+v, want %+v", h.Stats(), want)
		}
		rows := entries(t, db.Write)
		if len(rows) != 91 {
			t.Errorf("%d entries, want 91", len(rows))
		}
		for _, row := range rows {
			if row.EntityID != "first" && (stored[row.ID.String()] != row.EntityID || row.ActorID != "u"+strings.TrimPrefix(row.EntityID, "svc-")) {
				t.Errorf("entry %s is %s by %s, its receipt was for %q", row.ID, row.EntityID, row.ActorID, stored[row.ID.String()])
			}
		}
		if err := h.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestBatcherWithAFullQueue(t *testing.T) {
	db := databasetest.SQLite(t)
	ensure(t, db.Write, audit.Organization{Slug: "acme"})
	fine := func(_ audit.Receipt, err error) {
		if err != nil {
			t.Error(err)
		}
	}
	t.Run("fails", func(t *testing.T) {
		h := hold(t, db.Write, audit.BatcherConfig{QueueSize: 2, WhenFull: audit.FailWhenFull})
		h.record(t, t.Context(), anEvent(), fine)
		h.record(t, t.Context(), anEvent(), fine)
		if _, err := h.Record(t.Context(), anEvent()); !errors.Is(err, audit.ErrQueueFull) {
			t.Errorf("answers %v, want ErrQueueFull", err)
		}
		h.letGo()
		h.calls.Wait()
		if want := (audit.BatcherStats{Recorded: 3, Failed: 1, Batches: 2}); h.Stats() != want {
			t.Errorf("counted %+v, want %+v", h.Stats(), want)
		}
	})
	t.Run("waits", func(t *testing.T) {
		h := hold(t, db.Write, audit.BatcherConfig{QueueSize: 2})
		h.record(t, t.Context(), anEvent(), fine)
		h.record(t, t.Context(), anEvent(), fine)
		ctx, cancel := context.WithCancel(t.Context())
		h.calls.Go(func() {
			if _, err := h.Record(ctx, anEvent()); !errors.Is(err, context.Canceled) || errors.Is(err, audit.ErrOutcomeUnknown) {
				t.Errorf("one whose caller went away: %v", err)
			}
		})
		h.calls.Go(func() { fine(h.Record(t.Context(), anEvent())) })
		cancel()
		until(t, func() bool { return h.Stats().Failed == 1 })
		h.letGo()
		h.calls.Wait()
		if stats := h.Stats(); stats.Recorded != 4 || stats.Failed != 1 || stats.Waiting != 0 {
			t.Errorf("counted %+v", stats)
		}
	})
}

func TestBatcherWhenTheCallerGoesAway(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		faulty, faults := withFaults(t, db.Write)
		committing, gate := make(chan struct{}), make(chan struct{})
		faults.onCommit(func(_ context.Context, commit func() error) error {
			committing <- struct{}{}
			<-gate
			return commit()
		})
		batcher := newBatcher(t, faulty, audit.BatcherConfig{Writers: 1})
		var calls sync.WaitGroup

		underWay, leave := context.WithCancel(t.Context())
		named := anEvent(func(e *audit.Event) { e.ID = "m-1" })
		calls.Go(func() {
			_, err := batcher.Record(underWay, named)
			if !errors.Is(err, audit.ErrOutcomeUnknown) || !errors.Is(err, context.Canceled) {
				t.Errorf("while it is being committed: %v", err)
			}
		})
		<-committing
		queued, withdraw := context.WithCancel(t.Context())
		calls.Go(func() {
			_, err := batcher.Record(queued, anEvent(func(e *audit.Event) { e.EntityID = "withdrawn" }))
			if errors.Is(err, audit.ErrOutcomeUnknown) || !errors.Is(err, context.Canceled) {
				t.Errorf("while it waits: %v", err)
			}
		})
		until(t, func() bool { return batcher.Stats().Waiting == 2 })
		leave()
		withdraw()
		calls.Wait()
		faults.onCommit(nil)
		close(gate)
		receipt, err := batcher.Record(t.Context(), named)
		if err != nil || !receipt.Repeated || !receipt.Stored {
			t.Errorf("repeated: %+v, %v", receipt, err)
		}
		if rows := entries(t, db.Write); len(rows) != 1 || rows[0].EntityID != "svc-1" {
			t.Errorf("stored %+v", rows)
		}
		if want := (audit.BatcherStats{Recorded: 2, Failed: 1, Batches: 2}); batcher.Stats() != want {
			t.Errorf("counted %+v, want %+v", batcher.Stats(), want)
		}
		if _, err := batcher.Record(queued, anEvent()); !errors.Is(err, context.Canceled) || batcher.Stats().Failed != 2 {
			t.Errorf("a caller that is gone already: %v", err)
		}
	})
}

func TestBatcherKeepsBadEventsApart(t *testing.T) {
	poison := map[string][]string{
		"sqlite": {`CREATE TRIGGER poison BEFORE INSERT ON audit_entries WHEN new.entity_id = 'poison' BEGIN SELECT RAISE(ABORT, 'poison'); END`},
		"postgres": {
			"SET LOCAL citus.enable_unsafe_triggers = on", // any setting with a dot may be set
			`CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'poison'; END $$`,
			`CREATE TRIGGER poison BEFORE INSERT ON audit_entries FOR EACH ROW WHEN (new.entity_id = 'poison') EXECUTE FUNCTION poison()`,
		},
	}
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		for _, slug := range []string{"acme", "closed"} {
			ensure(t, db.Write, audit.Organization{Slug: slug})
		}
		set(t, db.Write, "UPDATE audit_organizations SET closed_at = 1 WHERE slug = 'closed'")
		err := db.Write.Transaction(func(tx *gorm.DB) error {
			for _, statement := range poison[db.Write.Name()] {
				set(t, tx, statement)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := audit.Record(t.Context(), db.Write, anEvent(func(e *audit.Event) { e.ID = "m-1" })); err != nil {
			t.Fatal(err)
		}
		h := hold(t, db.Write, audit.BatcherConfig{})
		expect := func(change func(*audit.Event), want func(error) bool) {
			e := anEvent(change)
			h.record(t, t.Context(), e, func(_ audit.Receipt, err error) {
				if !want(err) {
					t.Errorf("%+v: %v", e, err)
				}
			})
		}
		is := func(target error) func(error) bool {
			return func(err error) bool { return errors.Is(err, target) }
		}
		for i := range 30 {
			expect(func(e *audit.Event) { e.EntityID, e.ID = fmt.Sprintf("good-%d", i), fmt.Sprint(i) }, is(nil))
			switch i {
			case 5:
				expect(func(e *audit.Event) { e.Organization = "nobody" }, is(audit.ErrNoOrganization))
			case 10:
				expect(func(e *audit.Event) { e.Organization = "closed" }, is(audit.ErrOrganizationClosed))
			case 15:
				expect(func(e *audit.Event) { e.ID, e.EntityID = "m-1", "another" }, is(audit.ErrIDReused))
			case 20:
				expect(func(e *audit.Event) { e.EntityID = "poison" }, func(err error) bool { return err != nil && strings.Contains(err.Error(), "poison") })
			}
		}
		h.letGo()
		h.calls.Wait()
		if got := len(entries(t, db.Write)); got != 32 {
			t.Errorf("%d entries, want 32", got)
		}
		if stats := h.Stats(); stats.Recorded != 31 || stats.Refused != 4 || stats.Failed != 0 {
			t.Errorf("counted %+v", stats)
		}
	})
}

// A batch and somebody's long transaction tell of an entity nobody has seen before; neither waits for
// the other.
func TestBatcherDoesNotWaitForOtherTransactions(t *testing.T) {
	db := databasetest.Postgres(t)
	ensure(t, db.Write, audit.Organization{Slug: "acme"})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second) // a wait would end here, as a failure
	defer cancel()
	neverSeen := anEvent(func(e *audit.Event) { e.EntityID, e.Actor = "never-seen", audit.Actor{ID: "new"} })

	long := db.Write.WithContext(ctx).Begin()
	defer long.Rollback()
	if _, err := audit.RecordAll(ctx, long, []audit.Event{neverSeen, neverSeen}); err != nil {
		t.Fatal(err)
	}
	if _, err := newBatcher(t, db.Write, audit.BatcherConfig{}).Record(ctx, neverSeen); err != nil {
		t.Fatalf("a batch, while the transaction is open: %v", err)
	}

	h := hold(t, db.Write, audit.BatcherConfig{}) // its batch is of the entity "first"
	if _, err := audit.Record(ctx, db.Write, anEvent(func(e *audit.Event) { e.EntityID = "first" })); err != nil {
		t.Fatalf("a transaction, while the batch is open: %v", err)
	}
	h.letGo()
	h.calls.Wait()
	if err := long.Commit().Error; err != nil {
		t.Fatal(err)
	}
}

func TestBatcherOverDatabaseSQL(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ensure(t, db.Write, audit.Organization{Slug: "acme"})
		dialect := map[string]audit.Dialect{"sqlite": audit.SQLite, "postgres": audit.PostgreSQL}[db.Write.Name()]
		pool, err := db.Write.DB()
		if err != nil {
			t.Fatal(err)
		}
		batcher, err := dialect.NewBatcher(pool, audit.BatcherConfig{})
		if err != nil {
			t.Fatal(err)
		}
		receipt, err := batcher.Record(t.Context(), anEvent())
		if rows := entries(t, db.Write); err != nil || len(rows) != 1 || rows[0].ID.String() != receipt.EntryID {
			t.Errorf("%+v, %v, %d entries", receipt, err, len(rows))
		}
		if err := batcher.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestBatcherRefusesWhatItCannotWorkWith(t *testing.T) {
	db := databasetest.SQLite(t)
	for name, config := range map[string]audit.BatcherConfig{
		"MaxBatch":  {MaxBatch: -1},
		"QueueSize": {QueueSize: -1},
		"WhenFull":  {WhenFull: 7},
		"writers":   {Writers: 2},
	} {
		if _, err := audit.NewBatcher(db.Write, config); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	tx := db.Write.Begin()
	defer tx.Rollback()
	if _, err := audit.NewBatcher(tx, audit.BatcherConfig{}); err == nil {
		t.Error("a transaction was taken for a pool")
	}
}
