package accounts

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/auditlogs/auditlogs/models"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// ErrKeyReused reports that an idempotency key stands for another request.
const ErrKeyReused fault.Code = "idempotency_key_reused"

// IdempotencyKey is the caller's own key of a request: the second request with a key is answered as
// the first was, until the key has expired.
type IdempotencyKey struct {
	OrgID int64
	Hash  [sha256.Size]byte // of the key and of who uses it
	// Fingerprint tells requests apart: one key stands for one request.
	Fingerprint [sha256.Size]byte
}

// Answer is how a request was answered.
type Answer struct {
	Status int
	Body   string
}

// ClaimIdempotencyKey takes key for the request that tx carries out, for as long as keepFor. Where
// an earlier request has taken it, it returns how that one was answered; ErrKeyReused where it was
// another request. Both leave tx usable.
//
// The key is taken once tx commits, and free again when it rolls back. Of two transactions with the
// same key the second waits for the first.
func ClaimIdempotencyKey(ctx context.Context, tx *gorm.DB, key IdempotencyKey, keepFor time.Duration) (earlier *Answer, err error) {
	now := models.TransactionNow(tx)
	claimed := tx.WithContext(ctx).Exec(`
INSERT INTO audit_idempotency_keys (org_id, key_hash, fingerprint, status, answer, expires_at) VALUES (?, ?, ?, 0, '', ?)
ON CONFLICT (org_id, key_hash) DO UPDATE SET
	fingerprint = excluded.fingerprint, status = 0, answer = '', expires_at = excluded.expires_at
	WHERE audit_idempotency_keys.expires_at <= ?`,
		key.OrgID, key.Hash[:], key.Fingerprint[:], models.MicrosOf(now.Add(keepFor)), models.MicrosOf(now))
	if claimed.Error != nil {
		return nil, fmt.Errorf("claim an idempotency key: %w", claimed.Error)
	}
	if claimed.RowsAffected == 1 {
		return nil, nil
	}
	var taken struct {
		Fingerprint []byte
		Answer      `gorm:"embedded"`
	}
	err = tx.WithContext(ctx).Raw("SELECT fingerprint, status, answer AS body FROM audit_idempotency_keys WHERE org_id = ? AND key_hash = ?",
		key.OrgID, key.Hash[:]).Scan(&taken).Error
	if err != nil {
		return nil, fmt.Errorf("read an idempotency key: %w", err)
	}
	if string(taken.Fingerprint) != string(key.Fingerprint[:]) {
		return nil, ErrKeyReused
	}
	return &taken.Answer, nil
}

// KeepAnswer keeps how the request that claimed key in tx is answered.
func KeepAnswer(ctx context.Context, tx *gorm.DB, key IdempotencyKey, answer Answer) error {
	err := tx.WithContext(ctx).Exec("UPDATE audit_idempotency_keys SET status = ?, answer = ? WHERE org_id = ? AND key_hash = ?",
		answer.Status, answer.Body, key.OrgID, key.Hash[:]).Error
	if err != nil {
		return fmt.Errorf("keep the answer of an idempotency key: %w", err)
	}
	return nil
}
