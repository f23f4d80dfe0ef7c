package entries

import "github.com/auditlogs/auditlogs/models"

// Log answers questions about the entries of organizations' logs.
type Log struct {
	*models.Store
	merge  merger
	finder finder
	Limits Limits
}

// NewLog asks the database that store keeps the log in.
func NewLog(store *models.Store) *Log {
	l := &Log{Store: store, merge: postgres{}, finder: postgres{}, Limits: usual}
	if store.Dialect() == "sqlite" {
		l.merge, l.finder = sqlite{}, sqlite{}
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
	Resources  int // matching resources whose entries are read one by one
	Gathered   int // entries that are sorted together, where the order is not that of time
}

var usual = Limits{Runs: 3000, Rows: 50_000, FirstLook: 250, Worthwhile: 20_000, Resources: 2000, Gathered: 10_000}
