package models

// Role is what a member of an organization may do: a member reads, an admin also sets.
type Role string

const (
	RoleAdmin  Role = "admin"
	RoleMember Role = "member"
)

// User is an account of this web app. Actors of the log need none.
type User struct {
	ID           string // "usr_" and 26 random letters and digits; the actor ID of what the user does here
	Email        string
	EmailKey     string // Email folded: one account an address
	Name         string
	PasswordHash string // argon2id, PHC string format
	LastOrgID    int64  // the organization last looked at; zero for none
	CreatedAt    Micros
}

func (User) TableName() string { return "audit_users" }

// Membership is a user's place in an organization.
type Membership struct {
	OrgID     int64
	UserID    string
	Role      Role
	CreatedAt Micros
}

func (Membership) TableName() string { return "audit_memberships" }
