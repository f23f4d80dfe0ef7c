package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
)

// ErrNoCitus reports a database without Citus, from Distribute.
var ErrNoCitus = errors.New("audit: the database has no Citus: CREATE EXTENSION citus makes it the coordinator of a cluster")

// distributed are the tables of which each row lies on the node of its organization, those of an organization together.
// audit_organizations is on every node. What belongs to people or to the servers stays on the coordinator: nothing asks
// for it together with the log.
var distributed = []string{
	"audit_entries", // the others lie where its rows do
	"audit_actors", "audit_cleanups", "audit_entities", "audit_event_keys", "audit_github_deliveries", "audit_idempotency_keys",
	"audit_last_changes", "audit_native_actions", "audit_on_behalf_of", "audit_related", "audit_resource_links", "audit_settings_changes",
}

const everywhere = "audit_organizations"

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
	for _, table := range append([]string{everywhere}, distributed...) {
		var pending bool
		err := db.QueryRowContext(ctx, `SELECT NOT EXISTS (SELECT FROM pg_dist_partition
	WHERE logicalrelid = '`+table+`'::regclass AND (partmethod = 'h' OR repmodel = 't'))`).Scan(&pending)
		if err != nil {
			return nil, err
		}
		if pending {
			tables = append(tables, table)
		}
	}
	if len(tables) == 0 {
		return nil, nil
	}
	if !c.known && c.workers > 0 {
		const reason = "Citus does not know its coordinator: SELECT citus_set_coordinator_host(…), with the name at which workers find it"
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

// distribute distributes all of the tables or, on an error, none.
func distribute(ctx context.Context, db *sql.DB, tables []string) error {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	statements := []string{
		"SET LOCAL lock_timeout = '200ms'",
		"SET LOCAL citus.enable_unsafe_triggers = on", // they look at nothing that lies elsewhere
		"SET LOCAL citus.multi_shard_modify_mode = 'sequential'",
	}
	for _, table := range tables {
		spread := "SELECT create_distributed_table('" + table + "', 'org_id', colocate_with => 'audit_entries')"
		switch table {
		case everywhere:
			statements = append(statements, "SELECT create_reference_table('"+table+"')")
		case "audit_entries":
			statements = append(statements, "SELECT create_distributed_table('audit_entries', 'org_id', colocate_with => 'none')",
				"CREATE TRIGGER audit_entries_transaction BEFORE INSERT ON audit_entries FOR EACH ROW EXECUTE FUNCTION audit_set_transaction()")
		case "audit_related", "audit_on_behalf_of": // whose rows are copied after those of their entries
			trigger := "TRIGGER " + table + "_with_its_entry"
			statements = append(statements, "ALTER TABLE "+table+" DISABLE "+trigger, spread, "ALTER TABLE "+table+" ENABLE "+trigger)
		default:
			statements = append(statements, spread)
		}
	}
	for _, statement := range statements {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("distribute the log: %w", err)
		}
	}
	return tx.Commit()
}
