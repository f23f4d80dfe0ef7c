package jobs

import (
	"cmp"
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

	// Needs are what it wants to know of entries beside who did what when. What no consumer needs is not read.
	Needs following.Needs

	// FromNow has it begin with what is committed after it has been run for the first time, rather than with the oldest
	// entry.
	FromNow bool

	// Consume stores in tx what follows from entries, which are in the order of commits and may be of any organization;
	// some may have expired, or been deleted since. That and the consumer's place are committed together, or neither: an
	// error, also of a later statement of the transaction, has the same entries come again, half as many at first.
	// So nothing but what is in tx may depend on a call. Consumers are handed the same entries and leave them as they are.
	//
	// It should be quick: on SQLite all recording waits for tx.
	Consume func(ctx context.Context, tx *gorm.DB, entries []models.Entry) error

	// Prepare, where there is one, stands for Consume: it does outside of a transaction what takes longer, and answers with
	// what is left to store in one.
	Prepare func(ctx context.Context, store *models.Store, entries []models.Entry) (consume func(tx *gorm.DB) error, err error)

	// BatchSize is how many entries it is handed at most, however long that takes, while little is recorded. Zero, and what
	// is recorded otherwise, means as many as the time of a batch allows.
	BatchSize int

	// Rest is how long it is left alone after it was handed all that there was, so that it gets many entries at a time.
	Rest time.Duration
}

// FollowerConfig is how the log is followed. Zero values mean the defaults.
type FollowerConfig struct {
	// Interval is how often the log is looked at where nothing is left to read, and so how late consumers are at most. The
	// default is half a second.
	Interval time.Duration

	// BatchSize is how many entries a consumer is handed at most. The default is 5,000.
	BatchSize int

	// BatchTime is how long it should take to read a batch and hand it to a consumer: batches are as large as it allows. The
	// default is 200 ms, and 20 ms on SQLite for consumers that do not prepare, as recording waits for their transactions.
	BatchTime time.Duration

	// BatchTimeout is how long a consumer may take for them. The default is 30 seconds.
	BatchTimeout time.Duration

	// LeaderCheck is how often a server asks whether it is the one that follows. Of one that dies another takes over once
	// its lease has run out: this time three times and BatchTimeout. The default is 5 seconds.
	LeaderCheck time.Duration

	// Patience is the longest time before a consumer that failed is called again, or one that took long while much is
	// recorded: perhaps it was the database that did. The default is a minute.
	Patience time.Duration
}

