// Package jobs does what happens in the background of a server: expired entries are deleted, and what has been recorded is
// handed to those who follow the log.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accesslog"
)

// Settle records, in tx, that a shorter retention of an organization came into force, where that is so at now and
// nobody has recorded it yet.
type Settle func(ctx context.Context, tx *gorm.DB, orgID int64, now time.Time) error

// RetentionConfig is how expired entries are deleted. Zero values mean the defaults.
type RetentionConfig struct {
	// Interval is the time between the beginnings of two runs. The default is 5 minutes: an expired
	// entry is invisible at once, and runs that come often have little to do each.
	Interval time.Duration

	// BatchSize is how many rows a batch deletes at most, of entries on PostgreSQL about as many. The
	// default is 50,000. A batch is one transaction, of entries on PostgreSQL up to models.StepsOfABatch.
	BatchSize int

	// BatchTime is how long one transaction should take: the size of the next follows from how long
	// the last one took. On SQLite recording waits for the transaction to end; the default is 5
	// milliseconds. On PostgreSQL it waits for the processor and for the disk, which has more to write at
	// once after a longer one; the default is 2 milliseconds.
	BatchTime time.Duration

	// BatchTimeout is how long a batch may take. One that takes longer is undone, on PostgreSQL the
	// transaction it has got to, and tried again with a smaller one. The default is 30 seconds.
	BatchTimeout time.Duration

	// LeaderCheck is how often a server asks whether it is the one that cleans up, between runs, and so how long it
	// takes at most until another takes over from one that stops. Of one that dies the lease has to run out first: this
	// time, BatchTimeout and a second. The default is 15 seconds.
	LeaderCheck time.Duration

	// AccessLogDays is how long the access log is kept. The default is accesslog.DefaultRetentionDays.
	AccessLogDays int
}

func (c RetentionConfig) withDefaults(dialect string) RetentionConfig {
	if c.Interval == 0 {
		c.Interval = 5 * time.Minute
	}
	if c.BatchSize == 0 {
		c.BatchSize = 50_000
	}
	if c.BatchTimeout == 0 {
		c.BatchTimeout = 30 * time.Second
	}
	if c.BatchTime == 0 {
		c.BatchTime = min(usualBatchTime(dialect), c.BatchTimeout)
	}
	if c.LeaderCheck == 0 {
		c.LeaderCheck = min(15*time.Second, c.Interval)
	}
	if c.AccessLogDays == 0 {
		c.AccessLogDays = accesslog.DefaultRetentionDays
	}
	return c
}

func (c RetentionConfig) validate() error {
	switch {
	case c.Interval < time.Second:
		return fmt.Errorf("interval of %s: at least a second is needed", c.Interval)
	case c.BatchSize < 1:
		return fmt.Errorf("batch size of %d: at least 1 is needed", c.BatchSize)
	case c.BatchTimeout < time.Millisecond:
		return fmt.Errorf("batch time-out of %s: at least a millisecond is needed", c.BatchTimeout)
	case c.BatchTime < time.Millisecond || c.BatchTime > c.BatchTimeout:
		return fmt.Errorf("batch time of %s: must be between a millisecond and the time-out of %s", c.BatchTime, c.BatchTimeout)
	case c.LeaderCheck < time.Millisecond || c.LeaderCheck > c.Interval:
		return fmt.Errorf("leader check every %s: must be between a millisecond and the interval of %s", c.LeaderCheck, c.Interval)
	}
	return nil
}

// Retention deletes expired entries, in one server of those that share a database.
type Retention struct {
	store  *models.Store
	settle Settle
	log    *slog.Logger
	config RetentionConfig
	leader leader

	job     models.Job    // as last saved
	checked time.Time     // when this server was last known to lead
	late    models.Micros // the time of a run by others of which it was said that it is late

	entries, months, letters, names, views, access, keys, index, pages batchSize // each at its own

	unmerged bool // the search index of SQLite holds what was deleted
}

