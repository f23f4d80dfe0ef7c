package modelstest

import (
	"fmt"
	"testing"

	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
)

func TestTheSearchIndexOfSQLiteIsMergedStepByStep(t *testing.T) {
	db := databasetest.SQLite(t)
	store := logtest.Store(t, db)
	org := logtest.Organization(t, store, "acme")
	for n, month := range []int{24300, 24310} {
		for i := range 2000 {
			err := db.Write.Exec("INSERT INTO audit_entities VALUES (?, ?, ?, 'service', ?, ?, ?)", org.ID, org.ID<<40+int64(n*2000+i), month,
				fmt.Sprint("svc-", i), fmt.Sprintf("svc-%d-in-%d", i, month), fmt.Sprint("a service with the number ", i)).Error
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	bytes := func() (n int) {
		t.Helper()
		if err := db.Read.Raw("SELECT SUM(LENGTH(block)) FROM audit_entities_search_data").Scan(&n).Error; err != nil {
			t.Fatal(err)
		}
		return n
	}
	found := func(text string) (n int) {
		t.Helper()
		if err := db.Read.Raw("SELECT COUNT(*) FROM audit_entities_search WHERE audit_entities_search MATCH ?", `"`+text+`"`).Scan(&n).Error; err != nil {
			t.Fatal(err)
		}
		return n
	}
	for range 2 {
		if err := store.DeferSearchMerge(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	full := bytes()
	deleted, err := store.DeleteMonthsBefore(t.Context(), org.ID, models.MicrosOf(logtest.Now), 1900)
	if err != nil || deleted != 1900 {
		t.Fatalf("%d rows deleted, %v", deleted, err)
	}
	if left := bytes(); left < full {
		t.Errorf("%d bytes of %d are left right after a deletion", left, full)
	}
	steps := 0
	for more := true; more; steps++ {
		if steps > 1000 {
			t.Fatal("it never ends")
		}
		if more, err = store.MergeSearch(t.Context(), 4, steps == 0); err != nil {
			t.Fatal(err)
		}
	}
	if left := bytes(); steps < 3 || left > full*2/3 {
		t.Errorf("%d bytes of %d are left after %d steps", left, full, steps)
	}
	if old, kept := found("in-24300"), found("in-24310"); old != 100 || kept != 2000 {
		t.Errorf("%d of the old month and %d of the other are found, want 100 and 2000", old, kept)
	}
}
