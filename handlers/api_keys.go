package handlers

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// apiKeyGrammar is what accounts.CreateAPIKey makes.
var apiKeyGrammar = regexp.MustCompile(`^key_[a-z2-7]{26}$`)

// apiKeysPage lists the organization's keys. What was made by the request, a key that is shown once,
// stands above the list.
type apiKeysPage struct {
	Frame   Frame
	Keys    []apiKeyView
	Form    Form // of a new key
	Notice  string
	Made    *shownKey
	BaseURL string // of the server, for the example
}

type apiKeyView struct {
	accounts.APIKey
	CreatedByName string // empty for somebody who has left
	Expired       bool
}

// shownKey is a key that is shown this once: only its hash is kept.
type shownKey struct {
	accounts.APIKey
	Token string
}

// CanSet reports whether the reader may make and revoke keys.
func (p apiKeysPage) CanSet() bool { return p.Frame.Admin() && !p.Frame.Organization.Closed() }

// Path is the address below which forms change keys.
func (p apiKeysPage) Path() string { return p.Frame.SettingsPath("api-keys") }

// EarlierPath is the part of the log that tells of all keys, those that are gone included.
func (p apiKeysPage) EarlierPath() string {
	return p.Frame.SettingsPath("audit-logs") + "?entity_type=" + action.APIKeyCreate.Entity()
}

// APIKeys handles GET /orgs/:slug/settings/api-keys.
func (h *Handlers) APIKeys(c *fiber.Ctx) error {
	return h.renderAPIKeys(c, fiber.StatusOK, apiKeysPage{})
}

func (h *Handlers) renderAPIKeys(c *fiber.Ctx, status int, page apiKeysPage) error {
	ctx := contextOf(c)
	page.Frame = h.frame(c, "API Keys", "api-keys")
	page.Notice = takeNotice(c)
	page.BaseURL = h.BaseURL
	keys, err := h.Accounts.APIKeys(ctx, page.Frame.Organization.ID)
	if err != nil {
		return err
	}
	members, err := h.Accounts.Members(ctx, page.Frame.Organization.ID)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, m := range members {
		names[m.UserID] = m.Name
	}
	for _, key := range keys {
		page.Keys = append(page.Keys, apiKeyView{key, names[key.CreatedBy], key.Expired(h.Store.Now())})
	}
	return h.render(c, status, "api-keys/page", page)
}

type apiKeyForm struct {
	Name      string `form:"name" validate:"shown_name"`
	Scope     string `form:"scope" validate:"oneof=write read"`
	Expires   string `form:"expires" validate:"oneof=never 30 90 365 date"`
	ExpiresOn string `form:"expires_on"`
	MaskKeys  string `form:"mask_keys"`
	KeepKeys  string `form:"keep_keys"`
}

// expiry is the moment the form chooses, zero for never. A key with a last day works until
// that day ends in the reader's zone.
func (f apiKeyForm) expiry(now time.Time, zone *time.Location) (models.Micros, error) {
	switch f.Expires {
	case "never":
		return 0, nil
	case "date":
		day, err := time.ParseInLocation(time.DateOnly, f.ExpiresOn, zone)
		if err != nil {
			return 0, fault.Newf("expires", fault.Invalid, "Enter a date, such as %s.", now.In(zone).AddDate(1, 0, 0).Format(time.DateOnly))
		}
		return models.MicrosOf(day.AddDate(0, 0, 1)) - 1, nil
	default:
		days, err := strconv.Atoi(f.Expires)
		return models.MicrosOf(now.AddDate(0, 0, days)), err
	}
}

