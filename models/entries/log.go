package entries

import "github.com/auditlogs/auditlogs/models"

// Log answers questions about the entries of organizations' logs.
type Log struct {
	*models.Store
	dialect dialect
	Limits  Limits
}

// dialect is what the databases do in their own ways.
type dialect interface {
	// mergeRuns writes the statement that answers a reading: group, and columns of the entries.
	mergeRuns(r reading, set runSet) condition
	// among writes the statement that answers with columns of those of some entries that fulfil a condition, in no order.
	among(orgID int64, ids []models.EntryID, columns string, where condition) condition
	// cameFrom is the condition that an entry of an organization has a value in a column of the provenance, as
	// the index by days of that column takes it.
	cameFrom(orgID int64, column, value string) condition
	// holding is the table of an organization's entities whose ID or name holds all grams, of which there are some,
	// from FROM to the beginning of a WHERE that more conditions can be added to. It is called found.
	holding(orgID int64, grams []gram) condition
	// asciiLower is a column as LIKE compares it with a pattern in lower case, whatever the case of its own
	// letters of ASCII.
	asciiLower(column string) string
}

// NewLog asks the database that store keeps the log in.
func NewLog(store *models.Store) *Log {
	l := &Log{Store: store, dialect: postgres{}, Limits: usual}
	if store.Dialect() == "sqlite" {
		l.dialect = sqlite{}
	}
	return l
}

// Limits are how far each way to an answer is gone. Tests lower them, whose logs are short.
type Limits struct {
	// What one page may take, so that none takes longer than tens of milliseconds.
	Runs int // of an index that are begun
	Rows int // that are looked through

	// When a search goes another way.
	FirstLook  int // entries that are looked through to begin with
	Worthwhile int // entries that are looked through for a page rather than to seek
	Gathered   int // entries that are sorted together, where the order is not that of time
}

var usual = Limits{Runs: 3000, Rows: 50_000, FirstLook: 250, Worthwhile: 20_000, Gathered: 10_000}
