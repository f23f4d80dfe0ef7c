package accounts

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"

	"github.com/auditlogs/auditlogs/models"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// Role is what somebody may do in an organization: a member reads the log, an auditor also what tells of those who
// read and set, and an admin sets as well.
type Role string

const (
	RoleMember  Role = "member"
	RoleAuditor Role = "auditor"
	RoleAdmin   Role = "admin"
)

// Roles are all roles, in the order in which they may more.
var Roles = []Role{RoleMember, RoleAuditor, RoleAdmin}

// ChooseRole says what a value that is no role should have been.
const ChooseRole = "Choose member, auditor or admin."

// Valid reports whether the role is one of Roles.
func (r Role) Valid() bool { return slices.Contains(Roles, r) }

// Oversees reports whether the role reads everything: the settings history and the access log, too.
func (r Role) Oversees() bool { return r == RoleAuditor || r == RoleAdmin }

// Label is the role as it stands in a list: "Admin".
func (r Role) Label() string {
	return strings.ToUpper(string(r[:min(len(r), 1)])) + string(r[min(len(r), 1):])
}

// WithArticle is the role as a sentence needs it: "an admin", "a member".
func (r Role) WithArticle() string {
	if r == RoleMember {
		return "a " + string(r)
	}
	return "an " + string(r)
}

// MaxEmailLength is the longest address of an account, in bytes: what fits the name of an entry, too.
const MaxEmailLength = 200

// User is an account of this web app. Actors of the log need none.
type User struct {
	ID           string // "usr_" and 26 random letters and digits; the actor ID of what the user does here
	Email        string
	EmailKey     string // Email folded: one account an address
	Name         string
	PasswordHash string // argon2id, PHC string format
	LastOrgID    int64  // the organization last looked at; zero for none
	CreatedAt    models.Micros
}

func (User) TableName() string { return "audit_users" }

// CheckEmail returns a *fault.Field where email is not one plain address.
func CheckEmail(email string) error {
	address, err := mail.ParseAddress(email)
	if err != nil || address.Address != email || len(email) > MaxEmailLength || strings.ContainsFunc(email, models.Invisible) {
		return fault.Newf("email", fault.Invalid, "Enter an e-mail address, such as ada@example.com.")
	}
	return nil
}

// CreateUser adds an account. passwordHash comes from HashPassword, called before the transaction.
//
// Errors: *fault.Field for a name or address that breaks the rules, ErrTaken where the address has
// an account already, whatever its case. Both leave tx usable.
func CreateUser(ctx context.Context, tx *gorm.DB, name, email, passwordHash string) (User, error) {
	name, email = strings.TrimSpace(name), strings.TrimSpace(email)
	if err := models.CheckName(name); err != nil {
		return User{}, err
	}
	if err := CheckEmail(email); err != nil {
		return User{}, err
	}
	user := User{
		ID:           "usr_" + strings.ToLower(rand.Text()),
		Email:        email,
		EmailKey:     models.Fold(email),
		Name:         name,
		PasswordHash: passwordHash,
		CreatedAt:    models.MicrosOf(models.TransactionNow(tx)),
	}
	created := tx.WithContext(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&user)
	if created.Error != nil {
		return User{}, fmt.Errorf("create user: %w", created.Error)
	}
	if created.RowsAffected == 0 {
		return User{}, fmt.Errorf("create user %s: %w", email, models.ErrTaken)
	}
	return user, nil
}

// MaxOrganizationsMade is how many organizations one person makes at most, deleted ones included: their
// slugs are never given away again.
const MaxOrganizationsMade = 50

// NoteOrganizationMade counts an organization that a user makes in tx, or returns a
// *fault.Field of the field "name" where they have made MaxOrganizationsMade.
func NoteOrganizationMade(ctx context.Context, tx *gorm.DB, userID string) error {
	counted := tx.WithContext(ctx).Model(&User{}).
		Where("id = ? AND organizations_made < ?", userID, MaxOrganizationsMade).
		Update("organizations_made", gorm.Expr("organizations_made + 1"))
	if counted.Error != nil {
		return fmt.Errorf("count the organizations %s made: %w", userID, counted.Error)
	}
	if counted.RowsAffected == 0 {
		return fault.Newf("name", fault.LimitReached, "You have made %d organizations, deleted ones included, and cannot make more. Somebody else can make one and invite you.", MaxOrganizationsMade)
	}
	return nil
}

// ChangePassword stores the hash of a new password (from HashPassword, called before the transaction)
// for a user whose password was just checked, and ends every session and link of the account. It
// returns the user as they are then. ErrNotFound means that the password was changed meanwhile.
func ChangePassword(ctx context.Context, tx *gorm.DB, user User, passwordHash string) (User, error) {
	changed := tx.WithContext(ctx).Model(&User{}).
		Where("id = ? AND password_hash = ?", user.ID, user.PasswordHash).Update("password_hash", passwordHash)
	if changed.Error != nil {
		return user, fmt.Errorf("store the password of %s: %w", user.ID, changed.Error)
	}
	if changed.RowsAffected == 0 {
		return user, fmt.Errorf("change the password of %s: %w", user.ID, models.ErrNotFound)
	}
	user.PasswordHash = passwordHash
	return user, endWaysIn(ctx, tx, user.ID)
}

// SetLastOrganization remembers where the user looked last: where `/` leads next time.
func SetLastOrganization(ctx context.Context, tx *gorm.DB, userID string, orgID int64) error {
	err := tx.WithContext(ctx).Model(&User{}).Where("id = ?", userID).Update("last_org_id", orgID).Error
	if err != nil {
		return fmt.Errorf("remember the last organization of %s: %w", userID, err)
	}
	return nil
}

// UserByID finds an account, or ErrNotFound.
func (s *Store) UserByID(ctx context.Context, id string) (User, error) {
	return s.findUser(ctx, "id = ?", id)
}

// UserByEmail finds the account of an address, whatever its case, or ErrNotFound.
func (s *Store) UserByEmail(ctx context.Context, email string) (User, error) {
	return s.findUser(ctx, "email_key = ?", models.Fold(strings.TrimSpace(email)))
}

func (s *Store) findUser(ctx context.Context, condition, value string) (User, error) {
	var user User
	err := s.store.Reader(ctx).Where(condition, value).Take(&user).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return user, fmt.Errorf("user: %w", models.ErrNotFound)
	}
	if err != nil {
		return user, fmt.Errorf("find user: %w", err)
	}
	return user, nil
}

// AnyUser reports whether the first account exists: setup is over.
func (s *Store) AnyUser(ctx context.Context) (bool, error) {
	return anyUser(s.store.Reader(ctx))
}

func anyUser(db *gorm.DB) (bool, error) {
	var found []string
	if err := db.Model(&User{}).Limit(1).Pluck("id", &found).Error; err != nil {
		return false, fmt.Errorf("look for users: %w", err)
	}
	return len(found) > 0, nil
}
