// Package settings changes the settings of an organization's log, and records each change in the same
// transaction.
package settings

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
)

// automation is what acts when the grace of a shorter retention ends.
const automation = "retention"

// Change sets retention and switch of an organization, by the actor of ctx, and records that. It returns
// the organization before and after; they are equal, and nothing was recorded, if the settings were so
// already. A retention shorter than the one in force takes effect after grace. Errors are those of
// models.LockOrganization.
func Change(ctx context.Context, tx *gorm.DB, orgID int64, to models.AuditSettings, grace time.Duration, now time.Time) (before, after models.Organization, err error) {
	if err := Settle(ctx, tx, orgID, now); err != nil {
		return before, after, err
	}
	actor := event.ActorFrom(ctx)
	before, after, err = models.ChangeAuditSettings(ctx, tx, orgID,
		models.Actor{ID: actor.ID, Name: actor.Name, Email: actor.Email}, to, grace, now)
	if err != nil || before == after {
		return before, after, err
	}
	event := update(after, before.ChosenSettings(), after.ChosenSettings())
	switch {
	case after.PendingFrom != before.PendingFrom && after.PendingFrom != 0:
		event.Metadata.(map[string]any)["takes_effect_at"] = after.PendingFrom.Time()
	case after.PendingFrom == 0 && before.PendingFrom != 0 && after.RetentionDays >= before.RetentionDays:
		event.Metadata.(map[string]any)["undone"] = true
	}
	_, err = audit.Record(ctx, tx, event)
	return before, after, err
}

// Undo drops a shorter retention that has not taken effect yet, by the actor of ctx, and records that.
// Whatever was chosen last is dropped: whoever would rather have it can choose it again. Results and
// errors are those of Change.
func Undo(ctx context.Context, tx *gorm.DB, orgID int64, now time.Time) (before, after models.Organization, err error) {
	org, err := models.LockOrganization(ctx, tx, orgID)
	if err != nil {
		return org, org, err
	}
	return Change(ctx, tx, orgID, org.InForce(now).AuditSettings(), 0, now)
}

// Settle records that a shorter retention has taken effect, if it has at now and nobody has recorded it
// yet. Errors are those of models.LockOrganization.
func Settle(ctx context.Context, tx *gorm.DB, orgID int64, now time.Time) error {
	system := audit.System(automation)
	before, after, chosen, err := models.SettleRetention(ctx, tx, orgID, models.Actor{ID: system.ID, Name: system.Name}, now)
	if err != nil || chosen == nil {
		return err
	}
	event := update(after, before.AuditSettings(), after.AuditSettings())
	event.Actor = system
	facts := event.Metadata.(map[string]any)
	facts["took_effect_at"] = before.PendingFrom.Time()
	// The entry of the choice may have expired by this very change.
	facts["chosen_by"] = map[string]any{"id": chosen.ActorID, "name": chosen.ActorName, "email": chosen.ActorEmail}
	facts["chosen_at"] = chosen.ChangedAt.Time()
	if before.PendingFrom >= after.KeptSince(now) { // no server may have run for longer than entries are kept
		event.OccurredAt = before.PendingFrom.Time()
	}
	// Whoever's request came upon it did not do it.
	_, err = audit.Record(audit.WithRequest(ctx, audit.Request{}), tx, event)
	return err
}

// update returns the event for a change of the settings, its fields named as in the form.
func update(org models.Organization, before, after models.AuditSettings) audit.Event {
	changes := map[string]audit.Change{}
	fields := []string{}
	if before.RetentionDays != after.RetentionDays {
		changes["retention_days"] = audit.Change{Before: before.RetentionDays, After: after.RetentionDays}
		fields = append(fields, "retention_days")
	}
	if before.LoggingEnabled != after.LoggingEnabled {
		changes["enabled"] = audit.Change{Before: before.LoggingEnabled, After: after.LoggingEnabled}
		fields = append(fields, "enabled")
	}
	return audit.Event{
		Organization: org.Slug,
		Action:       action.OrganizationAuditConfigUpdate,
		EntityID:     org.Slug,
		EntityName:   org.Name,
		Metadata:     map[string]any{"changes": changes, "changed_fields": fields},
	}
}
