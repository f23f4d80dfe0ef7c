package jobs

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/metadata"
)

// storeResultTimeout is how long keeping a result may take. It has its own time, because what is
// kept is often that the run's time was over.
const storeResultTimeout = 10 * time.Second

// cleanOrganization deletes what has expired in one organization and keeps the result with it. A
// panic becomes an error, so that the next organization is cleaned all the same.
func (r *Retention) cleanOrganization(ctx context.Context, id int64) (err error) {
	now := r.store.Now()
	org, cleanup, err := r.begin(ctx, id, now)
	if errors.Is(err, models.ErrNotFound) {
		return nil // gone since the organizations were listed
	}
	if err != nil && ctx.Err() == nil {
		keep, cancel := context.WithTimeout(ctx, storeResultTimeout)
		defer cancel()
		return errors.Join(err, r.store.SaveCleanupFailure(keep, id, now, inPlainWords(err)))
	}
	if err == nil {
		cleanup, err = r.deleteExpired(ctx, org, cleanup, now)
	}
	if ctx.Err() != nil || errors.Is(err, errNotLeading) {
		return err // cut off: the next run goes on where this one was
	}
	cleanup.FinishedAt = max(models.MicrosOf(r.store.Now()), cleanup.StartedAt)
	if err == nil {
		cleanup.SucceededAt, cleanup.Error = cleanup.FinishedAt, ""
	} else {
		cleanup.Error = inPlainWords(err)
	}
	if cleanup.Deleted > 0 {
		r.log.Info("deleted expired entries", "organization", org.Slug, "entries", cleanup.Deleted)
	}
	keep, cancel := context.WithTimeout(ctx, storeResultTimeout)
	defer cancel()
	return errors.Join(err, r.store.SaveCleanup(keep, cleanup))
}

func (r *Retention) begin(ctx context.Context, id int64, now time.Time) (models.Organization, models.Cleanup, error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.BatchTimeout)
	defer cancel()
	org, cleanup, err := r.store.BeginCleanup(ctx, id, now)
	if err != nil || org == org.InForce(now) {
		return org, cleanup, err
	}
	err = r.store.Transaction(ctx, func(tx *gorm.DB) error { return r.settle(ctx, tx, id, now) })
	if err != nil {
		return org, cleanup, err
	}
	org, cleanup, err = r.store.BeginCleanup(ctx, id, now)
	// What was chosen since has to be settled before it deletes anything.
	org.PendingRetentionDays, org.PendingFrom = 0, 0
	return org, cleanup, err
}

// deleteExpired returns how far it came, also with an error.
func (r *Retention) deleteExpired(ctx context.Context, org models.Organization, cleanup models.Cleanup, now time.Time) (progress models.Cleanup, err error) {
	progress = cleanup
	defer recoverTo(&err)
	keptSince := org.KeptSince(now)
	expired := models.FirstEntryID(keptSince) // what expired has a smaller ID
	mark := cleanup.CleanedTo

	// First what expired since the last run, then what was recorded since with an earlier time than
	// that: an event may tell of something long ago. In this order, because looking below the mark
	// can be slow on PostgreSQL until its vacuum has been there, and must not keep the rest waiting.
	if err := r.deleteEntries(ctx, &progress, mark, expired); err != nil {
		return progress, err
	}
	if progress.CleanedTo.Compare(expired) < 0 {
		progress.CleanedTo = expired
	}
	if err := r.deleteEntries(ctx, &progress, models.EntryID{}, earlier(mark, expired)); err != nil {
		return progress, err
	}
	err = r.inBatches(ctx, &r.months, func(ctx context.Context, size int) (bool, error) {
		deleted, err := r.store.DeleteMonthsBefore(ctx, org.ID, keptSince, size)
		r.unmerged = r.unmerged || deleted > 0
		return deleted >= size, err
	})
	if err == nil {
		err = r.inBatches(ctx, &r.letters, func(ctx context.Context, size int) (bool, error) {
			return metadata.Forget(ctx, r.store, org.ID, keptSince, size)
		})
	}
	if err == nil {
		err = r.inBatches(ctx, &r.names, func(ctx context.Context, size int) (bool, error) {
			return r.store.MergeNames(ctx, org.ID, size)
		})
	}
	if err == nil {
		err = r.inBatches(ctx, &r.views, func(ctx context.Context, size int) (bool, error) {
			deleted, err := r.store.DeleteAccessLogBefore(ctx, org.ID, now.AddDate(0, 0, -r.config.AccessLogDays), size)
			return deleted >= size, err
		})
	}
	if err != nil || !org.LogGone(now) {
		return progress, err
	}
	return progress, r.inBatches(ctx, &r.months, func(ctx context.Context, size int) (bool, error) {
		deleted, err := r.store.DeleteRemains(ctx, org, now, size)
		r.unmerged = r.unmerged || deleted > 0
		return deleted >= size, err
	})
}

// deleteEntries deletes the entries with after < ID < before, oldest first.
func (r *Retention) deleteEntries(ctx context.Context, progress *models.Cleanup, after, before models.EntryID) error {
	if after.Compare(before) >= 0 {
		return nil
	}
	expired := r.store.ExpiredEntries(*progress, after, before)
	return r.inBatches(ctx, &r.entries, func(ctx context.Context, size int) (more bool, err error) {
		more, err = expired.DeleteBatch(ctx, size)
		*progress = expired.Cleanup()
		return more, err
	})
}

func earlier(a, b models.EntryID) models.EntryID {
	if a.Compare(b) < 0 {
		return a
	}
	return b
}
