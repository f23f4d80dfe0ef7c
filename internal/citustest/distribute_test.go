//go:build citus

package citustest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/migrate"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// Tables that belong to people, though an organization is named in their keys; those that are asked for with the log,
// though none is; and those of the servers.
var (
	ofPeople   = []string{"audit_memberships", "audit_restrictions", "audit_views"}
	everywhere = []string{"audit_organizations", "audit_registered_actions"}
	ofServers  = []string{"audit_jobs", "audit_meta", "audit_schema_version"}
)

func placement(t *testing.T, db *database.DB) (tables map[string]string) {
	t.Helper()
	var rows []struct{ Name, Kind string }
	err := db.Write.Raw(`SELECT c.relname AS name, CASE WHEN p.repmodel = 't' THEN 'everywhere' WHEN p.partmethod = 'h' THEN 'distributed' || p.colocationid
		WHEN p.partmethod = 'n' THEN 'managed' ELSE 'local' END AS kind FROM pg_class c LEFT JOIN pg_dist_partition p ON p.logicalrelid = c.oid
		WHERE c.relkind = 'r' AND c.relname LIKE 'audit\_%'`).Scan(&rows).Error
	if err != nil {
		t.Fatal(err)
	}
	tables = map[string]string{}
	for _, row := range rows {
		tables[row.Name] = row.Kind
	}
	return tables
}

func TestTablesWhoseKeysBeginWithTheOrganizationLieTogether(t *testing.T) {
	db := databasetest.Postgres(t)
	tables := placement(t, db)
	var keyed []string
	err := db.Write.Raw(`SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
		WHERE i.indisprimary AND a.attname = 'org_id' AND c.relname LIKE 'audit\_%'`).Scan(&keyed).Error
	if err != nil {
		t.Fatal(err)
	}
	together := tables["audit_entries"]
	if !strings.HasPrefix(together, "distributed") {
		t.Errorf("entries are %s", together)
	}
	for table, kind := range tables {
		want := "managed"
		switch {
		case slices.Contains(everywhere, table):
			want = "everywhere"
		case slices.Contains(ofServers, table):
			want = "local"
		case slices.Contains(keyed, table) && !slices.Contains(ofPeople, table):
			want = together
		}
		if kind != want {
			t.Errorf("%s is %s and not %s", table, kind, want)
		}
	}
}

func TestMigratingAgainChangesNothing(t *testing.T) {
	db := databasetest.Open(t, databasetest.EmptyPostgresURL(t))
	var before map[string]string
	for n, up := range []func(context.Context, *gorm.DB) error{migrate.Up, migrate.Up, migrate.Distribute} {
		if err := up(t.Context(), db.Write); err != nil {
			t.Fatal(err)
		}
		now := placement(t, db)
		if n > 0 && !maps.Equal(now, before) {
			t.Errorf("the tables are\n%v\nand were\n%v", now, before)
		}
		before = now
	}
}

func TestALogWithEntriesIsDistributedWhenThatIsAsked(t *testing.T) {
	db := databasetest.Open(t, databasetest.EmptyPostgresURL(t))
	databasetest.MigrateTo(t, db, slices.Max(databasetest.MigrationsOf(t, db).Versions()))
	const columns = `org_id, id, occurred_at, recorded_at, action, entity_type, entity_id, actor_id, actor_key, actor_name`
	for _, statement := range []string{
		"INSERT INTO audit_organizations (slug, name, created_at) SELECT 'org-' || n, 'Org', 1 FROM generate_series(1, 20) n",
		"INSERT INTO audit_entries (" + columns + ", xact) SELECT o.id, gen_random_uuid(), 1, 1, 'a:b', 'a', '1', 'u', 'u', 'U', 4711 FROM audit_organizations o",
		"ALTER TABLE audit_related DISABLE TRIGGER USER; ALTER TABLE audit_on_behalf_of DISABLE TRIGGER USER",
		"INSERT INTO audit_related (org_id, entry_id, position, entity_type, entity_id, entity_name, role) SELECT org_id, id, 1, 'a', '2', '', '' FROM audit_entries",
		"INSERT INTO audit_on_behalf_of (org_id, entry_id, actor_type, actor_id, actor_name, actor_email, session) SELECT org_id, id, '', 'v', 'V', '', '' FROM audit_entries",
		"ALTER TABLE audit_related ENABLE TRIGGER USER; ALTER TABLE audit_on_behalf_of ENABLE TRIGGER USER",
	} {
		if err := db.Write.Exec(statement).Error; err != nil {
			t.Fatal(err)
		}
	}
	if err := migrate.Up(t.Context(), db.Write); err != nil {
		t.Fatal(err)
	}
	if kind := placement(t, db)["audit_entries"]; kind != "local" {
		t.Fatalf("without being asked, entries became %s", kind)
	}
	if err := migrate.Distribute(t.Context(), db.Write); err != nil {
		t.Fatal(err)
	}
	var nodes, entries, related, principals int
	err := db.Write.Raw(`SELECT (SELECT COUNT(DISTINCT nodename || nodeport) FROM citus_shards WHERE table_name = 'audit_entries'::regclass),
		(SELECT COUNT(*) FROM audit_entries WHERE xact = 4711), (SELECT COUNT(*) FROM audit_related), (SELECT COUNT(*) FROM audit_on_behalf_of)`).
		Row().Scan(&nodes, &entries, &related, &principals)
	if err != nil || nodes < 2 || entries != 20 || related != 20 || principals != 20 {
		t.Errorf("%d entries as they were, with %d and %d parts, are on %d nodes: %v", entries, related, principals, nodes, err)
	}
	var left, never string
	err = db.Write.Raw(`SELECT pg_relation_size('audit_entries') + pg_relation_size('audit_related') + pg_relation_size('audit_organizations'),
		(SELECT string_agg(DISTINCT tgenabled::text, '') FROM pg_trigger WHERE tgrelid = 'audit_entries'::regclass AND tgname LIKE '%never%')`).
		Row().Scan(&left, &never)
	if err != nil || left != "0" || never != "A" {
		t.Errorf("%s bytes are left on the coordinator, and what refuses changes is called %s: %v", left, never, err)
	}
	if err := db.Write.Exec("UPDATE audit_entries SET action = 'c:d' WHERE org_id = 1").Error; err == nil || !strings.Contains(err.Error(), "append-only") {
		t.Errorf("an entry is changed: %v", err)
	}
	// A new organization's ID is none of those that are there.
	if err := db.Write.Exec("INSERT INTO audit_organizations (slug, name, created_at) VALUES ('another', 'Another', 1)").Error; err != nil {
		t.Error(err)
	}
}

