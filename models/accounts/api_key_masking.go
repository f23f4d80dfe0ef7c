package accounts

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/models"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// Limits of the names that an admin gives for a key.
const (
	MaxMaskingNames = 50  // of either list
	MaxMaskingName  = 100 // bytes
)

// Masking is which keys of metadata are masked, and which are kept, in the events that come with an API key, besides
// those that the server masks and keeps: see event.WithMasking.
type Masking struct {
	MaskKeys, KeepKeys MetadataKeys
}

// MetadataKeys are names of keys of metadata, with a space between each two.
type MetadataKeys string

// Names lists them.
func (k MetadataKeys) Names() []string { return strings.Fields(string(k)) }

// Text is how people read and write them.
func (k MetadataKeys) Text() string { return strings.Join(k.Names(), ", ") }

// ParseMetadataKeys reads names that commas or white space separate; one that is there twice is there once. The error
// is a *fault.Field about field that says which of them is wrong.
func ParseMetadataKeys(field, text string) (MetadataKeys, error) {
	var names []string
	separates := func(r rune) bool { return r == ',' || r == ';' || unicode.IsSpace(r) }
	for _, name := range strings.FieldsFunc(text, separates) {
		switch {
		case len(name) > MaxMaskingName:
			return "", fault.Newf(field, fault.TooLarge, "%.20q… is too long: use at most %d bytes.", name, MaxMaskingName)
		case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) }):
			return "", fault.Newf(field, fault.Invalid, "%q holds a character that cannot be seen.", name)
		case event.CheckKey(field, name) != nil:
			return "", fault.Newf(field, fault.Invalid, "%q has neither letters nor digits.", name)
		case !slices.Contains(names, name):
			names = append(names, name)
		}
	}
	if len(names) > MaxMaskingNames {
		return "", fault.Newf(field, fault.TooLarge, "These are %d names; use at most %d.", len(names), MaxMaskingNames)
	}
	return MetadataKeys(strings.Join(names, " ")), nil
}

// SetMasking says what is masked in what comes with a key from now on, and returns the key as it was before. Nothing is
// written where nothing changes. Errors: as LockAPIKey; ErrNotFound also of a key that was revoked, or records nothing.
func SetMasking(ctx context.Context, tx *gorm.DB, orgID int64, id string, to Masking) (before APIKey, err error) {
	before, err = LockAPIKey(ctx, tx, orgID, id)
	switch {
	case err != nil:
		return before, err
	case before.RevokedAt != 0 || before.Scope != ScopeWrite:
		return before, fmt.Errorf("API key %s, which records: %w", id, models.ErrNotFound)
	case before.Masking == to:
		return before, nil
	}
	err = updateAPIKey(ctx, tx, before, map[string]any{"mask_keys": to.MaskKeys, "keep_keys": to.KeepKeys})
	if err != nil {
		return before, fmt.Errorf("change what API key %s masks: %w", id, err)
	}
	return before, nil
}