func (c FollowerConfig) withDefaults(dialect string) FollowerConfig {
	if c.Interval == 0 {
		c.Interval = 500 * time.Millisecond
	}
	if c.BatchSize == 0 {
		c.BatchSize = 5000
	}
	if c.BatchTime == 0 {
		if c.BatchTime = usualTime; dialect == "sqlite" {
			c.BatchTime = 20 * time.Millisecond
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

const (
	// leastBatch is the smallest batch that is worth its transaction, and the first.
	leastBatch = 100
	// usualTime is the default of FollowerConfig.BatchTime where recording does not wait.
	usualTime = 200 * time.Millisecond
	// share is how many times as long as it has worked the follower leaves the machine to others while much is recorded:
	// each consumer for its part.
	share = 19
	// much is how many entries a second that is.
	much = 100
	// lookAfter is how long ago the last look was, at least, at how much is recorded.
	lookAfter = 100 * time.Millisecond
	// behindFor is how long a consumer may be behind what is recorded before it does not rest at all. Until then it rests
	// less and less, so that it does not fall behind for ever.
	behindFor = time.Hour
)

// Follower hands what is committed to consumers, in one server of those that share a database. Each has a place of its
// own; those at the same place share what is read, if they are handed as many. That two servers may believe that they lead
// does no harm: a consumer's transaction moves its place on, and is rolled back where another has.
type Follower struct {
	source *following.Log
	store  *models.Store
	log    *slog.Logger
	config FollowerConfig
	leader leader
	all    []*follower
	led    time.Time // when this server was last known to lead

	now    func() time.Time
	sleep  func(ctx context.Context, duration time.Duration)
	worked time.Duration   // in this round
	busy   bool            // whether much was being recorded when it last looked
	looked time.Time       // when that was
	end    following.Place // of the log then
}

// follower is a consumer on its way.
type follower struct {
	Consumer
	joined   bool
	saved    following.Place // as it was last known to be stored
	at       following.Place // the same, or one further on with nothing in between
	failures int             // one after the other
	most     int             // how many entries it is handed at most since a batch has failed; 0 for as many as usual
	resume   time.Time       // not called before
	size     batchSize       // that the time of a batch allows
	called   bool            // in this round, and it did not fail
	worked   time.Duration   // when it was called last, the reading included
	more     bool            // there was more to read then
	behind   time.Time       // since when that has been so
}

// errMovedOn ends the transaction of a consumer that another server has moved on, or a deletion on SQLite.
var errMovedOn = errors.New("the consumer is at another place by now")

// NewFollower prepares the job; Run does it.
func NewFollower(store *models.Store, log *slog.Logger, consumers []Consumer, config FollowerConfig) *Follower {
	config = config.withDefaults(store.Dialect())
	f := &Follower{
		source: following.New(store), store: store, log: log.With("job", FollowerJob), config: config,
		leader: newLeader(store, FollowerJob, 3*config.LeaderCheck+config.BatchTimeout),
		now:    time.Now, sleep: sleep,
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
	for ctx.Err() == nil {
		if !f.leads(ctx) {
			for _, c := range f.all {
				c.joined = false // whoever leads moves it on
			}
			f.sleep(ctx, f.config.LeaderCheck)
			continue
		}
		f.look(ctx)
		f.round(ctx)
		f.sleep(ctx, f.rest())
	}
}

// look finds out whether much has been recorded since the last look. Where it cannot, the consumers say why.
func (f *Follower) look(ctx context.Context) {
	now := f.now()
	passed := now.Sub(f.looked)
	if passed < lookAfter {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, f.config.BatchTimeout)
	defer cancel()
	f.busy = false
	if passed < time.Minute { // it is the first look otherwise, or nobody knows when it was recorded
		since, err := f.source.Read(ctx, f.end, following.Needs{}, int(much*passed.Seconds()))
		f.busy = err == nil && since.More
	}
	f.looked = time.Time{}
	if end, err := f.source.Now(ctx); err == nil {
		f.looked, f.end = now, end
	}
}

// rest has consumers rest that were called in the last round, and is until the first of all is to be called again, but not
// longer than this server is sure to lead.
func (f *Follower) rest() (wait time.Duration) {
	now := f.now()
	wait = f.config.LeaderCheck
	for _, c := range f.all {
		if c.called {
			c.called = false
			if next := now.Add(f.restOf(c, now)); next.After(c.resume) {
				c.resume = next
			}
		}
		wait = min(wait, max(0, c.resume.Sub(now)))
	}
	return wait
}

// restOf is for how long a consumer leaves the machine to others, and to other consumers. What is left from before it reads
// without a rest where little is recorded: nobody needs the machine then.
func (f *Follower) restOf(c *follower, now time.Time) (rest time.Duration) {
	patience := 1.0
	switch {
	case !c.more:
		c.behind, rest = time.Time{}, f.config.Interval
	case c.behind.IsZero():
		c.behind = now
	default:
		patience = max(0, 1-float64(now.Sub(c.behind))/float64(behindFor))
	}
	if f.busy {
		rest = max(rest, min(time.Duration(patience*share*float64(len(f.all))*float64(c.worked)), f.config.Patience))
	}
	return rest
}

// pause is how long after so many failures the next attempt comes.
func (f *Follower) pause(failures int) time.Duration {
	return min(f.config.Interval<<min(failures, 20), f.config.Patience)
}

// leads asks now and then only: a place moves on once, whoever leads.
func (f *Follower) leads(ctx context.Context) bool {
	if f.now().Sub(f.led) < f.config.LeaderCheck {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, f.config.BatchTimeout)
	defer cancel()
	asked := f.now()
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
func (f *Follower) round(ctx context.Context) (more bool) {
	f.worked = 0
	type reading struct {
		at         following.Place
		size, most int
	}
	waiting := map[reading][]*follower{}
	for _, c := range f.all {
		if f.now().Before(c.resume) {
			continue
		}
		if !c.joined {
			if err := f.join(ctx, c); err != nil {
				f.failed(ctx, c, err)
				continue
			}
		}
		same := reading{c.at, c.BatchSize, c.most}
		waiting[same] = append(waiting[same], c)
	}
	for _, consumers := range waiting {
		before, full := f.worked, false
		limit, timed := f.limit(consumers)
		batch, err := f.read(ctx, consumers, limit)
		read := f.worked - before
		for _, c := range consumers {
			called := f.worked
			switch {
			case ctx.Err() != nil:
				return false
			case errors.Is(err, following.ErrPlaceGone): // moved since it was asked for
				c.joined = false
				more = true
			case err != nil:
				f.failed(ctx, c, err)
			default:
				c.more = f.hand(ctx, c, batch)
				c.worked = read + f.worked - called
				c.called = c.failures == 0
				if timed {
					c.size.size = limit
					c.size.follow(c.worked, f.timeOf(c), c.more)
				}
				full = full || c.more
			}
		}
		more = more || full
	}
	return more
}

// limit is how many entries some consumers are handed together; timed reports that it is for the time that takes.
func (f *Follower) limit(consumers []*follower) (size int, timed bool) {
	size = min(cmp.Or(consumers[0].BatchSize, f.config.BatchSize), f.config.BatchSize)
	if timed = consumers[0].BatchSize == 0 || f.busy; timed {
		for _, c := range consumers {
			size = min(size, max(c.size.size, leastBatch))
		}
	}
	if most := consumers[0].most; most > 0 && most < size {
		return most, false
	}
	return size, timed
}

// timeOf is how long a batch of a consumer should take.
func (f *Follower) timeOf(c *follower) time.Duration {
	if c.Prepare != nil {
		return max(f.config.BatchTime, usualTime)
	}
	return f.config.BatchTime
}

// read reads what follows the place of some consumers, once for all of them.
func (f *Follower) read(ctx context.Context, consumers []*follower, limit int) (batch following.Batch, err error) {
	defer recoverTo(&err)
	ctx, cancel := context.WithTimeout(ctx, f.config.BatchTimeout)
	defer cancel()
	var needs following.Needs
	for _, c := range consumers {
		needs = needs.And(c.Needs)
	}
	began := f.now()
	defer func() { f.worked += f.now().Sub(began) }()
	return f.source.Read(ctx, consumers[0].at, needs, limit)
}

// join finds the place of a consumer.
func (f *Follower) join(ctx context.Context, c *follower) (err error) {
	ctx, cancel := context.WithTimeout(ctx, f.config.BatchTimeout)
	defer cancel()
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
		c.at, c.failures = batch.Next, 0
		return batch.More
	}
	err := f.consume(ctx, c, batch)
	switch {
	case err == nil:
		c.at, c.saved, c.failures = batch.Next, batch.Next, 0
		if c.most > 0 {
			c.most += c.most/4 + 1
		}
		if c.most >= f.config.BatchSize {
			c.most = 0
		}
		if !batch.More {
			c.resume = f.now().Add(c.Rest)
		}
		return batch.More
	case errors.Is(err, errMovedOn):
		c.joined = false
		return true
	}
	f.failed(ctx, c, err)
	c.most = max(len(batch.Entries)/2, 1) // perhaps they took too long, and would for ever
	return false
}

// failed has a consumer wait for a while. The others do not.
func (f *Follower) failed(ctx context.Context, c *follower, err error) {
	if ctx.Err() != nil {
		return
	}
	c.failures++
	c.resume = f.now().Add(f.pause(c.failures))
	f.log.Error("a consumer of the log failed", "consumer", c.Name, "error", err, "again", c.resume)
}

func (f *Follower) consume(ctx context.Context, c *follower, batch following.Batch) (err error) {
	defer recoverTo(&err)
	ctx, cancel := context.WithTimeout(ctx, f.config.BatchTimeout)
	defer cancel()
	consume := func(tx *gorm.DB) error { return c.Consume(ctx, tx, batch.Entries) }
	if c.Prepare != nil {
		began := f.now()
		consume, err = c.Prepare(ctx, f.store, batch.Entries)
		f.worked += f.now().Sub(began)
		if err != nil {
			return fmt.Errorf("consumer %s: %w", c.Name, err)
		}
	}
	var began time.Time
	defer func() {
		if !began.IsZero() {
			f.worked += f.now().Sub(began)
		}
	}()
	return f.store.Transaction(ctx, func(tx *gorm.DB) error {
		began = f.now() // waiting for a turn is no work
		moved, err := following.Advance(tx, c.Name, c.saved, batch.Next)
		if err != nil {
			return err
		}
		if !moved {
			return errMovedOn
		}
		if err := consume(tx); err != nil {
			return fmt.Errorf("consumer %s: %w", c.Name, err)
		}
		return nil
	})
}
