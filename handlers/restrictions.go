package handlers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// restrictionView is what is kept from those with a role, and the form that changes it.
type restrictionView struct {
	accounts.Restriction
	Stored   accounts.Restriction // what the form was loaded with
	Form     Form                 // shows what is stored, or what was typed
	Conflict *conflicts
}

// ID tells the fields of a role's form from those of another's.
func (v restrictionView) ID() string { return "hidden-from-" + string(v.Role) }

// fillRestrictions fills in what the caller has not: what is stored.
func (h *Handlers) fillRestrictions(ctx context.Context, page *membersPage) error {
	stored, err := h.Accounts.Restrictions(ctx, page.Frame.Organization.ID)
	if err != nil {
		return err
	}
	typed := page.Restrictions
	page.Restrictions = nil
	for _, restriction := range stored {
		view := restrictionView{Restriction: restriction, Stored: restriction, Form: Form{Values: map[string]string{"hidden_actions": restriction.HiddenActions.Text()}}}
		if i := slices.IndexFunc(typed, func(v restrictionView) bool { return v.Role == restriction.Role }); i >= 0 {
			view = typed[i]
		}
		page.Restrictions = append(page.Restrictions, view)
	}
	return nil
}

// SaveRestriction handles POST /orgs/:slug/settings/members/restrictions with `role`, `hidden_actions`, patterns that commas
// or spaces separate, `metadata` = hidden or absent, and `loaded_hidden_actions` and `loaded_metadata`.
func (h *Handlers) SaveRestriction(c *fiber.Ctx) error {
	var input struct {
		Role          string `form:"role"`
		HiddenActions string `form:"hidden_actions"`
		Metadata      string `form:"metadata"`
	}
	form, err := readForm(c, &input)
	if err != nil {
		return err
	}
	org := scopeOf(c).Organization
	to := accounts.Restriction{OrgID: org.ID, Role: accounts.Role(input.Role), MetadataHidden: input.Metadata == "hidden"}
	if !slices.Contains(accounts.RestrictedRoles, to.Role) {
		return h.renderMembers(c, fiber.StatusUnprocessableEntity, membersPage{Problem: "Choose member or auditor: admins see everything."})
	}
	to.HiddenActions, err = models.ParseActionPatterns("hidden_actions", input.HiddenActions)
	form.RefuseError(err, nil)
	actions, metadata := loaded(c, "hidden_actions"), loaded(c, "metadata")
	view := restrictionView{Restriction: to, Form: form, Stored: accounts.Restriction{
		HiddenActions:  models.ActionPatterns(actions.or(string(to.HiddenActions))),
		MetadataHidden: metadata.or(hiddenOrShown(to.MetadataHidden)) == "hidden",
	}}
	if !form.OK() {
		return h.renderMembers(c, fiber.StatusUnprocessableEntity, membersPage{Restrictions: []restrictionView{view}})
	}

	var before accounts.Restriction
	err = h.asAdmin(c, func(ctx context.Context, tx *gorm.DB) (err error) {
		if before, err = accounts.SetRestriction(ctx, tx, to); err != nil || before == to {
			return err
		}
		if err := restrictionConflict(ctx, tx, before, to, actions, metadata); err != nil {
			return err
		}
		if err := noteChange(ctx, tx, org.ID, accounts.SettingRestriction(to.Role)); err != nil {
			return err
		}
		_, err = audit.Record(ctx, tx, restrictionUpdate(org, before, to))
		return err
	})
	var conflict *conflictError
	if errors.As(err, &conflict) {
		view.Stored, view.Conflict = before, conflict.shown("Save again to replace it.", scopeOf(c).Location)
		return h.renderMembers(c, fiber.StatusConflict, membersPage{Restrictions: []restrictionView{view}})
	}
	if err != nil {
		return err
	}
	notice := fmt.Sprintf("Saved. It holds for every %s from now on.", to.Role)
	if before == to {
		notice = fmt.Sprintf("Nothing to save: this is already what a %s sees.", to.Role)
	}
	return h.toMembers(c, notice)
}

// hiddenOrShown is whether something is hidden, in a word.
func hiddenOrShown(hidden bool) string {
	if hidden {
		return "hidden"
	}
	return "shown"
}

// restrictionConflict returns a *conflictError where to undoes what somebody else has changed since the form was loaded.
func restrictionConflict(ctx context.Context, tx *gorm.DB, before, to accounts.Restriction, actions, metadata loadedValue) error {
	conflict := &conflictError{}
	by, err := accounts.LastChangeOf(ctx, tx, before.OrgID, accounts.SettingRestriction(before.Role))
	if err != nil {
		return err
	}
	if actions.conflicts(string(before.HiddenActions), string(to.HiddenActions)) {
		conflict.add("What is hidden", cmp.Or(before.HiddenActions.Text(), "nothing"), by)
	}
	if stored := hiddenOrShown(before.MetadataHidden); metadata.conflicts(stored, hiddenOrShown(to.MetadataHidden)) {
		conflict.add("Metadata", stored, by)
	}
	if len(conflict.changed) == 0 {
		return nil
	}
	return conflict
}

// restrictionUpdate is the event of a change of what those with a role may see.
func restrictionUpdate(org models.Organization, before, to accounts.Restriction) audit.Event {
	changes, fields := map[string]audit.Change{}, []string{}
	if before.HiddenActions != to.HiddenActions {
		changes["hidden_actions"] = audit.Change{Before: before.HiddenActions.List(), After: to.HiddenActions.List()}
		fields = append(fields, "hidden_actions")
	}
	if before.MetadataHidden != to.MetadataHidden {
		changes["metadata"] = audit.Change{Before: hiddenOrShown(before.MetadataHidden), After: hiddenOrShown(to.MetadataHidden)}
		fields = append(fields, "metadata")
	}
	return audit.Event{
		Organization: org.Slug,
		Action:       action.RoleRestrict,
		EntityID:     string(to.Role),
		Metadata:     map[string]any{"changes": changes, "changed_fields": fields},
	}
}
