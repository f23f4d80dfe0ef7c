package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/handlers/settings"
	"github.com/auditlogs/auditlogs/internal/benchdata"
	"github.com/auditlogs/auditlogs/jobs"
	"github.com/auditlogs/auditlogs/models"
)

const (
	// recordedPerSecond is how many events are recorded while entries are deleted.
	recordedPerSecond = 500
	// settling is how long recording goes on before it is measured, while the disk is done with the copy of
	// the log, and idle for how long it is measured without a deletion.
	settling, idle = 30 * time.Second, 15 * time.Second
	// recordedAnew is at most as many entries as are recorded to see whether they find room.
	recordedAnew = 1_000_000
)

// retention measures the clean-up of half of all entries beside the deletion of the same rows by a
// bare DELETE, each on a copy of its own.
func retention(ctx context.Context, b *bench) (string, error) {
	var r retentionReport
	postgres, err := b.postgres(ctx, b.Rows)
	if err != nil {
		return "", err
	}
	// Over in seconds, of which the disk may be busy with something else for a few.
	if err := r.measure(ctx, "PostgreSQL", postgres, 5); err != nil {
		return "", fmt.Errorf("PostgreSQL: %w", err)
	}
	sqlite, err := b.sqlite(ctx, b.SQLiteRows)
	if err != nil {
		return "", err
	}
	if err := r.measure(ctx, "SQLite", sqlite, 1); err != nil {
		return "", fmt.Errorf("SQLite: %w", err)
	}
	return r.markdown(b), nil
}

// deletion is what one way of deleting did.
type deletion struct {
	deleted      int64
	took         time.Duration
	idle, during latencies // of recording
	sizes        []size
}

func (d deletion) rate() float64 { return float64(d.deleted) / d.took.Seconds() }

// size is how large the database was at some time.
type size struct {
	when  string
	bytes int64
}

// deleteExpired deletes what has expired at the time of a log.
type deleteExpired func(ctx context.Context, log *expiringLog) error

// measure measures both ways in turn, in several rounds.
func (r *retentionReport) measure(ctx context.Context, name string, kept benchdata.Kept, rounds int) error {
	d := measuredDatabase{name: name, rows: kept.Spec.Rows}
	for round := range rounds {
		bare, err := measureDeletion(ctx, kept, false, bareDelete)
		if err != nil {
			return fmt.Errorf("bare DELETE: %w", err)
		}
		job, err := measureDeletion(ctx, kept, round+1 == rounds, runJob)
		if err != nil {
			return fmt.Errorf("job: %w", err)
		}
		d.bare, d.job = append(d.bare, bare), append(d.job, job)
	}
	r.databases = append(r.databases, d)
	return nil
}

// expiringLog is a copy of a kept log of which half has expired.
type expiringLog struct {
	*database.DB
	url   string
	spec  benchdata.Spec
	store *models.Store
}

func openExpiring(ctx context.Context, url string, spec benchdata.Spec) (*expiringLog, error) {
	db, err := database.Open(ctx, url, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	log := &expiringLog{DB: db, url: url, spec: spec}
	began := time.Now() // of the time that goes on where the log ends
	log.store, err = db.Store(func() time.Time { return spec.Until.Add(time.Since(began)) })
	if err == nil {
		err = db.Write.WithContext(ctx).Exec("UPDATE audit_organizations SET retention_days = ?", benchdata.Days/2).Error
	}
	if err == nil && log.store.Dialect() == "postgres" {
		err = db.Write.WithContext(ctx).Exec("CHECKPOINT").Error
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return log, nil
}

func measureDeletion(ctx context.Context, kept benchdata.Kept, sizes bool, deleteAll deleteExpired) (d deletion, err error) {
	url, remove, err := kept.Copy(ctx)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, remove(context.WithoutCancel(ctx))) }()
	log, err := openExpiring(ctx, url, kept.Spec)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()

	before, err := log.entries(ctx)
	if err != nil {
		return d, err
	}
	if sizes {
		if err := log.measureSize(ctx, &d, "before"); err != nil {
			return d, err
		}
	}
	recording := record(ctx, log.Write, kept.Spec, log.store.Now, recordedPerSecond)
	wait(ctx, settling)
	quiet := time.Now()
	wait(ctx, idle)
	began := time.Now()
	err = deleteAll(ctx, log)
	ended := time.Now()
	if err = errors.Join(err, recording.end(), ctx.Err()); err != nil {
		return d, err
	}
	after, err := log.entries(ctx)
	if err != nil {
		return d, err
	}
	d.deleted, d.took = before+int64(len(recording.recorded))-after, ended.Sub(began)
	d.idle, d.during = recording.between(quiet, began), recording.between(began, ended)
	if sizes {
		err = log.measureReuse(ctx, &d)
	}
	return d, err
}

// wait returns early when ctx ends.
func wait(ctx context.Context, duration time.Duration) {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (l *expiringLog) entries(ctx context.Context) (n int64, err error) {
	err = l.Read.WithContext(ctx).Model(&models.Entry{}).Count(&n).Error
	return n, err
}

// bareDelete is one statement an organization.
func bareDelete(ctx context.Context, log *expiringLog) error {
	var organizations []models.Organization
	if err := log.Read.WithContext(ctx).Order("id").Find(&organizations).Error; err != nil {
		return err
	}
	now := log.store.Now()
	for _, org := range organizations {
		err := log.Write.WithContext(ctx).Exec("DELETE FROM audit_entries WHERE org_id = ? AND id < ?",
			org.ID, models.FirstEntryID(org.KeptSince(now))).Error
		if err != nil {
			return err
		}
	}
	return nil
}

// runJob runs the job as a server does, once.
func runJob(ctx context.Context, log *expiringLog) error {
	job, err := jobs.NewRetention(log.store, settings.Settle, slog.New(slog.DiscardHandler), jobs.RetentionConfig{})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		job.Run(ctx)
	}()
	defer func() {
		stop()
		<-ended
	}()
	for {
		wait(ctx, 10*time.Millisecond)
		state, err := log.store.Job(ctx, models.RetentionJob)
		switch {
		case err != nil:
			return err
		case state.StartedAt == 0 || state.FinishedAt < state.StartedAt:
		case state.Error != "":
			return errors.New(state.Error)
		default:
			return nil
		}
	}
}