// CreateAPIKey handles POST /orgs/:slug/settings/api-keys with `name`, `scope` (write or read),
// `expires`: never, a number of days (30, 90, 365), or "date" with the last day in `expires_on`; and, for
// a key that writes, `mask_keys` and `keep_keys`. It shows the new key, once.
func (h *Handlers) CreateAPIKey(c *fiber.Ctx) error {
	var input apiKeyForm
	form, err := readForm(c, &input)
	if err != nil {
		return err
	}
	scope := scopeOf(c)
	masking := readMasking(&form)
	if masking != (accounts.Masking{}) && input.Scope == string(accounts.ScopeRead) {
		field := "mask_keys"
		if masking.MaskKeys == "" {
			field = "keep_keys"
		}
		form.Refuse(field, "A key that reads the log brings nothing that could be masked. Leave this empty.")
	}
	var made shownKey
	if form.OK() {
		err = h.asAdmin(c, func(ctx context.Context, tx *gorm.DB) error {
			expires, err := input.expiry(models.TransactionNow(tx), scope.Location)
			if err != nil {
				return err
			}
			made.APIKey, made.Token, err = accounts.CreateAPIKey(ctx, tx, scope.Organization.ID, input.Name, accounts.KeyScope(input.Scope), scope.User.ID, expires)
			if err == nil && masking != (accounts.Masking{}) {
				_, err = accounts.SetMasking(ctx, tx, scope.Organization.ID, made.ID, masking)
				made.Masking = masking
			}
			if err != nil {
				return err
			}
			return recordAPIKey(ctx, tx, scope.Organization, action.APIKeyCreate, made.APIKey)
		})
		if err != nil && !form.RefuseError(err, map[string]string{"expires": input.expiresField()}) {
			return err
		}
	}
	if !form.OK() {
		return h.renderAPIKeys(c, fiber.StatusUnprocessableEntity, apiKeysPage{Form: form})
	}
	return h.renderAPIKeys(c, fiber.StatusOK, apiKeysPage{Made: &made})
}

// expiresField is the field that chose the moment.
func (f apiKeyForm) expiresField() string {
	if f.Expires == "date" {
		return "expires_on"
	}
	return "expires"
}

// recordAPIKey records what happened to a key, with what is known of it. The key itself and its hash stay out of the log.
func recordAPIKey(ctx context.Context, tx *gorm.DB, org models.Organization, action action.Action, key accounts.APIKey) error {
	facts := map[string]any{"scope": key.Scope}
	for name, moment := range map[string]models.Micros{"expires_at": key.ExpiresAt, "last_used_at": key.LastUsedAt} {
		if moment != 0 {
			facts[name] = moment.Time()
		}
	}
	for name, keys := range map[string]accounts.MetadataKeys{"mask_keys": key.MaskKeys, "keep_keys": key.KeepKeys} {
		if keys != "" {
			facts[name] = keys.Names()
		}
	}
	_, err := audit.Record(ctx, tx, apiKeyEvent(org, action, key, facts))
	return err
}

func apiKeyEvent(org models.Organization, action action.Action, key accounts.APIKey, facts map[string]any) audit.Event {
	return audit.Event{
		Organization: org.Slug,
		Action:       action,
		EntityID:     key.ID,
		EntityName:   key.Name,
		Metadata:     facts,
	}
}

// revokePage asks before a key ends.
type revokePage struct {
	Frame Frame
	Key   accounts.APIKey
}

// RevokeAPIKey handles POST /orgs/:slug/settings/api-keys/:key/revoke. Without `confirm=yes` it
// changes nothing and asks.
func (h *Handlers) RevokeAPIKey(c *fiber.Ctx) error {
	scope, id := scopeOf(c), c.Params("key")
	if !apiKeyGrammar.MatchString(id) {
		return models.ErrNotFound
	}
	if posted(c, "confirm") != "yes" {
		key, err := h.Accounts.APIKey(contextOf(c), scope.Organization.ID, id)
		if err != nil {
			return err
		}
		return h.render(c, fiber.StatusOK, "api-keys/revoke", revokePage{h.frame(c, "Revoke "+key.Name, "api-keys"), key})
	}
	var before accounts.APIKey
	err := h.asAdmin(c, func(ctx context.Context, tx *gorm.DB) (err error) {
		before, err = accounts.RevokeAPIKey(ctx, tx, scope.Organization.ID, id)
		if err != nil || before.RevokedAt != 0 {
			return err
		}
		return recordAPIKey(ctx, tx, scope.Organization, action.APIKeyRevoke, before)
	})
	if err != nil {
		return err
	}
	notice := fmt.Sprintf("%s was revoked and no longer works.", before.Name)
	if before.RevokedAt != 0 {
		notice = fmt.Sprintf("Nothing to do: %s was revoked already.", before.Name)
	}
	leaveNotice(c, notice)
	return redirect(c, settingsPath(scope.Organization, "api-keys"))
}
