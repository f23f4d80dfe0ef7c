package accounts

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/auditlogs/auditlogs/models"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// GitHubConnection is where GitHub's webhooks for an organization arrive: at most one each.
type GitHubConnection struct {
	ID             string // "ghc_" and 26 random letters and digits; part of the webhook's address
	OrgID          int64
	Secret         []byte // what GitHub signs with, encrypted for SecretPurpose
	CreatedBy      string // user ID
	CreatedAt      models.Micros
	SecretSince    models.Micros `gorm:"column:updated_at"`
	LastDeliveryAt models.Micros // zero: none yet
	LastDelivery   string        // what it was, such as "deployment"
}

func (GitHubConnection) TableName() string { return "audit_github_connections" }

// SecretPurpose is what the connection's secret is encrypted for.
func (c GitHubConnection) SecretPurpose() string { return "github-webhook:" + c.ID }

// NewGitHubSecret makes what GitHub signs its webhooks with: 43 letters, digits, '-' and '_'.
func NewGitHubSecret() string {
	secret, _ := newToken()
	return secret
}

// ConnectGitHub makes the organization's connection. seal encrypts its secret, once the purpose is
// known. Of two calls at once the second waits for the first.
//
// Errors: ErrTaken where there is a connection already, ErrClosed and ErrNotFound for the
// organization. All leave tx usable.
func ConnectGitHub(ctx context.Context, tx *gorm.DB, orgID int64, createdBy string, seal func(purpose string) []byte) (GitHubConnection, error) {
	if _, err := models.LockOrganization(ctx, tx, orgID); err != nil {
		return GitHubConnection{}, err
	}
	now := models.MicrosOf(models.TransactionNow(tx))
	connection := GitHubConnection{
		ID: "ghc_" + strings.ToLower(rand.Text()), OrgID: orgID, CreatedBy: createdBy, CreatedAt: now, SecretSince: now,
	}
	connection.Secret = seal(connection.SecretPurpose())
	created := tx.WithContext(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&connection)
	if created.Error != nil {
		return GitHubConnection{}, fmt.Errorf("connect organization %d to GitHub: %w", orgID, created.Error)
	}
	if created.RowsAffected == 0 {
		return GitHubConnection{}, fmt.Errorf("connect organization %d to GitHub: %w", orgID, models.ErrTaken)
	}
	return connection, nil
}

// ReplaceGitHubSecret gives the organization's connection another secret; what is signed with the
// one before is refused from then on. Errors: ErrNotFound, ErrClosed.
func ReplaceGitHubSecret(ctx context.Context, tx *gorm.DB, orgID int64, seal func(purpose string) []byte) (GitHubConnection, error) {
	connection, err := LockGitHub(ctx, tx, orgID)
	if err != nil {
		return connection, err
	}
	connection.Secret, connection.SecretSince = seal(connection.SecretPurpose()), models.MicrosOf(models.TransactionNow(tx))
	err = tx.WithContext(ctx).Model(&GitHubConnection{}).Where("org_id = ?", orgID).
		Updates(map[string]any{"secret": connection.Secret, "updated_at": connection.SecretSince}).Error
	if err != nil {
		return connection, fmt.Errorf("replace the secret of %s: %w", connection.ID, err)
	}
	return connection, nil
}

// DisconnectGitHub ends the organization's connection and forgets its secret. It returns the
// connection that was. Errors: ErrNotFound, ErrClosed.
func DisconnectGitHub(ctx context.Context, tx *gorm.DB, orgID int64) (GitHubConnection, error) {
	connection, err := LockGitHub(ctx, tx, orgID)
	if err != nil {
		return connection, err
	}
	return connection, forgetGitHub(ctx, tx, orgID)
}

// forgetGitHub removes the connection of an organization, if there is one.
func forgetGitHub(ctx context.Context, tx *gorm.DB, orgID int64) error {
	if err := tx.WithContext(ctx).Where("org_id = ?", orgID).Delete(&GitHubConnection{}).Error; err != nil {
		return fmt.Errorf("forget the GitHub connection of organization %d: %w", orgID, err)
	}
	return nil
}

// LockGitHub reads the organization's connection under the organization's lock, as LockOrganization does.
// Errors: ErrNotFound where there is none, and those of LockOrganization.
func LockGitHub(ctx context.Context, tx *gorm.DB, orgID int64) (GitHubConnection, error) {
	if _, err := models.LockOrganization(ctx, tx, orgID); err != nil {
		return GitHubConnection{}, err
	}
	return takeGitHub(tx.WithContext(ctx).Where("org_id = ?", orgID))
}

// GitHubConnection finds the connection of an organization, or ErrNotFound.
func (s *Store) GitHubConnection(ctx context.Context, orgID int64) (GitHubConnection, error) {
	return takeGitHub(s.store.Reader(ctx).Where("org_id = ?", orgID))
}

// GitHubConnectionByID finds a connection and its organization: ErrNotFound where there is none, or
// the organization is closed.
func (s *Store) GitHubConnectionByID(ctx context.Context, id string) (GitHubConnection, models.Organization, error) {
	connection, err := takeGitHub(s.store.Reader(ctx).Where("id = ?", id))
	if err != nil {
		return connection, models.Organization{}, err
	}
	var org models.Organization
	err = s.store.Reader(ctx).Where("id = ? AND closed_at = 0", connection.OrgID).Take(&org).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return connection, org, fmt.Errorf("organization %d: %w", connection.OrgID, models.ErrNotFound)
	}
	if err != nil {
		return connection, org, fmt.Errorf("find the organization of %s: %w", id, err)
	}
	return connection, org.InForce(s.store.Now()), nil
}

// GitHubConnections lists the connections of all organizations: everything that is encrypted.
func (s *Store) GitHubConnections(ctx context.Context) ([]GitHubConnection, error) {
	var all []GitHubConnection
	if err := s.store.Reader(ctx).Order("id").Find(&all).Error; err != nil {
		return nil, fmt.Errorf("list the GitHub connections: %w", err)
	}
	return all, nil
}

// ResealGitHubSecret stores the same secret encrypted with another key, unless it has changed since
// connection was read.
func ResealGitHubSecret(ctx context.Context, tx *gorm.DB, connection GitHubConnection, sealed []byte) error {
	err := tx.WithContext(ctx).Model(&GitHubConnection{}).Where("id = ? AND secret = ?", connection.ID, connection.Secret).
		Update("secret", sealed).Error
	if err != nil {
		return fmt.Errorf("encrypt the secret of %s again: %w", connection.ID, err)
	}
	return nil
}

func takeGitHub(where *gorm.DB) (GitHubConnection, error) {
	var connection GitHubConnection
	err := where.Take(&connection).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return connection, fmt.Errorf("GitHub connection: %w", models.ErrNotFound)
	}
	if err != nil {
		return connection, fmt.Errorf("find a GitHub connection: %w", err)
	}
	return connection, nil
}

// NoteGitHubDelivery keeps what a connection received last, for people who look whether it works.
func NoteGitHubDelivery(ctx context.Context, tx *gorm.DB, connectionID, what string) error {
	err := tx.WithContext(ctx).Model(&GitHubConnection{}).Where("id = ?", connectionID).
		Updates(map[string]any{"last_delivery": what, "last_delivery_at": models.MicrosOf(models.TransactionNow(tx))}).Error
	if err != nil {
		return fmt.Errorf("note the last delivery of %s: %w", connectionID, err)
	}
	return nil
}