func TestDistributeRefusesADatabaseWithoutCitus(t *testing.T) {
	if err := migrate.Distribute(t.Context(), databasetest.SQLite(t).Write); !errors.Is(err, migrate.ErrNoCitus) {
		t.Errorf("SQLite: %v", err)
	}
	db := databasetest.Open(t, databasetest.EmptyPostgresURL(t))
	if err := db.Write.Exec("DROP EXTENSION citus CASCADE").Error; err != nil {
		t.Fatal(err)
	}
	if err := migrate.Distribute(t.Context(), db.Write); !errors.Is(err, migrate.ErrNoCitus) {
		t.Errorf("PostgreSQL: %v", err)
	}
	if there, _, err := migrate.Versions(t.Context(), db.Write); err != nil || there != 0 {
		t.Errorf("it has made version %d of the tables: %v", there, err)
	}
}

// Whatever comes after the entry, from the coordinator or on a worker, is refused.
func TestPartsComeWithTheirEntryOnly(t *testing.T) {
	db := databasetest.Postgres(t)
	entry := func(id int) string {
		return fmt.Sprintf(`INSERT INTO audit_entries (org_id, id, occurred_at, recorded_at, action, entity_type, entity_id, actor_id, actor_key, actor_name)
			VALUES (1, '00000000-0000-0000-0000-%012d', 1, 1, 'a:b', 'a', '1', 'u', 'u', 'U')`, id)
	}
	const part = " INSERT INTO audit_related (org_id, entry_id, entry_at, position, entity_type, entity_id, entity_name, role) SELECT 1, id, %s, 1, 'a', '2', '', '' FROM %s"
	for _, c := range []struct {
		name, statement string
		refused         bool
	}{
		{"with its entry", "WITH entry AS (" + entry(1) + " RETURNING id, ctid AS at)" + fmt.Sprintf(part, "at", "entry"), false},
		{"an entry alone", entry(2), false},
		{"later", fmt.Sprintf(part, "NULL::tid", "audit_entries WHERE org_id = 1"), true},
		{"later, where it lies", fmt.Sprintf(part, "ctid", "audit_entries WHERE org_id = 1"), true},
	} {
		if err := db.Write.Exec(c.statement).Error; (err != nil && strings.Contains(err.Error(), "append-only")) != c.refused || err != nil && !c.refused {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestNodesThatGetMoreRoomGetShards(t *testing.T) {
	db := databasetest.Postgres(t)
	var kept []string
	rows := func() (rows []string) {
		t.Helper()
		err := db.Write.Raw(`SELECT e.id || ' ' || r.position FROM audit_entries e JOIN audit_related r ON r.org_id = e.org_id AND r.entry_id = e.id
			ORDER BY 1`).Scan(&rows).Error
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	for org := range 20 {
		err := db.Write.Exec(`WITH entry AS (INSERT INTO audit_entries
				(org_id, id, occurred_at, recorded_at, action, entity_type, entity_id, actor_id, actor_key, actor_name)
			VALUES (?, gen_random_uuid(), 1, 1, 'a:b', 'a', '1', 'u', 'u', 'U') RETURNING id, ctid AS at)
			INSERT INTO audit_related (org_id, entry_id, entry_at, position, entity_type, entity_id, entity_name, role)
			SELECT ?, id, at, 1, 'a', '2', '', '' FROM entry`, org, org).Error
		if err != nil {
			t.Fatal(err)
		}
	}
	kept = rows()
	// All shards of one node to the other, as when a node is added or taken away.
	err := db.Write.Exec(`SELECT citus_move_shard_placement(shardid, a.nodename, a.nodeport, b.nodename, b.nodeport, 'block_writes')
		FROM (SELECT * FROM pg_dist_node WHERE groupid > 0 ORDER BY groupid LIMIT 1) AS a
		CROSS JOIN (SELECT * FROM pg_dist_node WHERE groupid > 0 ORDER BY groupid DESC LIMIT 1) AS b
		JOIN citus_shards AS s ON s.nodename = a.nodename AND s.nodeport = a.nodeport AND s.table_name = 'audit_entries'::regclass`).Error
	if err != nil {
		t.Fatal(err)
	}
	if now := rows(); len(now) != 20 || !slices.Equal(now, kept) {
		t.Errorf("there are %d entries with their parts, and were %d", len(now), len(kept))
	}
}

func TestReplicasAreRefused(t *testing.T) {
	url := databasetest.PostgresURL(t)
	db := databasetest.Open(t, url)
	if err := db.ReadLogFrom(t.Context(), []string{url}, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "Citus") {
		t.Errorf("replicas: %v", err)
	}
}
