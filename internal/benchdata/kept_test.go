package benchdata_test

import (
	"context"
	"os"
	"testing"

	"github.com/auditlogs/auditlogs/internal/benchdata"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

func TestAKeptDatabaseIsFilledOnce(t *testing.T) {
	folder := t.TempDir()
	for name, keep := range map[string]func(context.Context, benchdata.Spec, func(int)) (benchdata.Kept, error){
		"sqlite": func(ctx context.Context, spec benchdata.Spec, progress func(int)) (benchdata.Kept, error) {
			return benchdata.KeepSQLite(ctx, folder, spec, progress)
		},
		"postgres": func(ctx context.Context, spec benchdata.Spec, progress func(int)) (benchdata.Kept, error) {
			return benchdata.KeepPostgres(ctx, os.Getenv("TEST_DATABASE_URL"), spec, progress)
		},
	} {
		t.Run(name, func(t *testing.T) {
			filled := 0
			progress := func(int) { filled++ }
			small := spec
			small.Rows = 100
			first, err := keep(t.Context(), small, progress)
			if err != nil {
				t.Fatal(err)
			}
			later := small
			later.Until = later.Until.AddDate(0, 0, 1)
			again, err := keep(t.Context(), later, progress)
			if err != nil {
				t.Fatal(err)
			}
			if again.URL != first.URL || !again.Spec.Until.Equal(first.Spec.Until) {
				t.Errorf("the second time it is %+v, the first %+v", again, first)
			}
			url, remove, err := again.Copy(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := remove(context.Background()); err != nil {
					t.Error(err)
				}
			})
			db := databasetest.Open(t, url)
			var rows int
			if err := db.Read.Raw("SELECT COUNT(*) FROM audit_entries").Scan(&rows).Error; err != nil || rows != 100 {
				t.Errorf("a copy has %d entries, %v", rows, err)
			}
		})
	}
}
