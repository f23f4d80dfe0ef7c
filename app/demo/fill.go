package demo

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// fill writes both organizations, their people and their past, and the mark. It returns how many
// entries were written.
func fill(ctx context.Context, tx *gorm.DB, anchor time.Time, hashes passwordHashes) (int, error) {
	worlds := []*world{northwind(anchor), acmeLabs(anchor)}
	userIDs := map[string]string{} // user IDs by e-mail
	for _, w := range worlds {
		if err := w.found(ctx, tx, userIDs, hashes); err != nil {
			return 0, fmt.Errorf("create %s: %w", w.organization, err)
		}
	}
	written := 0
	for _, w := range worlds {
		w.know(userIDs)
		var failed error
		w.report = func(h happening) {
			if failed != nil {
				return
			}
			var stored bool
			if stored, failed = record(ctx, tx, h); stored {
				written++
			}
		}
		w.decide = func(p *person, to models.AuditSettings) {
			if failed == nil {
				failed = w.changeSettings(ctx, tx, p, to)
			}
		}
		w.liveUntil(w.anchor)
		if failed != nil {
			return 0, failed
		}
		if err := w.noteUses(ctx, tx); err != nil {
			return 0, err
		}
	}
	return written, writeMark(tx, anchor)
}

// found creates the organization with its members. userIDs holds who has an account, by
// e-mail; new ones are added.
func (w *world) found(ctx context.Context, tx *gorm.DB, userIDs map[string]string, hashes passwordHashes) error {
	at := func(moment time.Time) *gorm.DB {
		return models.WithClock(tx, func() time.Time { return moment })
	}
	slug, err := audit.EnsureOrganization(ctx, at(w.founded), audit.Organization{Slug: w.organization, Name: w.name})
	if err != nil {
		return err
	}
	org, err := models.OrganizationByRef(ctx, tx, models.OrganizationRef{Slug: slug})
	if err != nil {
		return err
	}
	for entityType, template := range w.links {
		if _, err := models.SetResourceLink(ctx, tx, org.ID, entityType, template); err != nil {
			return err
		}
	}
	for i, p := range w.people {
		if !p.account {
			continue
		}
		joined := w.founded.Add(time.Hour + time.Duration(i)*w.growth)
		if p.joined > 0 {
			joined = w.joinedAt(p)
		}
		if err := addPerson(ctx, at(joined), org, p, userIDs, hashes); err != nil {
			return err
		}
	}
	return w.makeKeys(ctx, at, org, userIDs)
}

// addPerson creates the account where there is none yet, and the membership.
func addPerson(ctx context.Context, tx *gorm.DB, org models.Organization, p *person, userIDs map[string]string, hashes passwordHashes) error {
	if userIDs[p.email] == "" {
		hash := hashes.unknown
		for _, shown := range Accounts() {
			if shown.Email == p.email {
				hash = hashes.shown
			}
		}
		user, err := accounts.CreateUser(ctx, tx, p.name, p.email, hash)
		if err != nil {
			return err
		}
		userIDs[p.email] = user.ID
		// The first organization is the large one, and where people begin.
		if err := accounts.SetLastOrganization(ctx, tx, user.ID, org.ID); err != nil {
			return err
		}
	}
	return accounts.AddMember(ctx, tx, org.ID, userIDs[p.email], p.role)
}

// changeSettings changes retention and switch as the page does, at the world's moment.
func (w *world) changeSettings(ctx context.Context, tx *gorm.DB, p *person, to models.AuditSettings) error {
	org, err := models.OrganizationByRef(ctx, tx, models.OrganizationRef{Slug: w.organization})
	if err != nil {
		return err
	}
	actor := models.Actor{ID: p.id, Name: p.name, Email: p.email}
	before, after, err := models.ChangeAuditSettings(ctx, tx, org.ID, actor, to, 0, w.now)
	if err != nil {
		return fmt.Errorf("change the settings of %s: %w", w.organization, err)
	}
	what := changes{}
	if before.RetentionDays != after.RetentionDays {
		what["retention_days"] = audit.Change{Before: before.RetentionDays, After: after.RetentionDays}
	}
	if before.LoggingEnabled != after.LoggingEnabled {
		what["enabled"] = audit.Change{Before: before.LoggingEnabled, After: after.LoggingEnabled}
	}
	w.recordChange(w.as(p), action.OrganizationAuditConfigUpdate, w.organizationEntity(), what, nil)
	return nil
}
