package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// blocker is whom a migration waits for.
type blocker struct {
	who        string
	autovacuum bool
	table      string // that they have locked
}

func (b blocker) String() string {
	if b.who == "" {
		return "somebody who was not seen in time"
	}
	return b.who
}

// who describes a row a of pg_stat_activity, of which a role sees little where it is somebody else's.
const who = `concat('process ', a.pid, coalesce(' of role ' || a.usename, ' of the server itself, such as autovacuum'),
	' (' || nullif(a.application_name, '') || ')', ', ' || a.state, ', its transaction begun at ' || date_trunc('second', a.xact_start))`

// blockers are asked for by the statement that waits, as a pooler gives each to another process. PostgreSQL knows
// no process behind a prepared transaction.
const blockers = `
SELECT CASE blocking.pid WHEN 0 THEN 'a prepared transaction, see pg_prepared_xacts' ELSE ` + who + ` END,
	blocking.pid <> 0 AND a.usesysid IS NULL,
	coalesce((SELECT relation::regclass::text FROM pg_locks WHERE pid = waiting.pid AND NOT granted LIMIT 1), '')
FROM pg_stat_activity AS waiting
CROSS JOIN LATERAL unnest(pg_blocking_pids(waiting.pid)) AS blocking (pid)
LEFT JOIN pg_stat_activity AS a ON a.pid = blocking.pid
WHERE waiting.datname = current_database() AND waiting.wait_event_type = 'Lock' AND waiting.query ~ '^((ALTER|CREATE|DROP)\M|SELECT create_).*audit_'
ORDER BY a.xact_start LIMIT 1`

// migrating is who holds the lock of migrations.
func migrating(ctx context.Context, db *sql.DB) (found blocker) {
	_ = db.QueryRowContext(ctx, fmt.Sprintf(`SELECT %s FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND (l.classid::bigint << 32) + l.objid::bigint = %d AND a.datname = current_database()`, who, lockID)).
		Scan(&found.who) // nothing where it has just ended
	return found
}

// watch runs a migration and returns whom it waited for last. Where it waits for longer, as building an index does,
// it tells the log.
func watch(ctx context.Context, db *sql.DB, migrate func() error) (last blocker, err error) {
	looking, stop := context.WithCancel(ctx)
	defer stop()
	var watcher sync.WaitGroup
	watcher.Go(func() {
		began, pause := time.Now(), 50*time.Millisecond // a migration waits for a lock no longer than 200 ms
		var tell time.Time                              // zero: it does not wait
		for {
			select {
			case <-looking.Done():
				return
			case <-time.After(pause):
			}
			if time.Since(began) > 2*time.Second {
				pause = time.Second
			}
			var found blocker
			if err := db.QueryRowContext(looking, blockers).Scan(&found.who, &found.autovacuum, &found.table); err != nil {
				tell = time.Time{}
				continue
			}
			last = found
			switch now := time.Now(); {
			case tell.IsZero():
				tell = now.Add(time.Second)
			case now.After(tell):
				slog.WarnContext(ctx, "audit: the migration waits, and nobody for it, until a transaction ends: that of "+found.who)
				tell = now.Add(longestPause)
			}
		}
	})
	err = migrate()
	stop()
	watcher.Wait()
	return last, err
}