// leaderTrust is how long a run goes on without asking again whether this server leads.
const leaderTrust = time.Second

// NewRetention prepares the job; Run does it. The store's clock decides what has expired.
func NewRetention(store *models.Store, settle Settle, log *slog.Logger, config RetentionConfig) (*Retention, error) {
	config = config.withDefaults(store.Dialect())
	if err := config.validate(); err != nil {
		return nil, fmt.Errorf("retention job: %w", err)
	}
	// Whoever leads asks again before a batch that begins later than leaderTrust after the last time, and between
	// runs: a batch ends before the lease does.
	leader := newLeader(store, models.RetentionJob, leaderTrust+config.BatchTimeout+config.LeaderCheck)
	r := &Retention{store: store, settle: settle, log: log.With("job", models.RetentionJob), config: config, leader: leader}
	if store.Dialect() == "postgres" {
		r.entries.aim = min(models.StepsOfABatch*config.BatchTime, config.BatchTimeout)
		// Those of the months take a third longer in all where they are as small as those of the entries.
		r.months.aim = min(10*config.BatchTime, config.BatchTimeout)
	}
	return r, nil
}

// Run deletes expired entries now and then every interval, until ctx ends. It returns only then,
// with everything it held released and nothing left running. Of several servers one does the work;
// the others take over when it dies.
func (r *Retention) Run(ctx context.Context) {
	defer r.leader.release()
	r.announce(ctx)
	var next time.Time // by this process's clock; the store's may stand still
	for ctx.Err() == nil {
		wait := r.config.LeaderCheck
		if r.leads(ctx) {
			if now := time.Now(); !now.Before(next) {
				next = now.Add(r.pause(r.runLogged(ctx)))
			}
			wait = min(wait, max(0, time.Until(next)))
		} else {
			next = time.Time{} // whoever takes over begins at once
			r.noteLate(ctx)
		}
		sleep(ctx, wait)
	}
}

// announce makes sure that a job no server ever runs is noticed.
func (r *Retention) announce(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.config.BatchTimeout)
	defer cancel()
	job := models.Job{Name: models.RetentionJob, NextRunAt: models.MicrosOf(r.store.Now())}
	if err := r.store.AnnounceJob(ctx, job); err != nil && ctx.Err() == nil {
		r.log.Error("cannot announce the clean-up", "error", err)
	}
}

func (r *Retention) leads(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, r.config.BatchTimeout)
	defer cancel()
	leads, err := r.leader.lead(ctx)
	if err != nil && !errors.Is(err, context.Canceled) {
		r.log.Error("cannot tell which server cleans up", "error", err)
	}
	return leads && err == nil
}

// noteLate tells the log once that the server which leads has not begun a clean-up that is due.
func (r *Retention) noteLate(ctx context.Context) {
	job, err := r.store.Job(ctx, models.RetentionJob)
	if err != nil || !job.Overdue(r.store.Now()) || job.NextRunAt == r.late {
		return
	}
	r.late = job.NextRunAt
	r.log.Error("the clean-up is late: no server has begun it, or it does not get on", "due", job.NextRunAt.Time())
}

// pause is how long after the beginning of a run the next one begins. What failed may pass sooner than a run usually
// comes, and people are told of it until then.
func (r *Retention) pause(failure error) time.Duration {
	const afterFailure = time.Minute
	if failure != nil {
		return min(afterFailure, r.config.Interval)
	}
	return r.config.Interval
}

// runLogged is runOnce with its error logged.
func (r *Retention) runLogged(ctx context.Context) error {
	err := r.runOnce(ctx)
	switch {
	case err == nil, ctx.Err() != nil:
	case errors.Is(err, errNotLeading):
		r.log.Warn("another server goes on with the clean-up", "reason", err)
	default:
		r.log.Error("the clean-up failed", "error", err)
	}
	return err
}

