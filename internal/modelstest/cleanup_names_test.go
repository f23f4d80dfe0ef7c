package modelstest

import (
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
)

// addNames fills the tables of names of organizations, and adds what is known, and something new, blindly.
func addNames(t *testing.T, db *database.DB, orgs ...int64) {
	t.Helper()
	for _, org := range orgs {
		for _, statement := range []string{
			`INSERT INTO audit_entities (org_id, month, entity_type, entity_id, id_key, name_key)
				SELECT ?, 24300 + n % 3, 'service', 'svc-' || n, 'svc-' || n, 'name ' || n FROM generate_series(1, 3000) AS n`,
			`INSERT INTO audit_actors (org_id, month, actor_id, actor_key, actor_name, actor_email, search_key)
				SELECT ?, 24300 + n % 3, 'u-' || n, 'user ' || n, 'User ' || n, '', '' FROM generate_series(1, 3000) AS n`,
			`INSERT INTO audit_native_actions (org_id, month, action, native_action, native_key)
				SELECT ?, 24300 + n % 3, 'service:update', 'Update' || n, 'update' || n FROM generate_series(1, 3000) AS n`,
		} {
			if err := db.Write.Exec(statement, org).Error; err != nil {
				t.Fatal(err)
			}
			// Of each hundredth thirty more, and thirty of a month that nobody has seen.
			columns := statement[strings.Index(statement, "(org_id, ")+len("(org_id, ") : strings.Index(statement, ")\n")]
			table := strings.Fields(statement)[2]
			blindly := "INSERT INTO " + table + " (org_id, id, " + columns + ") SELECT org_id, overlay(gen_random_uuid()::text PLACING '00000000' FROM 1)::uuid, " +
				strings.Replace(columns, "month", "month + 9 * (again % 2)", 1) + " FROM " + table + ", generate_series(1, 60) AS again WHERE org_id = ? AND "
			last := map[string]string{"audit_entities": "entity_id", "audit_actors": "actor_id", "audit_native_actions": "native_action"}[table]
			if err := db.Write.Exec(blindly+last+" LIKE '%00'", org).Error; err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := db.Write.Exec("ANALYZE").Error; err != nil {
		t.Fatal(err)
	}
}

func TestNamesAddedBlindlyAreMerged(t *testing.T) {
	db := databasetest.Postgres(t)
	store := logtest.Store(t, db)
	org, other := logtest.Organization(t, store, "acme").ID, logtest.Organization(t, store, "other").ID
	addNames(t, db, org, other)
	var asked []deletion
	err := db.Write.Callback().Row().After("gorm:row").Register("collect", func(tx *gorm.DB) {
		if sql := tx.Statement.SQL.String(); strings.Contains(sql, "DELETE FROM") {
			asked = append(asked, deletion{sql, tx.Statement.Vars})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	batches := 0
	for more := true; more; batches++ {
		if more, err = store.MergeNames(t.Context(), org, 250); err != nil {
			t.Fatal(err)
		}
	}
	if batches != 1800/250+1 {
		t.Errorf("1,800 rows a table take %d batches of 250", batches)
	}
	for _, table := range []string{"audit_entities", "audit_actors", "audit_native_actions"} {
		for id, want := range map[int64]int{org: 3030, other: 4800} {
			var rows int
			if err := db.Write.Raw("SELECT COUNT(*) FROM "+table+" WHERE org_id = ?", id).Scan(&rows).Error; err != nil || rows != want {
				t.Errorf("%s has %d rows of organization %d, %v; want %d", table, rows, id, err, want)
			}
		}
	}
	if err := db.Write.Exec("ANALYZE").Error; err != nil {
		t.Fatal(err)
	}
	for _, d := range asked[:3] {
		var plan []string
		if err := db.Write.Raw("EXPLAIN "+d.sql, d.vars...).Scan(&plan).Error; err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(plan, "\n"); strings.Contains(text, "Seq Scan on audit_") || strings.Count(text, "_pkey") < 2 || !strings.Contains(text, "_known") {
			t.Errorf("%s\nhas the plan\n%s", d.sql, text)
		}
	}
	// Again, they are few.
	if more, err := store.MergeNames(t.Context(), org, 250); more || err != nil {
		t.Errorf("there are more: %t, %v", more, err)
	}
}
