package apptest

import (
	"testing"

	"github.com/alexedwards/argon2id"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// Password is that of every account Member makes.
const Password = "correct horse battery"

// Organization makes an organization of that slug, as an application would.
func (s *Server) Organization(t testing.TB, slug string) models.Organization {
	t.Helper()
	ctx := t.Context()
	err := s.Store.Transaction(ctx, func(tx *gorm.DB) error {
		_, err := audit.EnsureOrganization(ctx, tx, audit.Organization{Slug: slug, Name: slug})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return logtest.FindOrganization(t, s.Store, slug)
}

// Member makes an account, with Password, that has a role in organizations.
func (s *Server) Member(t testing.TB, email string, role accounts.Role, organizations ...models.Organization) accounts.User {
	t.Helper()
	ctx := t.Context()
	hash := PasswordHash(t, Password)
	var user accounts.User
	err := s.Store.Transaction(ctx, func(tx *gorm.DB) error {
		var err error
		if user, err = accounts.CreateUser(ctx, tx, email, email, hash); err != nil {
			return err
		}
		for _, org := range organizations {
			if err := accounts.AddMember(ctx, tx, org.ID, user.ID, role); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return user
}

// CheapPasswords cost next to nothing to hash and to check. Real ones are slow on purpose, and would be most of
// the time that tests take.
var CheapPasswords = &argon2id.Params{Memory: 8, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// PasswordHash returns what is stored of a password that is cheap to check.
func PasswordHash(t testing.TB, password string) string {
	t.Helper()
	hash, err := argon2id.CreateHash(password, CheapPasswords)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// As is a client signed in with an account Member made.
func (s *Server) As(t testing.TB, user accounts.User) *Client {
	t.Helper()
	client := s.Client(t)
	client.SignIn(user.Email, Password)
	return client
}

// Key makes an API key of org and returns what a program shows.
func (s *Server) Key(t testing.TB, org models.Organization, scope accounts.KeyScope) (token string) {
	t.Helper()
	err := s.Store.Transaction(t.Context(), func(tx *gorm.DB) (err error) {
		_, token, err = accounts.CreateAPIKey(t.Context(), tx, org.ID, "The "+string(scope)+" key", scope, "usr_1", 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}
