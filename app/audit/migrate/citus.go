package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
)

// ErrNoCitus reports a database without Citus, from Distribute.
var ErrNoCitus = errors.New("audit: the database has no Citus: CREATE EXTENSION citus makes it the coordinator of a cluster")

// placements are the tables by what Citus is to know of them.
//
// Of those that are distributed each row lies on the node of its organization, those of an organization together. What
// is asked for with them is a reference table, which is on every node. What belongs to people stays on the coordinator,
// managed by Citus: what is changed there and an entry about it are committed together or not at all. What belongs to
// the servers stays there as it is.
var placements = []struct {
	create string // with the table for %s
	known  string // the condition that it has been called, of pg_dist_partition
	tables []string
}{
	{"create_reference_table('%s')", "repmodel = 't'", []string{"audit_organizations", "audit_registered_actions"}},
	{"create_distributed_table('%s', 'org_id', colocate_with => 'none')", "partmethod = 'h'", []string{"audit_entries"}},
	{"create_distributed_table('%s', 'org_id', colocate_with => 'audit_entries')", "partmethod = 'h'", []string{
		"audit_access_log", "audit_actors", "audit_cleanups", "audit_counts", "audit_entities", "audit_event_keys", "audit_github_deliveries", "audit_idempotency_keys",
		"audit_last_changes", "audit_metadata_blocks", "audit_metadata_heads", "audit_metadata_pages", "audit_metadata_runs", "audit_native_actions", "audit_on_behalf_of", "audit_related", "audit_resource_links", "audit_settings_changes",
	}},
	{"citus_add_local_table_to_metadata('%s')", "true", []string{
		"audit_api_keys", "audit_consumers", "audit_github_connections", "audit_invitations", "audit_known_devices", "audit_memberships",
		"audit_password_resets", "audit_restrictions", "audit_sessions", "audit_setup_tokens", "audit_users", "audit_views",
	}},
}

// Distribute does what Up does, and distributes the log over the nodes of Citus. Up does that by itself where Citus has
// workers and nothing is recorded yet; a log with entries is copied, and who records waits for that.
func Distribute(ctx context.Context, db *gorm.DB) error {
	pool, dialect, err := open(db)
	switch {
	case err != nil || db.DryRun:
		return err
	case dialect != audit.PostgreSQL:
		return ErrNoCitus
	}
	return up(ctx, pool, dialect, true)
}

// citus is the cluster whose coordinator a database is.
type citus struct {
	known   bool // to itself, so that tables can be on the coordinator, too
	workers int
	asked   bool // to distribute what is there
}

// findCitus returns nil where there is none.
func findCitus(ctx context.Context, db *sql.DB, asked bool) (*citus, error) {
	var there, worker bool
	if err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')").Scan(&there); err != nil {
		return nil, err
	}
	if !there && asked {
		return nil, ErrNoCitus
	}
	if !there {
		return nil, nil
	}
	c := citus{asked: asked}
	err := db.QueryRowContext(ctx, `SELECT (SELECT groupid <> 0 FROM pg_dist_local_group), COALESCE(bool_or(groupid = 0), false),
	count(*) FILTER (WHERE groupid <> 0) FROM pg_dist_node WHERE noderole = 'primary' AND isactive`).Scan(&worker, &c.known, &c.workers)
	if err == nil && worker {
		err = errors.New("this is a worker of Citus: the address has to be that of the coordinator")
	}
	return &c, err
}

// undistributed are the tables that are to be distributed. Where that was not asked for, they are left alone without
// workers, and while they hold anything.
func (c *citus) undistributed(ctx context.Context, db *sql.DB) (tables []string, err error) {
	if c == nil || c.workers == 0 && !c.asked {
		return nil, nil
	}
	for _, p := range placements {
		for _, table := range p.tables {
			var known bool
			err := db.QueryRowContext(ctx, "SELECT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = '"+table+"'::regclass AND "+p.known+")").Scan(&known)
			if err != nil {
				return nil, err
			}
			if !known {
				tables = append(tables, table)
			}
		}
	}
	if len(tables) == 0 {
		return nil, nil
	}
	if !c.known && c.workers > 0 {
		const reason = "the coordinator is not known to Citus: SELECT citus_set_coordinator_host(…), with the name at which workers find it"
		if c.asked {
			return nil, errors.New(reason)
		}
		slog.WarnContext(ctx, "audit: the log is kept on the coordinator alone: "+reason)
		return nil, nil
	}
	if !c.asked {
		filled, err := holdAnything(ctx, db, tables)
		if err != nil {
			return nil, err
		}
		if filled {
			slog.WarnContext(ctx, "audit: the log is kept on the coordinator of Citus alone: auditlogs migrate --citus distributes it")
			return nil, nil
		}
	}
	return tables, nil
}

func holdAnything(ctx context.Context, db *sql.DB, tables []string) (hold bool, err error) {
	rows := "EXISTS (SELECT FROM " + strings.Join(tables, ") OR EXISTS (SELECT FROM ") + ")"
	return hold, db.QueryRowContext(ctx, "SELECT "+rows).Scan(&hold)
}

// distribute places all of the tables or, on an error, none.
func distribute(ctx context.Context, db *sql.DB, tables []string) error {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	run := func(statement string) {
		if err == nil {
			_, err = tx.ExecContext(ctx, statement)
		}
	}
	run("SET LOCAL lock_timeout = '200ms'")
	run("SET LOCAL citus.enable_unsafe_triggers = on") // they look at nothing that lies elsewhere
	run("SET LOCAL citus.multi_shard_modify_mode = 'sequential'")
	for _, p := range placements {
		for _, table := range p.tables {
			if !slices.Contains(tables, table) || err != nil {
				continue
			}
			var off, on []string
			if p.known != "true" {
				off, on, err = copying(ctx, tx, table)
			}
			for _, statement := range slices.Concat(off, []string{"SELECT " + fmt.Sprintf(p.create, table)}, on) {
				run(statement)
			}
		}
	}
	if slices.Contains(tables, "audit_entries") {
		// In place of the default, which Citus would compute on the coordinator, and give to those who may not say it.
		run("ALTER TABLE audit_entries ALTER COLUMN xact DROP DEFAULT")
		run("CREATE TRIGGER audit_entries_transaction BEFORE INSERT ON audit_entries FOR EACH ROW EXECUTE FUNCTION audit_set_transaction()")
	}
	if err != nil {
		return fmt.Errorf("distribute the log: %w", err)
	}
	return tx.Commit()
}

// copying are what comes before and after a table is distributed that is not empty: triggers would refuse its rows
// where they come to, and their removal where they were.
func copying(ctx context.Context, tx *sql.Tx, table string) (before, after []string, err error) {
	var filled bool
	err = tx.QueryRowContext(ctx, "SELECT pg_relation_size('"+table+"') > 0").Scan(&filled)
	if err != nil || !filled {
		return nil, nil, err
	}
	after = []string{"SELECT truncate_local_data_after_distributing_table('" + table + "')"}
	triggers, err := tx.QueryContext(ctx, `SELECT tgname, CASE tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END
	FROM pg_trigger WHERE tgrelid = '`+table+`'::regclass AND NOT tgisinternal`)
	if err != nil {
		return nil, nil, err
	}
	defer triggers.Close()
	for triggers.Next() {
		var name, enable string
		if err := triggers.Scan(&name, &enable); err != nil {
			return nil, nil, err
		}
		before = append(before, "ALTER TABLE "+table+" DISABLE TRIGGER "+name)
		after = append(after, "ALTER TABLE "+table+" "+enable+" TRIGGER "+name)
	}
	return before, after, triggers.Err()
}
