package models

import "errors"

var (
	// ErrNotFound says that there is no such row, or none the asker may know of.
	ErrNotFound = errors.New("not found")
	// ErrTaken says that a unique name (a slug, an e-mail address) is in use.
	ErrTaken = errors.New("already taken")
	// ErrLastAdmin says that the change would leave an organization without an admin.
	ErrLastAdmin = errors.New("an organization needs at least one admin")
	// ErrNotAdmin says that the change takes an admin of the organization.
	ErrNotAdmin = errors.New("only an admin may change this")
	// ErrAdminElsewhere says that an account also belongs to an organization whose admin the asker is
	// not: what leads into the account would lead in there, too.
	ErrAdminElsewhere = errors.New("the account belongs to another organization as well")
	// ErrClosed says that the organization has been deleted and can only be read.
	ErrClosed = errors.New("the organization is closed")
)

// InvalidError is a value that a rule of the models refuses.
type InvalidError struct {
	Field  string // as forms name it: "slug", "name", "email", "password", …
	Reason string // a sentence for the person who typed it
}

func (e *InvalidError) Error() string { return e.Field + ": " + e.Reason }
