package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/following"
)

// FollowerJob is the name of the job that hands entries to consumers.
const FollowerJob = "follower"

// Consumer is handed every entry of the log, of all organizations, exactly once.
type Consumer struct {
	// Name is what its place in the log is kept under, for ever.
	Name string

	// Needs are what it wants to know of entries beside their rows. Metadata is long.
	Needs following.Needs

	// FromNow has it begin with what is committed after it has been run for the first time, rather than with the oldest
	// entry.
	FromNow bool

	// Consume stores in tx what follows from entries, which are in the order of commits and may be of any organization;
	// some may have expired, or been deleted since. That and the consumer's place are committed together, or neither: an
	// error, also of a later statement of the transaction, has the same entries come again, and perhaps more behind them.
	// So nothing but what is in tx may depend on a call. Consumers are handed the same entries and leave them as they are.
	//
	// It should be quick: on SQLite all recording waits for tx.
	Consume func(ctx context.Context, tx *gorm.DB, entries []models.Entry) error
}

// FollowerConfig is how the log is followed. Zero values mean the defaults.
type FollowerConfig struct {
	// Interval is how often the log is looked at where nothing is left to read, and so how late consumers are at most. The
	// default is half a second.
	Interval time.Duration

	// BatchSize is how many entries a consumer is handed at most. The default is 1,000, and 100 on SQLite, where recording
	// waits for a consumer's transaction.
	BatchSize int

	// BatchTimeout is how long a consumer may take for them. The default is 30 seconds.
	BatchTimeout time.Duration

	// LeaderCheck is how often a server asks whether it is the one that follows. Of one that dies another takes over once
	// its lease has run out: this time three times and BatchTimeout. The default is 5 seconds.
	LeaderCheck time.Duration

	// Patience is the longest time before a consumer that failed is called again. The default is a minute.
	Patience time.Duration
}

func (c FollowerConfig) withDefaults(dialect string) FollowerConfig {
	if c.Interval == 0 {
		c.Interval = 500 * time.Millisecond
	}
	if c.BatchSize == 0 {
		if c.BatchSize = 1000; dialect == "sqlite" {
			c.BatchSize = 100
		}
	}
	if c.BatchTimeout == 0 {
		c.BatchTimeout = 30 * time.Second
	}
	if c.LeaderCheck == 0 {
		c.LeaderCheck = 5 * time.Second
	}
	if c.Patience == 0 {
		c.Patience = time.Minute
	}
	return c
}

// Follower hands what is committed to consumers, in one server of those that share a database. Each has a place of its
// own; those at the same place share what is read. That two servers may believe that they lead does no harm: a
// consumer's transaction moves its place on, and is rolled back where another has.
type Follower struct {
	source *following.Log
	store  *models.Store
	log    *slog.Logger
	config FollowerConfig
	leader leader
	all    []*follower
	led    time.Time // when this server was last known to lead
}

// follower is a consumer on its way.
type follower struct {
	Consumer
	joined   bool
	saved    following.Place // as it was last known to be stored
	at       following.Place // the same, or one further on with nothing in between
	failures int             // one after the other
	resume   time.Time       // not called before
}

// errMovedOn ends the transaction of a consumer that another server has moved on, or a deletion on SQLite.
var errMovedOn = errors.New("the consumer is at another place by now")

// NewFollower prepares the job; Run does it.
func NewFollower(store *models.Store, log *slog.Logger, consumers []Consumer, config FollowerConfig) *Follower {
	config = config.withDefaults(store.Dialect())
	f := &Follower{
		source: following.New(store), store: store, log: log.With("job", FollowerJob), config: config,
		leader: newLeader(store, FollowerJob, 3*config.LeaderCheck+config.BatchTimeout),
	}
	for _, c := range consumers {
		f.all = append(f.all, &follower{Consumer: c})
	}
	return f
}

