package models

import (
	"cmp"
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

// AuditSettings is what is in force.
func (o Organization) AuditSettings() AuditSettings {
	return AuditSettings{RetentionDays: o.RetentionDays, LoggingEnabled: o.LoggingEnabled}
}

// ChosenSettings is what an admin chose last: what is in force, or a shorter retention that will be.
func (o Organization) ChosenSettings() AuditSettings {
	chosen := o.AuditSettings()
	if o.PendingFrom != 0 {
		chosen.RetentionDays = o.PendingRetentionDays
	}
	return chosen
}

// SettingsChange is one line of the settings history: who changed the retention or the switch,
// when, and from what to what. Retention never deletes it, and the database refuses to change it.
//
// The days of retention are those in force. A shorter retention that was chosen and waited, before
// and after the change, is in the days pending (zero for none).
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
	OldPendingDays    int
	NewPendingDays    int
	PendingFrom       Micros // when NewPendingDays were to be in force
}

// Old is what an admin had chosen before the change, New what was chosen after it.
func (c SettingsChange) Old() AuditSettings {
	return AuditSettings{RetentionDays: cmp.Or(c.OldPendingDays, c.OldRetentionDays), LoggingEnabled: c.OldLoggingEnabled}
}

// New is described at Old.
func (c SettingsChange) New() AuditSettings {
	return AuditSettings{RetentionDays: cmp.Or(c.NewPendingDays, c.NewRetentionDays), LoggingEnabled: c.NewLoggingEnabled}
}

// Scheduled reports whether a shorter retention was chosen that was to be in force later.
func (c SettingsChange) Scheduled() bool {
	return c.NewPendingDays != 0 && c.Old().RetentionDays != c.NewPendingDays
}

// TookEffect reports whether a shorter retention which had been chosen before came into force.
func (c SettingsChange) TookEffect() bool {
	return c.OldPendingDays != 0 && c.NewPendingDays == 0 && c.NewRetentionDays == c.OldPendingDays
}

// Undone reports whether a shorter retention which had been chosen never came into force.
func (c SettingsChange) Undone() bool {
	return c.OldPendingDays != 0 && c.NewPendingDays == 0 && c.NewRetentionDays >= c.OldRetentionDays
}

func (SettingsChange) TableName() string { return "audit_settings_changes" }

// Gap is a time during which nothing of applications was recorded because audit logging was off.
type Gap struct {
	From Micros
	To   Micros // zero: logging is still off
}

// LockOrganization reads an organization that the rest of tx is going to change: whoever else
// wants to change it waits until tx ends, so what is read here is still true when it is changed.
// It returns ErrNotFound, or ErrClosed for one that has been deleted.
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
// keeps who did it in the settings history. It returns the organization before and after; both are
// the same, and nothing was written, where the settings were already so.
//
// A retention below the one in force is in force after grace, at once where that is zero. Until then it
// can be replaced by another, whose grace begins anew, and is undone by any that is not below the one
// in force. Chosen again it goes on as it is.
//
// What has expired at now stays expired when retention is raised. Of two changes at once the
// second waits for the first and sees what it did (see LockOrganization, whose errors it returns).
// Settle the retention first, see SettleRetention.
func ChangeAuditSettings(ctx context.Context, tx *gorm.DB, orgID int64, actor Actor, to AuditSettings, grace time.Duration, now time.Time) (before, after Organization, err error) {
	if to.RetentionDays < MinRetentionDays || to.RetentionDays > MaxRetentionDays {
		return before, after, fmt.Errorf("retention of %d days: must be %d to %d", to.RetentionDays, MinRetentionDays, MaxRetentionDays)
	}
	before, err = LockOrganization(ctx, tx, orgID)
	if err != nil {
		return before, before, err
	}
	after = before.WithRetention(to.RetentionDays, grace, now)
	after.LoggingEnabled = to.LoggingEnabled
	if before == after {
		return before, after, nil
	}
	after.ExpiredBefore = before.KeptSince(now)
	if err := saveAuditSettings(ctx, tx, after); err != nil {
		return before, after, err
	}
	return before, after, recordSettingsChange(ctx, tx, before, after, actor, MicrosOf(now))
}

// WithRetention is the organization once that many days were chosen at now, as ChangeAuditSettings does.
func (o Organization) WithRetention(days int, grace time.Duration, now time.Time) Organization {
	switch {
	case o.PendingFrom != 0 && days == o.PendingRetentionDays:
	case days < o.RetentionDays && grace > 0:
		o.PendingRetentionDays, o.PendingFrom = days, MicrosOf(now.Add(grace))
	default:
		o.RetentionDays, o.PendingRetentionDays, o.PendingFrom = days, 0, 0
	}
	return o
}

