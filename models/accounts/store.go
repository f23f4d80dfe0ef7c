// Package accounts holds who may use the web app and how they come in: users and their passwords'
// hashes, memberships, views, sessions, invitations, reset links, API keys and connections to GitHub. A
// program that only records compiles none of it.
package accounts

import "github.com/auditlogs/auditlogs/models"

// Store answers questions about accounts. Functions that change them take the caller's transaction
// instead.
type Store struct{ store *models.Store }

// NewStore asks the database of store, by its clock.
func NewStore(store *models.Store) *Store { return &Store{store} }
