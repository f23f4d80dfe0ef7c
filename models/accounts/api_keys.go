package accounts

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/models"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// Limits of API keys.
const (
	// MaxAPIKeys is how many keys an organization has at most. Revoked ones do not count.
	MaxAPIKeys = 100
	// MaxAPIKeyYears is how far ahead a key's end lies at most, where it has one.
	MaxAPIKeyYears = 10
	// apiKeyUseNoted is how often the use of one key is written down at most.
	apiKeyUseNoted = time.Minute
)

// apiKeyPrefix begins every API key, so that people and secret scanners know one when they see it.
const apiKeyPrefix = "alk_"

// KeyScope is what an API key may do: read the log or write to it. None does both, so that a key
// lost from a service that records cannot read what the others recorded.
type KeyScope string

const (
	ScopeRead  KeyScope = "read"
	ScopeWrite KeyScope = "write"
)

// Valid reports whether the scope is one of the two.
func (s KeyScope) Valid() bool { return s == ScopeRead || s == ScopeWrite }

// APIKey lets a program use an organization's log over HTTP. The key itself is not stored.
type APIKey struct {
	TokenHash  TokenHash
	OrgID      int64
	ID         string // "key_" and 26 random letters and digits
	Name       string
	Scope      KeyScope
	Hint       string // the key's last four characters, to tell keys apart by
	CreatedBy  string // user ID
	CreatedAt  models.Micros
	ExpiresAt  models.Micros // zero: never
	LastUsedAt models.Micros // to the minute; zero: never used
	RevokedAt  models.Micros // zero while it was not
	Masking
}

func (APIKey) TableName() string { return "audit_api_keys" }

// Expired reports whether the key's time is over at now.
func (k APIKey) Expired(now time.Time) bool {
	return k.ExpiresAt != 0 && k.ExpiresAt <= models.MicrosOf(now)
}

// CreateAPIKey makes a key of an organization and returns its token, which cannot be found again.
// expires is the moment it ends; zero means never. Of two calls at once the second waits for the
// first, so the organization never has more than MaxAPIKeys.
//
// Errors: *fault.Field of the fields "name" (also where there are too many keys), "scope" and
// "expires"; ErrClosed and ErrNotFound for the organization. All leave tx usable.
func CreateAPIKey(ctx context.Context, tx *gorm.DB, orgID int64, name string, scope KeyScope, createdBy string, expires models.Micros) (key APIKey, token string, err error) {
	name, now := strings.TrimSpace(name), models.TransactionNow(tx)
	if err := models.CheckName(name); err != nil {
		return APIKey{}, "", err
	}
	switch {
	case !scope.Valid():
		return APIKey{}, "", fault.Newf("scope", fault.Invalid, "Choose read or write.")
	case expires != 0 && expires <= models.MicrosOf(now):
		return APIKey{}, "", fault.Newf("expires", fault.Invalid, "Choose a day that is still to come.")
	case expires > models.MicrosOf(now.AddDate(MaxAPIKeyYears, 0, 0)):
		return APIKey{}, "", fault.Newf("expires", fault.Invalid, "Choose a day within %d years, or never.", MaxAPIKeyYears)
	}
	if _, err := models.LockOrganization(ctx, tx, orgID); err != nil {
		return APIKey{}, "", err
	}
	var count int64
	if err := apiKeysOf(tx.WithContext(ctx), orgID).Count(&count).Error; err != nil {
		return APIKey{}, "", fmt.Errorf("count the API keys of organization %d: %w", orgID, err)
	}
	if count >= MaxAPIKeys {
		return APIKey{}, "", fault.Newf("name", fault.LimitReached, "There are already %d keys. Revoke one first.", MaxAPIKeys)
	}
	random, _ := newToken()
	token = apiKeyPrefix + random
	key = APIKey{
		TokenHash: hashToken(token),
		OrgID:     orgID,
		ID:        "key_" + strings.ToLower(rand.Text()),
		Name:      name,
		Scope:     scope,
		Hint:      token[len(token)-4:],
		CreatedBy: createdBy,
		CreatedAt: models.MicrosOf(now),
		ExpiresAt: expires,
	}
	if err := tx.WithContext(ctx).Create(&key).Error; err != nil {
		return APIKey{}, "", fmt.Errorf("create an API key of organization %d: %w", orgID, err)
	}
	return key, token, nil
}

// LockAPIKey finds a key, also one that was revoked, in a transaction in which nobody else changes it. Errors:
// ErrNotFound where the organization has no such key, ErrClosed.
func LockAPIKey(ctx context.Context, tx *gorm.DB, orgID int64, id string) (key APIKey, err error) {
	if _, err := models.LockOrganization(ctx, tx, orgID); err != nil {
		return key, err
	}
	err = tx.WithContext(ctx).Where("org_id = ? AND id = ?", orgID, id).Take(&key).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return key, fmt.Errorf("API key %q: %w", id, models.ErrNotFound)
	}
	if err != nil {
		return key, fmt.Errorf("find API key %s: %w", id, err)
	}
	return key, nil
}