// runOnce cleans every organization once. It returns when that is done, ctx ends, or this server
// is not the leader any more. The failure of an organization is kept with it, and the next one is
// cleaned all the same; the run then ends with an error.
func (r *Retention) runOnce(ctx context.Context) error {
	started := r.store.Now()
	r.job = models.Job{
		Name:      models.RetentionJob,
		StartedAt: models.MicrosOf(started),
		NextRunAt: models.MicrosOf(started.Add(r.pause(nil))),
	}
	previous, err := r.store.Job(ctx, models.RetentionJob)
	if err != nil {
		return err
	}
	r.job.FinishedAt, r.job.Error = previous.FinishedAt, previous.Error
	if err := r.store.SaveJob(ctx, r.job); err != nil {
		return err
	}

	failure := r.cleanAll(ctx)
	if ctx.Err() != nil || errors.Is(failure, errNotLeading) {
		return failure // cut off, not failed: the next run, here or elsewhere, goes on
	}
	r.job.FinishedAt = models.MicrosOf(r.store.Now())
	r.job.Error = ""
	if failure != nil {
		r.job.Error = inPlainWords(failure)
		r.job.NextRunAt = models.MicrosOf(started.Add(r.pause(failure)))
	}
	return errors.Join(failure, r.store.SaveJob(ctx, r.job))
}

// organizationsFailed is the error of a run that cleaned some organizations and not others.
type organizationsFailed struct{ failed, all int }

func (e organizationsFailed) Error() string {
	return fmt.Sprintf("expired entries of %d of %d organizations could not be deleted", e.failed, e.all)
}

func (r *Retention) cleanAll(ctx context.Context) (err error) {
	defer recoverTo(&err)
	later := r.store.DeferSearchMerge(ctx)
	var all, failed int
	for last := int64(0); ; {
		ids, err := r.store.OrganizationIDs(ctx, last, 1000)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			break
		}
		for _, id := range ids {
			all, last = all+1, id
			err := r.cleanOrganization(ctx, id)
			if ctx.Err() != nil || errors.Is(err, errNotLeading) {
				return err
			}
			if err != nil {
				failed++
				r.log.Error("expired entries of an organization could not be deleted", "organization_id", id, "error", err)
			}
		}
	}
	err = errors.Join(later, r.cleanAccess(ctx), r.cleanKeys(ctx), r.mergeSearch(ctx), r.giveBackSpace(ctx))
	if failed > 0 {
		// First, so that it is what people are told.
		err = errors.Join(organizationsFailed{failed, all}, err)
	}
	return err
}

// cleanAccess deletes sessions, invitations and reset links that cannot be used any more.
func (r *Retention) cleanAccess(ctx context.Context) error {
	now := r.store.Now()
	return r.inBatches(ctx, &r.access, func(ctx context.Context, size int) (bool, error) {
		return r.store.DeleteExpiredAccess(ctx, now, size)
	})
}

// cleanKeys forgets the keys of events and requests that have expired.
func (r *Retention) cleanKeys(ctx context.Context) error {
	now := r.store.Now()
	return r.inBatches(ctx, &r.keys, func(ctx context.Context, size int) (bool, error) {
		return r.store.DeleteExpiredKeys(ctx, now, size)
	})
}

// goOn is nil while the run should. It also says, now and then, that the run gets ahead.
func (r *Retention) goOn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if time.Since(r.checked) < leaderTrust {
		return nil
	}
	check, cancel := context.WithTimeout(ctx, r.config.BatchTimeout)
	defer cancel()
	asked := time.Now()
	leads, err := r.leader.stillLeads(check)
	if err != nil || !leads {
		return errors.Join(errNotLeading, err)
	}
	r.checked = asked
	next := models.MicrosOf(r.store.Now().Add(r.config.Interval))
	if next.Time().Sub(r.job.NextRunAt.Time()) < time.Minute {
		return nil
	}
	r.job.NextRunAt = next
	return r.store.SaveJob(check, r.job)
}
