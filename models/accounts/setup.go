package accounts

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/auditlogs/auditlogs/models"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// ErrSetupToken refuses a setup token that no server printed.
var ErrSetupToken = fault.Newf("token", fault.Invalid, "This is not the token the server printed on its console.")

// SetupToken guards the creation of the first account. Each server that starts without users may
// print one of its own; any of them works, and all end with the first account.
type SetupToken struct {
	TokenHash TokenHash
	CreatedAt models.Micros
}

func (SetupToken) TableName() string { return "audit_setup_tokens" }

// CreateSetupToken makes a token for the console, or returns an empty one where setup is over.
func CreateSetupToken(ctx context.Context, tx *gorm.DB) (token string, err error) {
	over, err := anyUser(tx.WithContext(ctx))
	if err != nil || over {
		return "", err
	}
	token, hash := newToken()
	err = tx.WithContext(ctx).Create(&SetupToken{TokenHash: hash, CreatedAt: models.MicrosOf(models.TransactionNow(tx))}).Error
	if err != nil {
		return "", fmt.Errorf("create a setup token: %w", err)
	}
	return token, nil
}

// IsSetupToken reports whether a server printed token and setup is not over. It takes no lock: see
// UseSetupToken for what decides.
func (s *Store) IsSetupToken(ctx context.Context, token string) (bool, error) {
	var count int64
	err := s.store.Reader(ctx).Model(&SetupToken{}).Where("token_hash = ?", hashToken(token)).Count(&count).Error
	if err != nil {
		return false, fmt.Errorf("look for a setup token: %w", err)
	}
	return count > 0, nil
}

// UseSetupToken ends setup: the caller creates the first account in the same transaction. Of two at
// once one waits, and finds that setup is over.
//
// Errors: ErrNotFound where there is a user already, ErrSetupToken.
func UseSetupToken(ctx context.Context, tx *gorm.DB, token string) error {
	var tokens []SetupToken
	// The rows are the lock, taken in the same order by everyone.
	err := tx.WithContext(ctx).Clauses(clause.Locking{Strength: "UPDATE"}).Order("token_hash").Find(&tokens).Error
	if err != nil {
		return fmt.Errorf("read the setup tokens: %w", err)
	}
	over, err := anyUser(tx.WithContext(ctx))
	if err != nil {
		return err
	}
	if over {
		return fmt.Errorf("setup: %w", models.ErrNotFound)
	}
	hash := hashToken(token)
	if !slices.ContainsFunc(tokens, func(t SetupToken) bool { return bytes.Equal(t.TokenHash, hash) }) {
		return ErrSetupToken
	}
	if err := tx.WithContext(ctx).Where("token_hash IS NOT NULL").Delete(&SetupToken{}).Error; err != nil {
		return fmt.Errorf("end the setup tokens: %w", err)
	}
	return nil
}
