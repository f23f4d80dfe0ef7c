package models

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// A lease says which of several servers does the work of a job. Once one has run out, by the clock of the database,
// another server may take it. It is columns of the job and not a lock of the session, which behind a pooler is
// anybody's.

const databaseNow = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

// TakeLease takes the lease of a job for a time, or extends one that holder has, and reports whether holder has it
// now. It is for PostgreSQL.
func (s *Store) TakeLease(ctx context.Context, job, holder string, lasting time.Duration) (held bool, err error) {
	return s.changeLease(ctx, `INSERT INTO audit_jobs (name, leader, leads_until) VALUES (?, ?, `+databaseNow+` + ?)
ON CONFLICT (name) DO UPDATE SET leader = EXCLUDED.leader, leads_until = EXCLUDED.leads_until
WHERE audit_jobs.leader = EXCLUDED.leader OR audit_jobs.leads_until <= `+databaseNow, job, holder, lasting.Microseconds())
}

// ExtendLease extends a lease that nobody has taken since holder did, and reports whether holder has it.
func (s *Store) ExtendLease(ctx context.Context, job, holder string, lasting time.Duration) (held bool, err error) {
	return s.changeLease(ctx, "UPDATE audit_jobs SET leads_until = "+databaseNow+" + ? WHERE name = ? AND leader = ?",
		lasting.Microseconds(), job, holder)
}

// ReturnLease lets another take a lease that holder has.
func (s *Store) ReturnLease(ctx context.Context, job, holder string) error {
	_, err := s.changeLease(ctx, "UPDATE audit_jobs SET leader = '', leads_until = 0 WHERE name = ? AND leader = ?", job, holder)
	return err
}

func (s *Store) changeLease(ctx context.Context, statement string, args ...any) (changed bool, err error) {
	err = s.Transaction(ctx, func(tx *gorm.DB) error {
		result := tx.Exec(statement, args...)
		changed = result.RowsAffected == 1
		return result.Error
	})
	if err != nil {
		return false, fmt.Errorf("agree on a leader: %w", err)
	}
	return changed, nil
}
