package models_test

import (
	"fmt"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/app/database/databasetest"
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
		store := newStore(t, db)
		org := newOrganization(t, store, "acme")
		var entries []models.Entry
		for i := range 500 {
			entries = append(entries, models.Entry{Action: "service:update", EntityID: fmt.Sprint("svc-", i)})
		}
		insert(t, store, org, entries...)
		later := models.MicrosOf(now.AddDate(1, 0, 0))
		all := deletions(t, db)
		if _, _, err := store.DeleteEntriesBetween(t.Context(), models.Cleanup{OrgID: org.ID}, models.EntryID{}, models.FirstEntryID(later), models.CleanupBatch{Limit: 100}); err != nil {
			t.Fatal(err)
		}
		if deleted, err := store.DeleteMonthsBefore(t.Context(), org.ID, later, 100); err != nil || deleted < 100 {
			t.Fatalf("%d rows deleted, %v; want a hundred entities", deleted, err)
		}
		if len(*all) != 3 { // entries, entities, actors
			t.Fatalf("%d deletions: %v", len(*all), *all)
		}
		// Of two upper bounds SQLite uses one, and reads up to it.
		if bounds := strings.Count((*all)[0].sql, "id <"); bounds != 1 {
			t.Errorf("%d upper bounds: %s", bounds, (*all)[0].sql)
		}
		for _, d := range (*all)[1:] {
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
