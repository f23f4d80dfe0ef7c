package modelstest

import (
	"slices"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// What SQL can do to a row that is there, short of deleting it, on either database. %TABLE is the
// table, %COLUMNS are its columns and %FORGED the same with another actor.
var tamperings = map[string][]string{
	"sqlite": {
		"UPDATE %TABLE SET actor_name = 'Mallory'",
		"UPDATE OR REPLACE %TABLE SET actor_name = 'Mallory'",
		"UPDATE OR IGNORE %TABLE SET actor_name = 'Mallory'",
		"UPDATE OR FAIL %TABLE SET rowid = rowid + 1000, actor_name = 'Mallory'",
		"INSERT OR REPLACE INTO %TABLE (%COLUMNS) SELECT %FORGED FROM %TABLE",
		"REPLACE INTO %TABLE (%COLUMNS) SELECT %FORGED FROM %TABLE",
		"INSERT INTO %TABLE (%COLUMNS) SELECT %FORGED FROM %TABLE WHERE true ON CONFLICT (org_id, id) DO UPDATE SET actor_name = 'Mallory'",
		"INSERT INTO %TABLE (%COLUMNS) SELECT %FORGED FROM %TABLE WHERE true ON CONFLICT DO UPDATE SET actor_name = 'Mallory'",
		// In the way of a row is another by its rowid, under each of its names.
		"INSERT OR REPLACE INTO %TABLE (rowid, %COLUMNS) SELECT rowid, %OTHER FROM %TABLE",
		"INSERT OR REPLACE INTO %TABLE (oid, %COLUMNS) SELECT rowid, %OTHER FROM %TABLE",
		"INSERT OR REPLACE INTO %TABLE (_rowid_, %COLUMNS) SELECT rowid, %OTHER FROM %TABLE",
		"INSERT INTO %TABLE (rowid, %COLUMNS) SELECT rowid, %OTHER FROM %TABLE WHERE true ON CONFLICT DO UPDATE SET actor_name = 'Mallory'",
		// -1 is what a trigger reads where no rowid is given.
		"INSERT INTO %TABLE (rowid, %COLUMNS) SELECT -1, %OTHER FROM %TABLE",
		"INSERT INTO %TABLE (rowid, %COLUMNS) SELECT 4711, %OTHER FROM %TABLE",
		"INSERT INTO %TABLE (rowid, %COLUMNS) SELECT '-1', %OTHER FROM %TABLE",
	},
	"postgres": {
		"UPDATE %TABLE SET actor_name = 'Mallory'",
		"INSERT INTO %TABLE (%COLUMNS) SELECT %FORGED FROM %TABLE ON CONFLICT (org_id, id) DO UPDATE SET actor_name = 'Mallory'",
		"WITH forged AS (UPDATE %TABLE SET actor_name = 'Mallory' RETURNING 1) SELECT COUNT(*) FROM forged",
		"TRUNCATE %TABLE",
		"TRUNCATE audit_meta, %TABLE CASCADE",
		"SET LOCAL session_replication_role = replica; UPDATE %TABLE SET actor_name = 'Mallory'",
		"SET LOCAL session_replication_role = replica; TRUNCATE %TABLE",
		"MERGE INTO %TABLE USING (SELECT 1) AS one ON true WHEN MATCHED THEN UPDATE SET actor_name = 'Mallory'",
	},
}

// removals are what is refused of the settings history besides.
var removals = map[string][]string{
	"sqlite": {
		"DELETE FROM %TABLE",
		"PRAGMA recursive_triggers = on; REPLACE INTO %TABLE (%COLUMNS) SELECT %FORGED FROM %TABLE",
	},
	"postgres": {
		"DELETE FROM %TABLE",
		"SET LOCAL session_replication_role = replica; DELETE FROM %TABLE",
		"MERGE INTO %TABLE USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE",
	},
}

func TestRowsAreNeitherChangedNorReplaced(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		clock := newSettingsClock(t, db)
		clock.set(1, 30, true)
		if _, err := audit.Record(t.Context(), db.Write, audit.Event{Organization: "acme", Action: action.ServiceCreate,
			EntityID: "svc-1", Actor: audit.Actor{ID: "usr_1", Name: "Ada"}}); err != nil {
			t.Fatal(err)
		}
		dialect := db.Write.Name()
		for table, statements := range map[string][]string{
			"audit_entries":          tamperings[dialect],
			"audit_settings_changes": slices.Concat(tamperings[dialect], removals[dialect]),
		} {
			before := rowsOf(t, db, table)
			for _, statement := range statements {
				statement = tampering(t, db, table, statement)
				if strings.HasPrefix(statement, "MERGE") && !knowsMerge(t, db) {
					continue
				}
				tx := db.Write.WithContext(t.Context()).Begin()
				var err error
				for part := range strings.SplitSeq(statement, "; ") {
					if err = tx.Exec(part).Error; err != nil {
						break
					}
				}
				if err == nil {
					err = tx.Commit().Error
				} else {
					tx.Rollback()
				}
				if after := rowsOf(t, db, table); !slices.Equal(before, after) {
					t.Fatalf("%s\n(error %v)\nmade %q\nof   %q", statement, err, after, before)
				}
				// Of the entries a row whose key is there is passed over, as ON CONFLICT DO NOTHING does.
				if err == nil && (table != "audit_entries" || !strings.Contains(statement, "INTO")) {
					t.Errorf("%s\nis not refused", statement)
				}
			}
		}
	})
}

