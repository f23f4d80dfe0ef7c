package models

import "context"

// Sort is a column the log can be sorted by.
type Sort string

const (
	SortTimestamp  Sort = "timestamp"
	SortAction     Sort = "action"
	SortEntityType Sort = "entity_type"
	SortUser       Sort = "user"
)

// EntryQuery is a question to the log. Zero values do not restrict. Entries that have expired are
// never part of an answer.
type EntryQuery struct {
	Actions    []string // any of these
	Actors     []string // any of these actor IDs
	EntityType string
	EntityID   string // with EntityType: the history of one resource
	Search     string // words that must all match; see product rules on Search
	From, To   Micros // From <= occurred < To

	// Sort orders by a column; within one value entries are newest first in both directions. Empty
	// means SortTimestamp.
	Sort Sort
	// Ascending turns the order of the column round. The default of SortTimestamp (false) is newest
	// first; of the others (false) is Z to A.
	Ascending bool

	Cursor *Cursor // where the page begins; nil for the first
	Limit  int     // entries a page
}

// Cursor is a place between two entries of an order: the entry it names and the side of it.
type Cursor struct {
	Before bool    // the page that ends before the entry, instead of the one that begins after it
	Value  string  // the entry's value in the sorted column; empty for SortTimestamp
	ID     EntryID // the entry
}

// EntryPage is a page of the log, without metadata.
type EntryPage struct {
	Entries  []Entry
	Next     *Cursor // the following page, or nil at the end
	Previous *Cursor // the preceding page, or nil at the beginning
}

// Kind is a pair of entity type and action that the organization's log holds.
type Kind struct {
	EntityType string
	Action     string
}

// Actor is somebody the log names.
type Actor struct {
	ID, Name, Email string
}

// Entries answers q with one page. It costs about the same wherever the page lies.
func (s *Store) Entries(ctx context.Context, org Organization, q EntryQuery) (EntryPage, error) {
	panic("soon")
}

// EachEntry hands every entry that answers q to fn, in order, metadata included, a few hundred at
// a time; memory does not grow with the answer. It stops at the first error.
func (s *Store) EachEntry(ctx context.Context, org Organization, q EntryQuery, fn func([]Entry) error) error {
	panic("soon")
}

// Entry finds one entry with its metadata, or ErrNotFound (expired and foreign ones included).
func (s *Store) Entry(ctx context.Context, org Organization, id EntryID) (Entry, error) {
	panic("soon")
}

// Kinds lists what the organization's log holds, by entity type, then action.
func (s *Store) Kinds(ctx context.Context, org Organization) ([]Kind, error) { panic("soon") }

// LatestActors lists those who acted last, latest first, system included.
func (s *Store) LatestActors(ctx context.Context, org Organization, limit int) ([]Actor, error) {
	panic("soon")
}

// FindActors lists actors whose name, e-mail or ID contains text, ignoring case, by name.
func (s *Store) FindActors(ctx context.Context, org Organization, text string, limit int) ([]Actor, error) {
	panic("soon")
}

// ActorsByID finds the latest name and e-mail of actors. IDs nobody ever recorded are left out.
func (s *Store) ActorsByID(ctx context.Context, org Organization, ids []string) ([]Actor, error) {
	panic("soon")
}

// CountEntriesBefore counts the visible entries that occurred before t, up to atMost.
func (s *Store) CountEntriesBefore(ctx context.Context, org Organization, t Micros, atMost int) (int, error) {
	panic("soon")
}