// SettleRetention brings the database up to a shorter retention whose moment has come (see InForce),
// in the caller's transaction, and keeps in the settings history that the system did. It returns the
// line in which an admin chose it, or nil where nothing had to be done: of several servers that settle
// the same at once, one does. Errors: as LockOrganization.
func SettleRetention(ctx context.Context, tx *gorm.DB, orgID int64, system Actor, now time.Time) (before, after Organization, chosen *SettingsChange, err error) {
	before, err = LockOrganization(ctx, tx, orgID)
	if err != nil {
		return before, before, nil, err
	}
	after = before.InForce(now)
	if before == after {
		return before, after, nil, nil
	}
	choice, err := pendingChange(tx.WithContext(ctx), before)
	if err != nil {
		return before, after, nil, err
	}
	after.ExpiredBefore = before.KeptSince(now)
	if err := saveAuditSettings(ctx, tx, after); err != nil {
		return before, after, nil, err
	}
	return before, after, &choice, recordSettingsChange(ctx, tx, before, after, system, before.PendingFrom)
}

func saveAuditSettings(ctx context.Context, tx *gorm.DB, org Organization) error {
	err := tx.WithContext(ctx).Model(&Organization{}).Where("id = ?", org.ID).Updates(map[string]any{
		"retention_days":         org.RetentionDays,
		"pending_retention_days": org.PendingRetentionDays,
		"pending_from":           org.PendingFrom,
		"logging_enabled":        org.LoggingEnabled,
		"expired_before":         org.ExpiredBefore,
	}).Error
	if err != nil {
		return fmt.Errorf("change the audit settings of %q: %w", org.Slug, err)
	}
	return nil
}

// recordSettingsChange appends to the settings history. The caller holds the organization's lock.
func recordSettingsChange(ctx context.Context, tx *gorm.DB, before, after Organization, actor Actor, at Micros) error {
	var last SettingsChange
	err := tx.WithContext(ctx).Where("org_id = ?", before.ID).Order("id DESC").Limit(1).Find(&last).Error
	if err != nil {
		return fmt.Errorf("read the settings history of %q: %w", before.Slug, err)
	}
	// The clocks of two servers may differ a little. The history keeps the order in which the
	// changes were made, or an "off" could seem to follow its "on".
	at = max(at, last.ChangedAt+1)
	change := SettingsChange{
		OrgID: before.ID, ID: NewEntryID(at), ChangedAt: at,
		ActorID: actor.ID, ActorName: actor.Name, ActorEmail: actor.Email,
		OldRetentionDays: before.RetentionDays, NewRetentionDays: after.RetentionDays,
		OldLoggingEnabled: before.LoggingEnabled, NewLoggingEnabled: after.LoggingEnabled,
		OldPendingDays: before.PendingRetentionDays, NewPendingDays: after.PendingRetentionDays, PendingFrom: after.PendingFrom,
	}
	if err := tx.WithContext(ctx).Create(&change).Error; err != nil {
		return fmt.Errorf("keep the change of the audit settings of %q: %w", before.Slug, err)
	}
	return nil
}

// SettingsHistory lists the latest changes of retention and switch, newest first.
func (s *Store) SettingsHistory(ctx context.Context, org Organization, limit int) ([]SettingsChange, error) {
	return SettingsHistory(ctx, s.Reader(ctx), org, limit)
}

// SettingsHistory is Store.SettingsHistory in the caller's transaction.
func SettingsHistory(ctx context.Context, tx *gorm.DB, org Organization, limit int) ([]SettingsChange, error) {
	var history []SettingsChange
	err := tx.WithContext(ctx).Where("org_id = ?", org.ID).Order("id DESC").Limit(limit).Find(&history).Error
	if err != nil {
		return nil, fmt.Errorf("read the settings history of %q: %w", org.Slug, err)
	}
	return history, nil
}

// PendingChange is the line of the settings history in which a retention was chosen that is not in
// force yet; the zero SettingsChange where none was.
func (s *Store) PendingChange(ctx context.Context, org Organization) (SettingsChange, error) {
	return pendingChange(s.Reader(ctx), org)
}

func pendingChange(db *gorm.DB, org Organization) (SettingsChange, error) {
	var chosen SettingsChange
	if org.PendingFrom == 0 {
		return chosen, nil
	}
	// Later lines may carry it on, as they switch logging.
	err := db.Where("org_id = ? AND new_pending_days = ? AND pending_from = ?", org.ID, org.PendingRetentionDays, org.PendingFrom).
		Order("id").Limit(1).Find(&chosen).Error
	if err != nil {
		return chosen, fmt.Errorf("find who lowered the retention of %q: %w", org.Slug, err)
	}
	return chosen, nil
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