// tampering is a statement of tamperings for a table.
func tampering(t *testing.T, db *database.DB, table, statement string) string {
	t.Helper()
	var columns []string
	types, err := db.Write.Migrator().ColumnTypes(table)
	if err != nil {
		t.Fatal(err)
	}
	for _, column := range types {
		columns = append(columns, column.Name())
	}
	list := strings.Join(columns, ", ")
	forged := strings.Replace(list, "actor_name", "'Mallory'", 1)
	return strings.NewReplacer("%TABLE", table, "%COLUMNS", list, "%FORGED", forged,
		"%OTHER", strings.Replace(forged, ", id,", ", x'019a00000000700080000000000000aa',", 1)).Replace(statement)
}

func rowsOf(t *testing.T, db *database.DB, table string) []string {
	t.Helper()
	var rows []string
	sql := "SELECT rowid || '|' || org_id || '|' || hex(id) || '|' || actor_name FROM " + table + " ORDER BY 1"
	if db.Write.Name() == "postgres" {
		sql = "SELECT t::text FROM " + table + " t ORDER BY 1"
	}
	if err := db.Write.WithContext(t.Context()).Raw(sql).Scan(&rows).Error; err != nil {
		t.Fatal(err)
	}
	return rows
}

// knowsMerge reports whether PostgreSQL is version 15 or later.
func knowsMerge(t *testing.T, db *database.DB) bool {
	t.Helper()
	var version int
	if err := db.Write.WithContext(t.Context()).Raw("SELECT current_setting('server_version_num')::int").Scan(&version).Error; err != nil {
		t.Fatal(err)
	}
	return version >= 150000
}

// An entry that is there already is left as it is, and the statement that brings it again is not an
// error: that is how events are repeated.
func TestARowThatIsThereStoresNothing(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		newSettingsClock(t, db)
		if _, err := audit.Record(t.Context(), db.Write, audit.Event{Organization: "acme", Action: action.ServiceCreate,
			EntityID: "svc-1", Actor: audit.Actor{ID: "usr_1", Name: "Ada"}}); err != nil {
			t.Fatal(err)
		}
		before := rowsOf(t, db, "audit_entries")
		again := db.Write.WithContext(t.Context()).Exec(tampering(t, db, "audit_entries",
			"INSERT INTO %TABLE (%COLUMNS) SELECT %FORGED FROM %TABLE WHERE true ON CONFLICT (org_id, id) DO NOTHING"))
		if after := rowsOf(t, db, "audit_entries"); again.Error != nil || again.RowsAffected != 0 || !slices.Equal(before, after) {
			t.Errorf("error %v, %d rows, %q", again.Error, again.RowsAffected, after)
		}
	})
}
