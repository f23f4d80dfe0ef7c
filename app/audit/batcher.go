package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/internal/recorder"
	"github.com/auditlogs/auditlogs/models"
)

// Batcher records events that belong to no transaction of the caller's, many at a time: events of
// all goroutines that call Record share transactions, and so the wait for the disk.
//
//	batcher, err := audit.NewBatcher(db, audit.BatcherConfig{})
//	…
//	receipt, err := batcher.Record(ctx, event) // from any number of goroutines
//	…
//	err = batcher.Close(ctx) // before the program ends
//
// Nothing is delayed to make batches larger: a batch is what has gathered while the last one was
// being committed.
type Batcher struct {
	db      *gorm.DB
	config  BatcherConfig
	queue   *recorder.Queue[*batchedEvent]
	names   *models.NameCache
	batches atomic.Int64 // committed

	mutex     sync.Mutex
	unflushed []UnflushedEvent
}

var _ Recorder = (*Batcher)(nil)

// NewBatcher makes a Batcher that records in db, a pool and not a transaction. It has goroutines
// of its own until it is closed. Errors: ErrNoHandle, ErrHandleFailed, ErrWrongDialect, or what is wrong with config.
func NewBatcher(db *gorm.DB, config BatcherConfig) (*Batcher, error) {
	if err := checkHandle(db); err != nil {
		return nil, err
	}
	if isTransaction(db) {
		return nil, errors.New("audit: batcher: db is a transaction; it must be a pool")
	}
	config = config.withDefaults(db.Name())
	if err := config.validate(db.Name()); err != nil {
		return nil, fmt.Errorf("audit: batcher: %w", err)
	}
	b := &Batcher{
		db:     models.Fresh(db),
		config: config,
		names:  &models.NameCache{},
		queue: recorder.New[*batchedEvent](recorder.Config{
			Size: config.QueueSize, Full: config.whenFull(), Closed: ErrBatcherClosed,
			MaxBatch: config.MaxBatch, MaxBytes: maxBatchMetadata,
		}),
	}
	for range config.Writers {
		b.queue.Go(b.write)
	}
	return b, nil
}

// NewBatcher makes a Batcher that records in db, for services without GORM: see the function
// NewBatcher.
func (d Dialect) NewBatcher(db *sql.DB, config BatcherConfig) (*Batcher, error) {
	return within(context.Background(), d, db, func(db *gorm.DB) (*Batcher, error) { return NewBatcher(db, config) })
}

// Record stores event and returns once it is committed.
//
// The event is checked, and actor, request and API key are taken from ctx, before it waits.
// When ctx ends while it waits, it is withdrawn: it is not stored, and the error is that of ctx.
// When ctx ends, or the connection is lost for longer than RetryFor, while it is being committed,
// the error is ErrOutcomeUnknown.
//
// Other errors: those of the function Record but ErrNoTransaction; ErrQueueFull and ErrBatcherClosed; anything else
// comes from the database. The event is not stored then. An event that the database refuses spoils none
// of those it shares a transaction with.
func (b *Batcher) Record(ctx context.Context, event Event) (Receipt, error) {
	entry, err := entryOf(ctx, event, models.TransactionNow(b.db))
	if err != nil {
		b.queue.Refused.Add(1)
		return Receipt{}, err
	}
	batched := &batchedEvent{event: whole(ctx, event, entry), entry: entry}
	return b.queue.Record(ctx, batched, len(entry.Entry.Metadata))
}

// Close records what waits and returns when that is done. Record returns ErrBatcherClosed from now
// on.
//
// When ctx ends first, what is under way is interrupted and what waits is withdrawn. An
// *UnflushedError lists the events that the database did not take while closing, for that or
// another reason; their callers are told as well. No goroutine is left behind either way. Closing
// again returns the same.
func (b *Batcher) Close(ctx context.Context) error {
	b.queue.Close(ctx)
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if len(b.unflushed) == 0 {
		return nil
	}
	return &UnflushedError{b.unflushed}
}

// whole is event with what it took from ctx and the clock: recorded later, it is the same. One
// with an ID keeps its time open: with another time it would be another event.
func whole(ctx context.Context, e Event, entry models.NewEntry) Event {
	if e.Actor == (Actor{}) {
		e.Actor = event.ActorFrom(ctx)
	}
	if e.Request == (Request{}) {
		e.Request = event.RequestFrom(ctx)
	}
	if e.ID == "" {
		e.OccurredAt = entry.Entry.OccurredAt.Time()
	}
	return e
}

// BatcherConfig configures a Batcher. Zero values mean the defaults.
type BatcherConfig struct {
	// MaxBatch is the most events one transaction stores, at most 10,000. The default is 512. A batch
	// whose metadata exceeds 4 MiB is cut short there.
	MaxBatch int

	// QueueSize is how many events may wait for a transaction, at most 1,000,000. The default is four
	// times MaxBatch. Every waiting event is kept in memory, metadata included.
	QueueSize int

	// WhenFull is what Record does when QueueSize events wait. The default is WaitWhenFull.
	WhenFull WhenFull

	// Writers is how many transactions are under way at the same time, at most 16. The default is 2 on
	// PostgreSQL. SQLite has one writer, and so has the Batcher there.
	Writers int

	// RetryFor is how long a transaction that failed for a temporary reason is tried again, with the
	// same entries under the same IDs: a lost connection, a server that starts or shuts down, a
	// deadlock, a locked database. The default is 30 seconds; below zero means not at all.
	RetryFor time.Duration
}

// WhenFull is what Batcher.Record does when its queue is full.
type WhenFull int

const (
	// WaitWhenFull waits until there is room or the caller's context ends.
	WaitWhenFull WhenFull = iota
	// FailWhenFull returns ErrQueueFull.
	FailWhenFull
)

// whenFull returns the error of a full queue, nil to wait.
func (c BatcherConfig) whenFull() error {
	if c.WhenFull == FailWhenFull {
		return ErrQueueFull
	}
	return nil
}

func (c BatcherConfig) withDefaults(dialect string) BatcherConfig {
	if c.MaxBatch == 0 {
		c.MaxBatch = 512
	}
	if c.QueueSize == 0 {
		c.QueueSize = 4 * c.MaxBatch
	}
	if c.Writers == 0 {
		c.Writers = 2
		if dialect == SQLite.name {
			c.Writers = 1
		}
	}
	if c.RetryFor == 0 {
		c.RetryFor = 30 * time.Second
	}
	return c
}

func (c BatcherConfig) validate(dialect string) error {
	switch {
	case c.MaxBatch < 1 || c.MaxBatch > 10_000:
		return fmt.Errorf("MaxBatch of %d: must be between 1 and 10,000", c.MaxBatch)
	case c.QueueSize < 1 || c.QueueSize > 1_000_000:
		return fmt.Errorf("QueueSize of %d: must be between 1 and 1,000,000", c.QueueSize)
	case c.WhenFull != WaitWhenFull && c.WhenFull != FailWhenFull:
		return fmt.Errorf("WhenFull of %d: must be WaitWhenFull or FailWhenFull", c.WhenFull)
	case c.Writers < 1 || c.Writers > 16:
		return fmt.Errorf("%d writers: must be between 1 and 16", c.Writers)
	case c.Writers > 1 && dialect == SQLite.name:
		return fmt.Errorf("%d writers: SQLite has one", c.Writers)
	}
	return nil
}
