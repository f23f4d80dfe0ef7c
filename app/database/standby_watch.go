package database

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/auditlogs/auditlogs/models"
)

const (
	// standbyWatch is how often the standbys are looked at. For as long somebody who changed
	// something may be answered by the primary although a standby could.
	standbyWatch = 500 * time.Millisecond
	// standbyLate is how far behind a standby may be, once it has caught up with where the primary was
	// when the server started.
	standbyLate = 30 * time.Second
)

// watch looks at the standbys until ctx ends.
func (s *standbys) watch(ctx context.Context) {
	ticker := time.NewTicker(standbyWatch)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.look(ctx)
		}
	}
}

// look finds out where the primary is and what can be said of each standby.
func (s *standbys) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, standbyPatience)
	defer cancel()
	var written models.Position
	err := s.primary.QueryRowContext(ctx, "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint").Scan(&written)
	if err == nil { // or else the standbys have nothing to be late for
		s.late.note(time.Now(), written)
	}
	bound := s.late.bound()
	var looking sync.WaitGroup
	for _, one := range s.all {
		looking.Go(func() {
			found, err := one.look(ctx, s.identity, bound)
			before := one.found.Load()
			found.follow(&s.late, before)
			if one.found.Store(&found); ctx.Err() != context.Canceled && before.problem != found.problem {
				s.tell(ctx, one, found, err)
			}
		})
	}
	looking.Wait()
}

// tell writes to the log that a standby is read from or not.
func (s *standbys) tell(ctx context.Context, one *standby, found finding, err error) {
	log := s.log.With("replica", one.String())
	switch {
	case found.problem == "":
		log.Info("the log is read from a replica")
		if err := one.checkPooler(ctx, one.pool, log); err != nil {
			log.Warn("the replica may fail to answer", "error", oneLine(err, one.user))
		}
	case err != nil:
		log.Warn("the log is read from the primary: the replica "+found.problem, "error", oneLine(err, one.user))
	default:
		log.Warn("the log is read from the primary: the replica " + found.problem)
	}
}

// look asks a standby what it is. err is the reason inside of a problem, where there is one.
func (one *standby) look(ctx context.Context, primary identity, bound models.Position) (found finding, err error) {
	seen, err := identify(ctx, one.pool)
	found.position = seen.replayed
	var answer *pgconn.PgError
	switch {
	case errors.As(err, &answer) && answer.Code == "42P01": // undefined_table
		found.problem = "holds no log: it is another database, or has not got so far"
	case err != nil:
		found.problem = "does not answer"
	case seen.cluster != primary.cluster || seen.table != primary.table:
		found.problem = "is another database"
	case !seen.recovering:
		found.problem = "is none: it takes changes itself"
	case seen.schema < primary.schema:
		found.problem = "has an older schema than the primary"
	case seen.replayed < bound:
		found.problem = "is too far behind"
	}
	return found, err
}

// identity is what a database and its streaming replicas have in common, and where they differ.
type identity struct {
	cluster, table int64 // the same in the primary and its replicas, and nowhere else
	schema         int64 // the last migration
	recovering     bool  // it replays what another server wrote
	replayed       models.Position
}

func identify(ctx context.Context, pool *sql.DB) (found identity, err error) {
	err = pool.QueryRowContext(ctx, `SELECT (SELECT system_identifier FROM pg_control_system()),
	'audit_organizations'::regclass::oid::bigint, (SELECT MAX(version_id) FROM audit_schema_version),
	pg_is_in_recovery(), COALESCE(pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0'), 0)::bigint`).
		Scan(&found.cluster, &found.table, &found.schema, &found.recovering, &found.replayed)
	return found, err
}

// lateness remembers where the primary was lately. Its first note is the newest that is standbyLate
// old, or the first ever.
type lateness struct{ notes []lateNote }

type lateNote struct {
	at       time.Time
	position models.Position
}

func (l *lateness) note(now time.Time, position models.Position) {
	l.notes = append(l.notes, lateNote{now, position})
	for len(l.notes) > 1 && now.Sub(l.notes[1].at) >= standbyLate {
		l.notes = l.notes[1:]
	}
}

// reached is when the primary was last where position is, as far back as is remembered.
func (l *lateness) reached(position models.Position) (at time.Time, ok bool) {
	for _, note := range slices.Backward(l.notes) {
		if note.position <= position {
			return note.at, true
		}
	}
	return at, false
}

// follow completes a finding with how far the standby is behind, which goes on from before where it does not answer.
func (f *finding) follow(primary *lateness, before *finding) {
	f.behind, f.reached = before.behind, before.reached
	if len(primary.notes) == 0 {
		return
	}
	now := primary.notes[len(primary.notes)-1]
	if f.position > 0 {
		f.behind = max(0, now.position-f.position)
		if at, ok := primary.reached(f.position); ok {
			f.reached = at
		}
	}
	f.late = max(0, now.at.Sub(f.reached))
}

// bound is where a standby must be that is not late.
func (l *lateness) bound() models.Position {
	if len(l.notes) == 0 {
		return 0
	}
	return l.notes[0].position
}