// RevokeAPIKey ends a key for good and returns it as it was before. Nothing is written where it was
// revoked already. Errors: as LockAPIKey.
func RevokeAPIKey(ctx context.Context, tx *gorm.DB, orgID int64, id string) (before APIKey, err error) {
	before, err = LockAPIKey(ctx, tx, orgID, id)
	if err != nil || before.RevokedAt != 0 {
		return before, err
	}
	err = updateAPIKey(ctx, tx, before, map[string]any{"revoked_at": models.MicrosOf(models.TransactionNow(tx))})
	if err != nil {
		return before, fmt.Errorf("revoke API key %s: %w", id, err)
	}
	return before, nil
}

func updateAPIKey(ctx context.Context, tx *gorm.DB, key APIKey, columns map[string]any) error {
	return tx.WithContext(ctx).Model(&APIKey{}).Where("org_id = ? AND id = ?", key.OrgID, key.ID).Updates(columns).Error
}

// APIKeys lists an organization's keys, newest first: those that can be used and those that have
// expired. Revoked ones are gone.
func (s *Store) APIKeys(ctx context.Context, orgID int64) ([]APIKey, error) {
	var keys []APIKey
	err := apiKeysOf(s.store.Reader(ctx), orgID).Order("created_at DESC, id").Find(&keys).Error
	if err != nil {
		return nil, fmt.Errorf("list the API keys of organization %d: %w", orgID, err)
	}
	return keys, nil
}

// APIKey finds one of the keys that APIKeys lists, or ErrNotFound.
func (s *Store) APIKey(ctx context.Context, orgID int64, id string) (APIKey, error) {
	return findAPIKey(apiKeysOf(s.store.Reader(ctx), orgID).Where("id = ?", id))
}

// APIKeyName returns what a key is called, also once it is revoked; "" where the organization never had it.
func (s *Store) APIKeyName(ctx context.Context, orgID int64, id string) (string, error) {
	key, err := findAPIKey(s.store.Reader(ctx).Where("org_id = ? AND id = ?", orgID, id))
	if errors.Is(err, models.ErrNotFound) {
		err = nil
	}
	return key.Name, err
}

// APIKeyByToken finds the key a program shows and the organization it belongs to, which may be
// closed: the key does nothing any more then. ErrNotFound means that there is no such key, or that it
// was revoked or has expired.
func (s *Store) APIKeyByToken(ctx context.Context, token string) (APIKey, models.Organization, error) {
	key, err := findAPIKey(s.store.Reader(ctx).Where("token_hash = ? AND revoked_at = 0", hashToken(token)))
	if err == nil && key.Expired(s.store.Now()) {
		err = fmt.Errorf("API key %s: %w", key.ID, models.ErrNotFound)
	}
	if err != nil {
		return APIKey{}, models.Organization{}, err
	}
	var org models.Organization
	if err := s.store.Reader(ctx).Where("id = ?", key.OrgID).Take(&org).Error; err != nil {
		return APIKey{}, models.Organization{}, fmt.Errorf("find the organization of API key %s: %w", key.ID, err)
	}
	return key, org.InForce(s.store.Now()), nil
}

// NoteAPIKeyUse remembers that the key, as APIKeyByToken answered it, was used now. It writes at
// most once a minute per key, whatever the number of requests.
func (s *Store) NoteAPIKeyUse(ctx context.Context, key APIKey) error {
	now := s.store.Now()
	lately := models.MicrosOf(now.Add(-apiKeyUseNoted))
	if key.LastUsedAt > lately {
		return nil
	}
	err := s.store.Writer(ctx).Model(&APIKey{}).
		Where("org_id = ? AND id = ? AND last_used_at <= ?", key.OrgID, key.ID, lately).
		Update("last_used_at", models.MicrosOf(now)).Error
	if err != nil {
		return fmt.Errorf("note the use of API key %s: %w", key.ID, err)
	}
	return nil
}

func apiKeysOf(db *gorm.DB, orgID int64) *gorm.DB {
	return db.Model(&APIKey{}).Where("org_id = ? AND revoked_at = 0", orgID)
}

func findAPIKey(query *gorm.DB) (APIKey, error) {
	var key APIKey
	// Not Take: programs show wrong keys, and GORM would write an error to the log for each.
	found := query.Limit(1).Find(&key)
	if found.Error != nil {
		return APIKey{}, fmt.Errorf("find API key: %w", found.Error)
	}
	if found.RowsAffected == 0 {
		return APIKey{}, fmt.Errorf("API key: %w", models.ErrNotFound)
	}
	return key, nil
}
