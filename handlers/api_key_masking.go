package handlers

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// maskingPage says which keys of metadata are masked, and which are kept, in the events that come with an API key.
type maskingPage struct {
	Frame    Frame
	Key      accounts.APIKey
	Form     Form             // shows what is stored, or what was typed
	Loaded   accounts.Masking // what the form was loaded with
	Conflict *conflicts
}

// CanSet reports whether the reader may change it.
func (p maskingPage) CanSet() bool { return p.Frame.Admin() && !p.Frame.Organization.Closed() }

// APIKeyMasking handles GET /orgs/:slug/settings/api-keys/:key/masking, of a key that writes.
func (h *Handlers) APIKeyMasking(c *fiber.Ctx) error {
	key, err := h.keyThatWrites(c)
	if err != nil {
		return err
	}
	return h.renderMasking(c, fiber.StatusOK, maskingPage{Key: key, Form: maskingForm(key.Masking), Loaded: key.Masking})
}

func (h *Handlers) keyThatWrites(c *fiber.Ctx) (accounts.APIKey, error) {
	id := c.Params("key")
	if !apiKeyGrammar.MatchString(id) {
		return accounts.APIKey{}, models.ErrNotFound
	}
	key, err := h.Accounts.APIKey(contextOf(c), scopeOf(c).Organization.ID, id)
	if err == nil && key.Scope != accounts.ScopeWrite {
		err = models.ErrNotFound
	}
	return key, err
}

func (h *Handlers) renderMasking(c *fiber.Ctx, status int, page maskingPage) error {
	page.Frame = h.frame(c, "Masking: "+page.Key.Name, "api-keys")
	return h.render(c, status, "api-keys/masking", page)
}

// maskingForm is a form that shows what is stored.
func maskingForm(stored accounts.Masking) Form {
	return Form{Values: map[string]string{"mask_keys": stored.MaskKeys.Text(), "keep_keys": stored.KeepKeys.Text()}}
}

// readMasking reads `mask_keys` and `keep_keys` of a form, and notes there what is wrong with them.
func readMasking(form *Form) (masking accounts.Masking) {
	for _, field := range []struct {
		name string
		keys *accounts.MetadataKeys
	}{{"mask_keys", &masking.MaskKeys}, {"keep_keys", &masking.KeepKeys}} {
		keys, err := accounts.ParseMetadataKeys(field.name, form.Values[field.name])
		form.RefuseError(err, nil)
		*field.keys = keys
	}
	return masking
}

// SaveAPIKeyMasking handles POST /orgs/:slug/settings/api-keys/:key/masking with `mask_keys` and `keep_keys`, names that
// commas or spaces separate, and `loaded_mask_keys` and `loaded_keep_keys`.
func (h *Handlers) SaveAPIKeyMasking(c *fiber.Ctx) error {
	key, err := h.keyThatWrites(c)
	if err != nil {
		return err
	}
	var input struct {
		MaskKeys string `form:"mask_keys"`
		KeepKeys string `form:"keep_keys"`
	}
	form, err := readForm(c, &input)
	if err != nil {
		return err
	}
	to, masked, kept := readMasking(&form), loaded(c, "mask_keys"), loaded(c, "keep_keys")
	page := maskingPage{Key: key, Form: form}
	if !form.OK() {
		page.Loaded = accounts.Masking{
			MaskKeys: accounts.MetadataKeys(masked.or(string(key.MaskKeys))), KeepKeys: accounts.MetadataKeys(kept.or(string(key.KeepKeys))),
		}
		return h.renderMasking(c, fiber.StatusUnprocessableEntity, page)
	}

	org := scopeOf(c).Organization
	var before accounts.APIKey
	err = h.asAdmin(c, func(ctx context.Context, tx *gorm.DB) (err error) {
		if before, err = accounts.SetMasking(ctx, tx, org.ID, key.ID, to); err != nil || before.Masking == to {
			return err
		}
		if err := maskingConflict(ctx, tx, before, to, masked, kept); err != nil {
			return err
		}
		if err := noteChange(ctx, tx, org.ID, accounts.SettingMasking(key.ID)); err != nil {
			return err
		}
		_, err = audit.Record(ctx, tx, maskingUpdate(org, before, to))
		return err
	})
	var conflict *conflictError
	if errors.As(err, &conflict) {
		page.Loaded = before.Masking
		page.Conflict = conflict.shown("Save again to replace it.", scopeOf(c).Location)
		return h.renderMasking(c, fiber.StatusConflict, page)
	}
	if err != nil {
		return err
	}
	notice := fmt.Sprintf("Saved. Events that come with %s are masked this way from now on.", before.Name)
	if before.Masking == to {
		notice = fmt.Sprintf("Nothing to save: events that come with %s are already masked this way.", before.Name)
	}
	leaveNotice(c, notice)
	return redirect(c, settingsPath(org, "api-keys"))
}

// maskingConflict returns a *conflictError where to undoes what somebody else has changed since the form was loaded.
func maskingConflict(ctx context.Context, tx *gorm.DB, before accounts.APIKey, to accounts.Masking, masked, kept loadedValue) error {
	conflict := &conflictError{}
	by, err := accounts.LastChangeOf(ctx, tx, before.OrgID, accounts.SettingMasking(before.ID))
	if err != nil {
		return err
	}
	if masked.conflicts(string(before.MaskKeys), string(to.MaskKeys)) {
		conflict.add("What is masked", cmp.Or(before.MaskKeys.Text(), "nothing"), by)
	}
	if kept.conflicts(string(before.KeepKeys), string(to.KeepKeys)) {
		conflict.add("What is kept", cmp.Or(before.KeepKeys.Text(), "nothing"), by)
	}
	if len(conflict.changed) == 0 {
		return nil
	}
	return conflict
}

// maskingUpdate is the event of a change of what is masked in what comes with a key.
func maskingUpdate(org models.Organization, before accounts.APIKey, to accounts.Masking) audit.Event {
	changes, fields := map[string]audit.Change{}, []string{}
	for _, field := range []struct {
		name          string
		before, after accounts.MetadataKeys
	}{{"keep_keys", before.KeepKeys, to.KeepKeys}, {"mask_keys", before.MaskKeys, to.MaskKeys}} {
		if field.before != field.after {
			changes[field.name] = audit.Change{Before: field.before.Names(), After: field.after.Names()}
			fields = append(fields, field.name)
		}
	}
	return apiKeyEvent(org, action.APIKeyUpdate, before, map[string]any{"changes": changes, "changed_fields": fields})
}
