package models

import (
	"context"
	"fmt"
	"time"
)

// RetentionLag returns how old an expiry is at most that has not been carried out: the time since the clean-up that
// is the longest ago, of all organizations, ended without an error. It is zero where there are no organizations.
func (s *Store) RetentionLag(ctx context.Context) (time.Duration, error) {
	var since Micros
	err := s.Reader(ctx).Raw(`SELECT COALESCE(MIN(CASE WHEN c.succeeded_at > 0 THEN c.succeeded_at ELSE o.created_at END), 0)
		FROM audit_organizations o LEFT JOIN audit_cleanups c ON c.org_id = o.id`).Scan(&since).Error
	if err != nil {
		return 0, fmt.Errorf("ask for the clean-up that is the longest ago: %w", err)
	}
	if since == 0 {
		return 0, nil
	}
	return max(0, s.Now().Sub(since.Time())), nil
}
