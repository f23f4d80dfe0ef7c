package models

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm/clause"
)

// RetentionJob is the name of the job that deletes expired entries.
const RetentionJob = "retention"

// overdueAfter is how long after its announced time a run may begin, or still be without progress,
// before people are told: as long as another server may take to take over from one that died.
const overdueAfter = 90 * time.Second

// Job is the state of a background job of all servers on a database.
type Job struct {
	Name       string `gorm:"primaryKey"`
	StartedAt  Micros
	FinishedAt Micros // earlier than StartedAt while it runs
	NextRunAt  Micros // moved on while it runs and gets ahead
	Error      string // why the last run failed, in words for an admin; empty when it did not
}

func (Job) TableName() string { return "audit_jobs" }

// Overdue reports whether at now the job should have run and has not, or runs and does not get ahead.
func (j Job) Overdue(now time.Time) bool {
	return j.NextRunAt != 0 && now.After(j.NextRunAt.Time().Add(overdueAfter))
}

// AnnounceJob makes the job known where no server has run it yet, so that one that never runs is
// noticed.
func (s *Store) AnnounceJob(ctx context.Context, job Job) error {
	if err := s.Writer(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&job).Error; err != nil {
		return fmt.Errorf("announce the job %s: %w", job.Name, err)
	}
	return nil
}

// SaveJob keeps the state of a job.
func (s *Store) SaveJob(ctx context.Context, job Job) error {
	err := s.Writer(ctx).Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "name"}},
		DoUpdates: clause.AssignmentColumns([]string{"started_at", "finished_at", "next_run_at", "error"}),
	}).Create(&job).Error
	if err != nil {
		return fmt.Errorf("keep the state of the job %s: %w", job.Name, err)
	}
	return nil
}

// Job reads the state of a job; the zero Job where it is not known.
func (s *Store) Job(ctx context.Context, name string) (Job, error) {
	var job Job
	if err := s.Reader(ctx).Where("name = ?", name).Limit(1).Find(&job).Error; err != nil {
		return job, fmt.Errorf("read the state of the job %s: %w", name, err)
	}
	return job, nil
}

// CleanupStatus is what an organization's admins are told about the deletion of expired entries.
type CleanupStatus struct {
	Last    Cleanup // the organization's last; zero before the first
	Job     Job     // the job that does it; zero where no server runs it
	Overdue bool    // it should have run by now
}

// CleanupStatus reads how the clean-up of an organization went.
func (s *Store) CleanupStatus(ctx context.Context, org Organization) (CleanupStatus, error) {
	var status CleanupStatus
	if err := s.Reader(ctx).Where("org_id = ?", org.ID).Limit(1).Find(&status.Last).Error; err != nil {
		return status, fmt.Errorf("read the last clean-up of %q: %w", org.Slug, err)
	}
	job, err := s.Job(ctx, RetentionJob)
	status.Job, status.Overdue = job, job.Overdue(s.Now())
	return status, err
}
