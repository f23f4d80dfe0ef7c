package models

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
)

// Retention bounds and default, in days.
const (
	MinRetentionDays     = 1
	MaxRetentionDays     = 365
	DefaultRetentionDays = 90
)

// Organization is the tenant: whose log it is, and how long entries are kept.
type Organization struct {
	ID             int64
	Slug           string
	ExternalID     *string // the application's own ID for the tenant, where it brings one
	Name           string
	RetentionDays  int
	LoggingEnabled bool
	ExpiredBefore  Micros // entries that occurred earlier stay expired, whatever retention is set later
	CreatedAt      Micros
	ClosedAt       Micros // when it was deleted; zero while it is open
}

func (Organization) TableName() string { return "audit_organizations" }

// Closed says that the organization was deleted: its log can be read by its admins, nothing is
// recorded any more.
func (o Organization) Closed() bool { return o.ClosedAt != 0 }

// KeptSince is the moment at now before which entries have expired: they are invisible at once and
// deleted by the next clean-up.
func (o Organization) KeptSince(now time.Time) Micros {
	return max(o.ExpiredBefore, MicrosOf(now.AddDate(0, 0, -o.RetentionDays)))
}

// Gone says that the organization was deleted and its last entry has expired: nothing is left that
// anyone could read.
func (o Organization) Gone(now time.Time) bool {
	return o.Closed() && o.ClosedAt < o.KeptSince(now)
}

// OrganizationBySlug finds an organization, or ErrNotFound.
func (s *Store) OrganizationBySlug(ctx context.Context, slug string) (Organization, error) {
	var o Organization
	err := s.Reader(ctx).Where("slug = ?", slug).Take(&o).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return o, fmt.Errorf("organization %q: %w", slug, ErrNotFound)
	}
	if err != nil {
		return o, fmt.Errorf("find organization %q: %w", slug, err)
	}
	return o, nil
}
