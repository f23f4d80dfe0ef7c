// Package models holds the rows of the audit log and the questions asked of them. What differs
// between the databases is in sqlite.go and postgres.go. It knows no database driver and nothing
// of HTTP.
package models

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"time"

	"gorm.io/gorm"
)

// Store answers questions about the rows. Its methods take the pool that suits them; functions
// that change rows take the caller's transaction instead.
type Store struct {
	write, read, log *gorm.DB
	copies           bool // log reads from copies of the database
	dialect          dialect
	now              func() time.Time
}

// NewStore reads from read and writes to write, which may be the same pool. log, where it is not nil,
// reads the log from copies of the database. now is the clock that retention is measured by; nil
// means time.Now. Transactions of the store carry the same clock, for functions that have only the
// transaction.
func NewStore(write, read, log *gorm.DB, now func() time.Time) (*Store, error) {
	d, err := dialectOf(write)
	if err != nil {
		return nil, err
	}
	if now == nil {
		now = time.Now
	}
	s := &Store{write: WithClock(write, now), read: WithClock(read, now), dialect: d, now: now}
	s.log = s.read
	if log != nil {
		s.log, s.copies = WithClock(log, now), true
	}
	return s, nil
}

// Now is the store's clock, in UTC.
func (s *Store) Now() time.Time { return s.now().UTC() }

// Dialect is "sqlite" or "postgres".
func (s *Store) Dialect() string { return s.dialect.name() }

// Transaction runs fn in one transaction on the writing pool: all that fn did is kept when it
// returns nil and nothing otherwise. Where the database gives it up for another one, fn is called again:
// whatever it leaves outside of tx must be as if it had been called once.
func (s *Store) Transaction(ctx context.Context, fn func(tx *gorm.DB) error) error {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		err := s.write.WithContext(ctx).Transaction(fn, s.dialect.isolation()...)
		if err == nil {
			noteWriting(ctx)
		}
		if !givenUp(err) || attempt == attempts {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(rand.N(pause)): // so that the same two do not meet again
		}
		pause *= 2
	}
}

const (
	// attempts is how often a transaction is tried that the database gives up for another one.
	attempts = 5
	// firstPause is the longest before the second attempt; before each further one it is twice as long.
	firstPause = 20 * time.Millisecond
)

// Writer is the pool for single statements that change rows.
func (s *Store) Writer(ctx context.Context) *gorm.DB { return s.write.WithContext(ctx) }

// Reader is the pool for questions about anything but the log: it sees what was committed before.
func (s *Store) Reader(ctx context.Context) *gorm.DB { return s.read.WithContext(ctx) }

// Snapshot runs fn on the pool of Reader, where all that it asks is answered of one state of the database.
func (s *Store) Snapshot(ctx context.Context, fn func(db *gorm.DB) error) error {
	return s.read.WithContext(ctx).Transaction(fn, s.dialect.snapshot()...)
}

// LogReader is the pool for questions about entries, and the entities and actors they name. Copies
// of the database may answer them, which follow a moment behind: see Visit.
func (s *Store) LogReader(ctx context.Context) *gorm.DB { return s.log.WithContext(ctx) }

// LeaveCopies has the primary answer the rest of the visit, and reports whether that is new.
func (s *Store) LeaveCopies(ctx context.Context) bool { return s.copies && VisitOf(ctx).LeaveCopies() }

// condition is a part of a statement, and the values of its placeholders.
type condition struct {
	sql  string
	args []any
}

// dialect is what differs between the databases.
type dialect interface {
	name() string
	// rebind turns the ? of a statement into the database's own placeholders.
	rebind(sql string) string
	// greatest is the SQL function that returns the greatest of its values.
	greatest() string
	// apart is the SQL condition that statements about several organizations are several statements.
	apart() string
	// isolation is the level that the transactions of a Store ask for, whatever the database's default is.
	isolation() []*sql.TxOptions
	// snapshot is the level of transactions that read one state of the database.
	snapshot() []*sql.TxOptions
	// insertEntry stores one entry, if the organization's state allows it.
	insertEntry(ctx context.Context, h Handle, ref OrganizationRef, row entryRow, evenWhenOff bool) (InsertResult, error)
	// beginWriting makes sure that the transaction may write before it reads.
	beginWriting(ctx context.Context, run Statements) error
	// insertBatch stores entries, whatever the states of their organizations.
	insertBatch(ctx context.Context, run Statements, batch *entryBatch) error
	// claimKeys stores event keys that are new, or were and have expired, and returns which.
	claimKeys(ctx context.Context, run Statements, keys []claimedKey) (fresh map[keyID]bool, err error)
	// textAmong is the condition that a column is one of values, of which there is at least one.
	textAmong(column string, values []string) condition
	// idAmong is the condition that an entry's ID is one of ids, of which there is at least one and at
	// most a few hundred.
	idAmong(ids []EntryID) condition
	// moments is a table of that name: the first ID of each moment, and that of the next moment.
	moments(moments []Micros) condition
	// markAmong is the condition that the mark of an entry e is that of one of entries, of which there is at least one.
	markAmong(entries []*Entry) condition
	// lockHistory waits for other transactions that have called it for the organization and not ended.
	lockHistory(ctx context.Context, run Statements, orgID int64) error
	// keyAmong is the condition that an event key's hash is that of one of keys, as many as for idAmong.
	keyAmong(keys []claimedKey) condition
	// someOf is the condition that a row is one of those a query of its table finds, which begins after
	// "SELECT … FROM" and names the organization @org: by where they lie, so that none is looked for a second time.
	someOf(query string) string
	// deleteOldest deletes the oldest of the entries that are left, at most or about limit, together with
	// the note in the clean-up, and brings e forward, but not on an error.
	deleteOldest(ctx context.Context, e *ExpiredEntries, limit int) (deleted int, err error)
}

func dialectOf(db *gorm.DB) (dialect, error) { return dialectNamed(db.Dialector.Name()) }

func dialectNamed(name string) (dialect, error) {
	switch name {
	case "sqlite":
		return sqlite{}, nil
	case "postgres":
		return postgres{}, nil
	default:
		return nil, errDialect(name)
	}
}

func errDialect(name string) error {
	return fmt.Errorf("audit log: database %q is not supported (sqlite and postgres are)", name)
}
