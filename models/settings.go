package models

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// AuditSettings is what an admin decides about the log of an organization.
type AuditSettings struct {
	RetentionDays  int  // MinRetentionDays to MaxRetentionDays
	LoggingEnabled bool // off: what applications hand over is checked and not stored
}

// AuditSettings is what is in force now.
func (o Organization) AuditSettings() AuditSettings {
	return AuditSettings{RetentionDays: o.RetentionDays, LoggingEnabled: o.LoggingEnabled}
}

// SettingsChange is one line of the settings history: who changed the retention or the switch,
// when, and from what to what. Retention never deletes it, and the database refuses to change it.
type SettingsChange struct {
	OrgID             int64
	ID                EntryID
	ChangedAt         Micros
	ActorID           string
	ActorName         string // as it was then
	ActorEmail        string
	OldRetentionDays  int
	NewRetentionDays  int
	OldLoggingEnabled bool
	NewLoggingEnabled bool
}

func (SettingsChange) TableName() string { return "audit_settings_changes" }

// Gap is a time during which nothing was recorded because audit logging was off.
type Gap struct {
	From Micros
	To   Micros // zero: logging is still off
}

// LockOrganization reads an organization that the rest of tx is going to change: whoever else
// wants to change it waits until tx ends, so what is read here is still true when it is changed.
// It answers ErrNotFound, or ErrClosed for one that has been deleted.
//
// Recording takes no such lock and never waits for it.
func LockOrganization(ctx context.Context, tx *gorm.DB, id int64) (Organization, error) {
	var org Organization
	// SQLite has no row locks and needs none: a writing transaction there is the only one.
	err := tx.WithContext(ctx).Clauses(clause.Locking{Strength: "UPDATE"}).Where("id = ?", id).Take(&org).Error
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return org, fmt.Errorf("organization %d: %w", id, ErrNotFound)
	case err != nil:
		return org, fmt.Errorf("lock organization %d: %w", id, err)
	case org.Closed():
		return org, fmt.Errorf("organization %q: %w", org.Slug, ErrClosed)
	}
	return org, nil
}

// ChangeAuditSettings sets retention and switch of an organization in the caller's transaction and
// keeps who did it in the settings history. It answers the organization before and after; both are
// the same, and nothing was written, where the settings were already so.
//
// What has expired at now stays expired when retention is raised. Of two changes at once the
// second waits for the first and sees what it did (see LockOrganization, whose errors it returns).
func ChangeAuditSettings(ctx context.Context, tx *gorm.DB, orgID int64, actor Actor, to AuditSettings, now time.Time) (before, after Organization, err error) {
	if to.RetentionDays < MinRetentionDays || to.RetentionDays > MaxRetentionDays {
		return before, after, fmt.Errorf("retention of %d days: must be %d to %d", to.RetentionDays, MinRetentionDays, MaxRetentionDays)
	}
	before, err = LockOrganization(ctx, tx, orgID)
	if err != nil {
		return before, before, err
	}
	after = before
	if before.AuditSettings() == to {
		return before, after, nil
	}
	after.RetentionDays, after.LoggingEnabled = to.RetentionDays, to.LoggingEnabled
	after.ExpiredBefore = before.KeptSince(now)

	err = tx.WithContext(ctx).Model(&Organization{}).Where("id = ?", orgID).Updates(map[string]any{
		"retention_days":  after.RetentionDays,
		"logging_enabled": after.LoggingEnabled,
		"expired_before":  after.ExpiredBefore,
	}).Error
	if err != nil {
		return before, after, fmt.Errorf("change the audit settings of %q: %w", before.Slug, err)
	}
	return before, after, recordSettingsChange(ctx, tx, before, after, actor, now)
}

// recordSettingsChange appends to the settings history. The caller holds the organization's lock.
func recordSettingsChange(ctx context.Context, tx *gorm.DB, before, after Organization, actor Actor, now time.Time) error {
	var last SettingsChange
	err := tx.WithContext(ctx).Where("org_id = ?", before.ID).Order("id DESC").Limit(1).Find(&last).Error
	if err != nil {
		return fmt.Errorf("read the settings history of %q: %w", before.Slug, err)
	}
	// The clocks of two servers may differ a little. The history keeps the order in which the
	// changes were made, or an "off" could seem to follow its "on".
	at := max(MicrosOf(now), last.ChangedAt+1)
	change := SettingsChange{
		OrgID: before.ID, ID: NewEntryID(at), ChangedAt: at,
		ActorID: actor.ID, ActorName: actor.Name, ActorEmail: actor.Email,
		OldRetentionDays: before.RetentionDays, NewRetentionDays: after.RetentionDays,
		OldLoggingEnabled: before.LoggingEnabled, NewLoggingEnabled: after.LoggingEnabled,
	}
	if err := tx.WithContext(ctx).Create(&change).Error; err != nil {
		return fmt.Errorf("keep the change of the audit settings of %q: %w", before.Slug, err)
	}
	return nil
}

// SettingsHistory lists the latest changes of retention and switch, newest first.
func (s *Store) SettingsHistory(ctx context.Context, org Organization, limit int) ([]SettingsChange, error) {
	var history []SettingsChange
	err := s.Reader(ctx).Where("org_id = ?", org.ID).Order("id DESC").Limit(limit).Find(&history).Error
	if err != nil {
		return nil, fmt.Errorf("read the settings history of %q: %w", org.Slug, err)
	}
	return history, nil
}

// LoggingGaps lists, oldest first, the times during which logging was off that reach into what the
// organization still keeps. The settings history knows them even after their entries have expired.
func (s *Store) LoggingGaps(ctx context.Context, org Organization) ([]Gap, error) {
	kept := FirstEntryID(org.KeptSince(s.Now()))
	// One switch earlier than what is kept tells whether logging was off at its beginning.
	var changes []SettingsChange
	err := s.Reader(ctx).Raw(`SELECT * FROM (`+switches+` AND id < ? ORDER BY id DESC LIMIT 1) AS earlier
UNION ALL `+switches+` AND id >= ? ORDER BY id`, org.ID, kept, org.ID, kept).Scan(&changes).Error
	if err != nil {
		return nil, fmt.Errorf("read when logging of %q was off: %w", org.Slug, err)
	}
	var gaps []Gap
	off := false
	for _, change := range changes {
		if !change.NewLoggingEnabled {
			gaps = append(gaps, Gap{From: change.ChangedAt})
		} else if off {
			gaps[len(gaps)-1].To = change.ChangedAt
		}
		off = !change.NewLoggingEnabled
	}
	return gaps, nil
}

// OffSince is when logging was switched off, or zero while it is on.
func (s *Store) OffSince(ctx context.Context, org Organization) (Micros, error) {
	if org.LoggingEnabled {
		return 0, nil
	}
	var last SettingsChange
	err := s.Reader(ctx).Raw(switches+" ORDER BY id DESC LIMIT 1", org.ID).Scan(&last).Error
	if err != nil {
		return 0, fmt.Errorf("read since when logging of %q is off: %w", org.Slug, err)
	}
	return last.ChangedAt, nil
}

// switches asks for the lines of the history that turned logging on or off.
const switches = `SELECT id, changed_at, new_logging_enabled FROM audit_settings_changes
	WHERE org_id = ? AND old_logging_enabled <> new_logging_enabled`
