package entries

import (
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/models"
)

// Sort is a column the log can be sorted by.
type Sort string

const (
	SortTimestamp  Sort = "timestamp"
	SortAction     Sort = "action"
	SortEntityType Sort = "entity_type"
	SortUser       Sort = "user"
)

// sortedColumn is the column of the entries that a sort other than that of time goes by.
var sortedColumn = map[Sort]string{SortAction: "action", SortEntityType: "entity_type", SortUser: "actor_key"}

// Query is a question to the log. Zero values do not restrict. Entries that have expired are
// never part of an answer.
type Query struct {
	Actions    []string        // any of these, or native actions; of an entity and AnyVerb all actions of the entity
	Actors     []string        // what any of these did, by ID, or others on their behalf
	Outcomes   []event.Outcome // any of these
	EntityType string
	EntityID   string // with EntityType: the history of one resource, which it may be related to
	IP         string
	RequestID  string
	APIKey     string // the ID of the key the event was sent with
	Source     string
	Search     string        // words that must all match, each in the ID or the name of one of its resources, the action or the native action
	From, To   models.Micros // From <= occurred < To
	Terms      []Term        // all of which must hold

	// Sort orders by a column; within one value entries are newest first in both directions. Empty
	// means SortTimestamp.
	Sort Sort
	// Ascending turns the order of the column round. The default of SortTimestamp (false) is newest
	// first; of the others (false) is Z to A.
	Ascending bool

	Cursor *Cursor // where the page begins; nil for the first
	Limit  int     // entries a page

	// Also is what is read of each entry besides what a list shows: FieldIP, FieldRequest, FieldMetadata.
	Also []Field

	// Kinds is what Log.Kinds answered for the same page; where it is nil and the answer takes them,
	// they are asked for.
	Kinds []Kind
}

// AnyVerb stands behind an entity for all its actions: "deployment:*".
const AnyVerb = ":*"

// Cursor is a place between two entries of an order: the entry it names and the side of it.
type Cursor struct {
	Before bool           // the page that ends before the entry, instead of the one that begins after it
	Value  string         // the entry's value in the sorted column; empty for SortTimestamp
	ID     models.EntryID // the entry; zero for the end of all entries with that value
}

// value is the entry's value in the sorted column.
func (sort Sort) value(e *models.Entry) string {
	switch sort {
	case SortAction:
		return e.Action
	case SortEntityType:
		return e.EntityType
	case SortUser:
		return e.ActorKey
	default:
		return ""
	}
}

// CursorAfter is the place behind e in the order of sort.
func CursorAfter(sort Sort, e *models.Entry) *Cursor { return &Cursor{Value: sort.value(e), ID: e.ID} }

// CursorBefore is the place ahead of e in the order of sort.
func CursorBefore(sort Sort, e *models.Entry) *Cursor {
	return &Cursor{Before: true, Value: sort.value(e), ID: e.ID}
}

// Page is a page of the log: of each entry what a list shows.
type Page struct {
	Entries  []models.Entry
	Next     *Cursor        // the following page, or nil at the end
	Previous *Cursor        // the preceding page, or nil at the beginning
	Ahead    models.EntryID // the last entry of the preceding page

	// Looked is how far was looked where that was not far enough: the page ends there, perhaps empty, because
	// more takes longer than one page may. Next goes on from there, or Previous where the query's cursor led
	// back. nil where the page is whole.
	Looked *Cursor
}

// groupsAscend reports in which order the values of the sorted column are read: that of the sort, turned
// round for a page that ends at its cursor.
func (q Query) groupsAscend() bool { return q.Ascending != q.backward() }

// newestFirst reports in which order the entries of one value are read.
func (q Query) newestFirst() bool {
	if q.Sort == SortTimestamp {
		return q.Ascending == q.backward()
	}
	return !q.backward()
}

func (q Query) backward() bool { return q.Cursor != nil && q.Cursor.Before }

func (q Query) withDefaults() Query {
	if q.Sort == "" {
		q.Sort = SortTimestamp
	}
	if q.Limit <= 0 {
		q.Limit = 50
	}
	return q
}
