package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	gormpostgres "gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/models"
)

const (
	// standbyPatience is how long connecting to a standby may take: the primary can be asked instead.
	standbyPatience = 2 * time.Second
	// standbyRest is how long a standby that failed to answer is left alone.
	standbyRest = 2 * time.Second
)

// standbys are the streaming replicas of a PostgreSQL database that the log is read from.
//
// What the store asks through LogReader is led to them. Which of them answers, and that the primary
// does where none can, is decided for each statement (standby_statements.go), by what a goroutine
// finds out about them twice a second (standby_watch.go): a statement never waits for that.
type standbys struct {
	primary  *sql.DB
	identity identity
	all      []*standby
	late     lateness
	log      *slog.Logger

	virtual *sql.DB // asks one of all, or the primary
	gorm    *gorm.DB
	stop    context.CancelFunc
	watched sync.WaitGroup
}

// standby is one of them.
type standby struct {
	postgresServer
	pool     *sql.DB
	found    atomic.Pointer[finding]
	restTill atomic.Int64 // Unix time in ns
}

// finding is what is known of a standby.
type finding struct {
	position models.Position // what it has replayed at least
	problem  string          // why it is not asked; empty: it is
	behind   models.Position // how much of what the primary has it lacks
	late     time.Duration   // how old what it shows is, as far as is known
	reached  time.Time       // when the primary was last where the standby is
}

// Replica is how a replica follows the primary.
type Replica struct {
	Number   int           // its place among the addresses, from 1
	ReadFrom bool          // the log is read from it
	Behind   int64         // bytes of changes that it has not replayed
	Late     time.Duration // how old what it shows is
}

// Replicas returns how those that the log may be read from follow, as they were found last.
func (db *DB) Replicas() (replicas []Replica) {
	if db.standbys == nil {
		return nil
	}
	for i, one := range db.standbys.all {
		found := one.found.Load()
		replicas = append(replicas, Replica{i + 1, found.problem == "", int64(found.behind), found.late})
	}
	return replicas
}

// ReadLogFrom has the log be read from streaming replicas of the database, whose addresses these are.
// The database is PostgreSQL and migrated.
//
// An error says that this cannot be meant. A replica that does not answer, or is none of this
// database, is told to the log, and asked as soon as that has changed.
func (db *DB) ReadLogFrom(ctx context.Context, addresses []string, log *slog.Logger) error {
	if len(addresses) == 0 {
		return nil
	}
	primary, err := db.Read.DB()
	if err != nil {
		return err
	}
	s := &standbys{primary: primary, log: log}
	for i, address := range addresses {
		server, err := parsePostgres(address, standbyPatience)
		if err != nil {
			return fmt.Errorf("address %d: %w", i+1, err)
		}
		s.all = append(s.all, &standby{postgresServer: server})
	}
	if db.distributed(ctx) {
		return errors.New("the log is distributed by Citus, and read from its workers; how far a replica of the coordinator follows says nothing of theirs")
	}
	if s.identity, err = identify(ctx, primary); err != nil {
		return fmt.Errorf("ask the primary what its replicas are recognized by: %w", err)
	}
	for _, one := range s.all {
		one.pool = one.open()
		one.found.Store(&finding{problem: "is not known yet", reached: time.Now()})
	}
	s.virtual = sql.OpenDB(standbyConnector{s})
	db.standbys = s
	if s.gorm, err = gorm.Open(gormpostgres.New(gormpostgres.Config{Conn: s.virtual}), gormConfig(log)); err != nil {
		return err
	}
	s.look(ctx)
	watching, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.watched.Go(func() { s.watch(watching) })
	return nil
}

// distributed reports whether Citus distributes the log.
func (db *DB) distributed(ctx context.Context) (is bool) {
	// Without Citus the second is an error.
	return db.Read.WithContext(ctx).Raw("SELECT to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL").Scan(&is).Error == nil && is &&
		db.Read.WithContext(ctx).Raw("SELECT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = to_regclass('audit_entries'))").Scan(&is).Error == nil && is
}

// reader is the GORM that reads the log; nil without standbys.
func (s *standbys) reader() *gorm.DB {
	if s == nil {
		return nil
	}
	return s.gorm
}

// ReadProblems returns, a line each, which replicas the log is not read from, and why. The primary
// answers instead. Replicas are called by their number: anybody may read it.
func (db *DB) ReadProblems() (problems []string) {
	if db.standbys == nil {
		return nil
	}
	for i, one := range db.standbys.all {
		if problem := one.found.Load().problem; problem != "" {
			problems = append(problems, "read database "+strconv.Itoa(i+1)+": "+problem)
		}
	}
	return problems
}

// Close ends the watch and closes the pools of the standbys.
func (s *standbys) Close() error {
	if s == nil {
		return nil
	}
	if s.stop != nil {
		s.stop()
	}
	s.watched.Wait()
	errs := []error{s.virtual.Close()}
	for _, one := range s.all {
		errs = append(errs, one.pool.Close())
	}
	return errors.Join(errs...)
}

// at is what the standby has replayed at least, and whether it can be asked.
func (one *standby) at() (models.Position, bool) {
	found := one.found.Load()
	return found.position, found.problem == "" && time.Now().UnixNano() >= one.restTill.Load()
}

// rest leaves a standby alone that failed to answer what the primary could.
func (one *standby) rest(log *slog.Logger, err error) {
	now := time.Now()
	before := one.restTill.Swap(now.Add(standbyRest).UnixNano())
	if before < now.UnixNano() { // said once, however many fail together
		log.Warn("a replica failed; the log is read from the primary for a moment",
			"replica", one.String(), "error", oneLine(err, one.user))
	}
}
