package entries

import "github.com/auditlogs/auditlogs/models"

// Log answers questions about the entries of a log.
type Log struct {
	*models.Store
	dialect dialect
	effort  searchEffort
	bound   workBound
}

// NewLog asks the database that store keeps the log in.
func NewLog(store *models.Store) *Log {
	r := &Log{Store: store, dialect: postgres{}, effort: usualEffort, bound: usualBound}
	if store.Dialect() == "sqlite" {
		r.dialect = sqlite{}
	}
	r.effort.look = r.dialect.look()
	return r
}

// condition is a part of a statement, and the values of its placeholders.
type dialect interface {
	idAmong(ids []models.EntryID) condition
	// streamsSQL asks for the groups and IDs of the first entries of some streams of a query, in its
	// order, as grp and hit_id, and for more columns, which begin with a comma.
	streamsSQL(q streamQuery, streams []stream, limit int, more string) condition
	// entriesAt asks for the entries of such IDs, with ends.
	entriesAt(q streamQuery, ids condition) condition
	// endsFirst says that a scan is quicker when it is known before where it ends.
	endsFirst() bool
	// look is how many entries are looked through at least where hardly any of those read before matched.
	look() int
	// forLike is a column as it is compared with a pattern in lower case, whatever the case of its own ASCII
	// letters.
	forLike(column string) string
	// entitiesContaining is the table of an organization's entities whose ID or name contains every
	// word, from FROM to the beginning of a WHERE that more conditions can be added to.
	// Where it has few entities they may be compared one by one.
	entitiesContaining(orgID int64, words []string, few int) condition
}