// Run follows the log until ctx ends, and returns with nothing left running. Of several servers one does the work; the
// others take over when it dies.
func (f *Follower) Run(ctx context.Context) {
	defer f.leader.release()
	for failures := 0; ctx.Err() == nil; {
		if !f.leads(ctx) {
			for _, c := range f.all {
				c.joined = false // whoever leads moves it on
			}
			sleep(ctx, f.config.LeaderCheck)
			continue
		}
		more, err := f.round(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			failures++
			f.log.Error("the log could not be followed", "error", err)
			sleep(ctx, f.pause(failures))
		case more:
			failures = 0
		default:
			failures = 0
			sleep(ctx, f.config.Interval)
		}
	}
}

// pause is how long after so many failures the next attempt comes.
func (f *Follower) pause(failures int) time.Duration {
	return min(f.config.Interval<<min(failures, 20), f.config.Patience)
}

// leads asks now and then only: a place moves on once, whoever leads.
func (f *Follower) leads(ctx context.Context) bool {
	if time.Since(f.led) < f.config.LeaderCheck {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, f.config.BatchTimeout)
	defer cancel()
	asked := time.Now()
	leads, err := f.leader.lead(ctx)
	if err != nil && !errors.Is(err, context.Canceled) {
		f.log.Error("cannot tell which server follows the log", "error", err)
	}
	if !leads || err != nil {
		return false
	}
	f.led = asked
	return true
}

// round hands each consumer what follows its place, once, and reports whether there is more already.
func (f *Follower) round(ctx context.Context) (more bool, err error) {
	defer recoverTo(&err)
	waiting := map[following.Place][]*follower{}
	for _, c := range f.all {
		if time.Now().Before(c.resume) {
			continue
		}
		if !c.joined {
			if err := f.join(ctx, c); err != nil {
				return false, err
			}
		}
		waiting[c.at] = append(waiting[c.at], c)
	}
	for at, consumers := range waiting {
		var needs following.Needs
		for _, c := range consumers {
			needs.Metadata = needs.Metadata || c.Needs.Metadata
			needs.Parts = needs.Parts || c.Needs.Parts
		}
		batch, err := f.source.Read(ctx, at, needs, f.config.BatchSize)
		if errors.Is(err, following.ErrPlaceGone) { // moved since it was asked for
			for _, c := range consumers {
				c.joined = false
			}
			more = true
			continue
		}
		if err != nil {
			return false, err
		}
		for _, c := range consumers {
			if ctx.Err() != nil {
				return false, ctx.Err()
			}
			more = f.hand(ctx, c, batch) || more
		}
	}
	return more, nil
}

// join finds the place of a consumer.
func (f *Follower) join(ctx context.Context, c *follower) (err error) {
	var begin following.Place
	if c.FromNow {
		if begin, err = f.source.Now(ctx); err != nil {
			return err
		}
	}
	if c.saved, err = f.source.Join(ctx, c.Name, begin); err != nil {
		return err
	}
	c.at, c.joined = c.saved, true
	return nil
}

// hand gives a batch to a consumer, and reports whether there is more for it.
func (f *Follower) hand(ctx context.Context, c *follower, batch following.Batch) (more bool) {
	if len(batch.Entries) == 0 {
		c.at = batch.Next
		return batch.More
	}
	err := f.consume(ctx, c, batch)
	switch {
	case err == nil:
		c.at, c.saved, c.failures = batch.Next, batch.Next, 0
		return batch.More
	case ctx.Err() != nil:
		return false
	case errors.Is(err, errMovedOn):
		c.joined = false
		return true
	}
	c.failures++
	c.resume = time.Now().Add(f.pause(c.failures))
	f.log.Error("a consumer of the log failed", "consumer", c.Name, "error", err, "again", c.resume)
	return false
}

func (f *Follower) consume(ctx context.Context, c *follower, batch following.Batch) (err error) {
	defer recoverTo(&err)
	ctx, cancel := context.WithTimeout(ctx, f.config.BatchTimeout)
	defer cancel()
	return f.store.Transaction(ctx, func(tx *gorm.DB) error {
		moved, err := following.Advance(tx, c.Name, c.saved, batch.Next)
		if err != nil {
			return err
		}
		if !moved {
			return errMovedOn
		}
		if err := c.Consume(ctx, tx, batch.Entries); err != nil {
			return fmt.Errorf("consumer %s: %w", c.Name, err)
		}
		return nil
	})
}
