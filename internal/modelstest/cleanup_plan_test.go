package modelstest

import (
	"fmt"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
)

// deletion is a statement that deleted rows.
type deletion struct {
	sql  string
	vars []any
}

// deletions collects those that run from now on.
func deletions(t *testing.T, db *database.DB) *[]deletion {
	t.Helper()
	var all []deletion
	collect := func(tx *gorm.DB) {
		if sql := tx.Statement.SQL.String(); strings.HasPrefix(sql, "DELETE") {
			all = append(all, deletion{sql, tx.Statement.Vars})
		}
	}
	callbacks := db.Write.Callback()
	if err := callbacks.Delete().After("gorm:delete").Register("collect", collect); err != nil {
		t.Fatal(err)
	}
	if err := callbacks.Raw().After("gorm:raw").Register("collect", collect); err != nil {
		t.Fatal(err)
	}
	return &all
}

func TestABatchOfTheCleanupReadsWhatItDeletes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := logtest.Store(t, db)
		org := logtest.Organization(t, store, "acme")
		var entries []models.Entry
		for i := range 500 {
			entries = append(entries, models.Entry{Action: "service:update", EntityID: fmt.Sprint("svc-", i)})
		}
		logtest.Insert(t, store, org, entries...)
		later := models.MicrosOf(logtest.Now.AddDate(1, 0, 0))
		if db.Write.Name() == "postgres" { // of a small table PostgreSQL reads all that an organization has
			for table, columns := range map[string]string{
				"audit_entities": "entity_type, entity_id, id_key, name_key", "audit_native_actions": "action, native_action, native_key",
				"audit_actors": "actor_id, actor_key, actor_name, actor_email, search_key",
			} {
				err := db.Write.Exec("INSERT INTO "+table+" (org_id, month, "+columns+") SELECT ?, ?"+
					strings.Repeat(", n::text", strings.Count(columns, ",")+1)+" FROM generate_series(1, 20000) n", org.ID, models.MonthOf(later)).Error
				if err != nil {
					t.Fatal(err)
				}
			}
			err := db.Write.Exec(`INSERT INTO audit_counts (org_id, quarter, action, actor_id, succeeded, failed)
				SELECT ?, ?, n::text, n::text, 1, 0 FROM generate_series(1, 20000) n`, org.ID, models.QuarterOf(later)).Error
			if err == nil {
				err = db.Write.Exec(`INSERT INTO audit_metadata_blocks (org_id, block, first_id, last_id, ids)
				SELECT ?, n, ?::uuid, ?::uuid, '' FROM generate_series(1, 20000) n`, org.ID, models.FirstEntryID(later), models.FirstEntryID(later)).Error
			}
			if err == nil {
				err = db.Write.Exec(`INSERT INTO audit_metadata_runs (org_id, run, level, state, first_block, end_block, first_id, last_id, merged_into)
				SELECT ?, n, 0, 1, n, n + 1, ?::uuid, ?::uuid, 0 FROM generate_series(1, 20000) n`, org.ID, models.FirstEntryID(later), models.FirstEntryID(later)).Error
			}
			if err == nil {
				err = db.Write.Exec(`INSERT INTO audit_metadata_pages (org_id, run, key, data)
				SELECT ?, n, '', '' FROM generate_series(1, 20000) n`, org.ID).Error
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		all := deletions(t, db)
		expired := store.ExpiredEntries(models.Cleanup{OrgID: org.ID}, models.EntryID{}, models.FirstEntryID(later))
		if more, err := expired.DeleteBatch(t.Context(), 100); err != nil || !more {
			t.Fatalf("more are left: %t, %v; want 400", more, err)
		}
		if deleted, err := store.DeleteMonthsBefore(t.Context(), org.ID, later, 100); err != nil || deleted < 100 {
			t.Fatalf("%d rows deleted, %v; want a hundred entities", deleted, err)
		}
		const known = 7 // entities, actors, native actions, counts, and blocks, pages and runs of the index of metadata
		statements := known
		if db.Write.Name() == "sqlite" {
			statements += 3 // and before them the entries and their parts, which on PostgreSQL a function deletes
		}
		if len(*all) != statements {
			t.Fatalf("%d deletions: %v", len(*all), *all)
		}
		for _, d := range (*all)[:statements-known] {
			// Of two upper bounds SQLite uses one, and reads up to it.
			if bounds := strings.Count(d.sql, "id <"); bounds != 1 {
				t.Errorf("%d upper bounds: %s", bounds, d.sql)
			}
			if plan := explain(t, db, d); !strings.Contains(plan, "id>? AND") {
				t.Errorf("%s\nhas the plan\n%s", d.sql, plan)
			}
		}
		for _, d := range (*all)[statements-known:] {
			plan := explain(t, db, d)
			want := "USING INTEGER PRIMARY KEY (rowid=?)"
			if db.Write.Name() == "postgres" {
				want = "Tid Scan"
			}
			if !strings.Contains(plan, want) {
				t.Errorf("%s\nhas the plan\n%s\nwant %s", d.sql, plan, want)
			}
		}
	})
}

// explain is the plan for a table that is not small.
func explain(t *testing.T, db *database.DB, d deletion) string {
	t.Helper()
	tx := db.Write.Begin()
	defer tx.Rollback()
	if tx.Name() == "postgres" {
		var plan []string
		err := tx.Exec("SET LOCAL enable_seqscan = off").Error
		if err == nil {
			err = tx.Raw("EXPLAIN "+d.sql, d.vars...).Scan(&plan).Error
		}
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(plan, "\n")
	}
	var plan []struct{ Detail string }
	if err := tx.Raw("EXPLAIN QUERY PLAN "+d.sql, d.vars...).Scan(&plan).Error; err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(plan)
}

func TestTheCleanupOnPostgreSQLReadsTheEntriesItDeletes(t *testing.T) {
	db := databasetest.PostgresAlone(t)
	store := logtest.Store(t, db)
	org := logtest.Organization(t, store, "acme")
	entries := insertEverySecond(t, store, org, 2000)
	at := func(n int) models.EntryID { return models.FirstEntryID(entries[n].OccurredAt) }
	err := db.Write.Transaction(func(tx *gorm.DB) error {
		for range 10 { // the plan must not change once it is kept for all values
			if err := tx.Exec("SELECT audit_delete_entries(?, ?, ?, ?)", org.ID, at(5), at(5), at(10)).Error; err != nil {
				return err
			}
		}
		var deleted, scanned, fetched int
		if err := tx.Raw("SELECT audit_delete_entries(?, ?, ?, ?)", org.ID, at(1000), at(1200), at(1100)).Scan(&deleted).Error; err != nil {
			return err
		}
		err := tx.Raw("SELECT seq_tup_read, idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'audit_entries'").Row().Scan(&scanned, &fetched)
		if deleted != 100 || scanned != 0 || fetched != 100 {
			t.Errorf("%d deleted, %d read by a scan and %d by an index; want 100, 0 and 100", deleted, scanned, fetched)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
