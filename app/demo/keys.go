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

// apiKey is a key with which a program records events, or reads the log, over HTTP.
type apiKey struct {
	id, name string // the ID is known once the key has been made
	scope    accounts.KeyScope
	maker    string    // e-mail
	made     time.Time // to the second
	revoker  string    // e-mail; empty while it can be used
	revoked  time.Time
	used     time.Time // last
	masking  accounts.Masking
	masked   time.Time // when its maker said so
}

func (k *apiKey) entity() entity { return entity{"api_key", k.id, k.name, ""} }

// northwindKeys are the keys of the large organization: the release train records with one, and
// another was revoked the morning after strangers had tried to sign in.
func (w *world) northwindKeys() {
	moment := func(ago, hour, minute, second int) time.Time {
		return w.dayAgo(ago).Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second)
	}
	w.releaseKey = &apiKey{name: "Release pipeline", scope: accounts.ScopeWrite, maker: daniel, made: moment(74, 14, 11, 36),
		masking: accounts.Masking{MaskKeys: "customer_phone"}, masked: moment(73, 9, 40, 12)}
	w.keys = []*apiKey{w.releaseKey,
		{name: "Weekly report", scope: accounts.ScopeRead, maker: olivia, made: moment(43, 17, 3, 8),
			revoker: maya, revoked: moment(5, 7, 4, 52)},
		{name: "Compliance archive", scope: accounts.ScopeRead, maker: maya, made: moment(4, 8, 47, 20)},
	}
}

// theAPIKeys: who made them, who had more masked in what comes with one, and who revoked one.
func (w *world) theAPIKeys() {
	for _, k := range w.keys {
		w.at(k.made, func() {
			w.record(w.as(w.person(k.maker)), action.APIKeyCreate, k.entity(), metadata{"scope": k.scope})
		})
		if k.masking != (accounts.Masking{}) {
			w.at(k.masked, func() {
				w.record(w.as(w.person(k.maker)), action.APIKeyUpdate, k.entity(), metadata{"scope": k.scope,
					"changes": changes{"mask_keys": {Before: []string{}, After: k.masking.MaskKeys.Names()}}, "changed_fields": []string{"mask_keys"}})
			})
		}
		if k.revoker != "" {
			w.at(k.revoked, func() {
				w.record(w.as(w.person(k.revoker)), action.APIKeyRevoke, k.entity(), metadata{"scope": k.scope})
			})
		}
	}
}

// with is a program that records over HTTP with a key, from the day it has been made.
func (w *world) with(k *apiKey, by hand) hand {
	if !w.now.Before(k.made) {
		by.key = k
		by.request = audit.Request{IP: "203.0.113.8", UserAgent: "northwind-release/3.1", ID: w.id("req_", 20)}
	}
	return by
}

// makeKeys makes the keys as the page does. at is tx at a moment.
func (w *world) makeKeys(ctx context.Context, at func(time.Time) *gorm.DB, org models.Organization, userIDs map[string]string) error {
	for _, k := range w.keys {
		key, _, err := accounts.CreateAPIKey(ctx, at(k.made), org.ID, k.name, k.scope, userIDs[k.maker], 0)
		if err != nil {
			return err
		}
		k.id = key.ID
		if k.masking != (accounts.Masking{}) {
			if _, err := accounts.SetMasking(ctx, at(k.masked), org.ID, k.id, k.masking); err != nil {
				return err
			}
		}
		if k.revoker == "" {
			continue
		}
		if _, err := accounts.RevokeAPIKey(ctx, at(k.revoked), org.ID, k.id); err != nil {
			return err
		}
	}
	return nil
}

// noteUses stores when each key was last used.
func (w *world) noteUses(ctx context.Context, tx *gorm.DB) error {
	for _, k := range w.keys {
		err := tx.WithContext(ctx).Model(&accounts.APIKey{}).Where("id = ?", k.id).Update("last_used_at", models.MicrosOf(k.used)).Error
		if err != nil {
			return fmt.Errorf("note the use of the key %s: %w", k.name, err)
		}
	}
	return nil
}
