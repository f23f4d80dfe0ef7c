// The rest of package audit's examples: a database for those that use one, which their own module has no driver for.
package audit_test

import (
	"os"
	"testing"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/migrate"
)

func TestExamples(t *testing.T) {
	var err error
	if db, err = gorm.Open(postgres.Open(os.Getenv("EXAMPLES_DATABASE_URL"))); err != nil {
		t.Fatal(err)
	}
	if pool, err = db.DB(); err != nil {
		t.Fatal(err)
	}
	if err := migrate.Up(ctx, db); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.EnsureOrganization(ctx, db, audit.Organization{Slug: "acme"}); err != nil {
		t.Fatal(err)
	}
	if err := db.AutoMigrate(&Service{}); err != nil {
		t.Fatal(err)
	}
	stored := 0
	for name, example := range map[string]struct {
		run     func()
		entries int
	}{
		"Record":             {ExampleRecord, 1},
		"Record_refused":     {ExampleRecord_refused, 1},
		"RecordAll":          {ExampleRecordAll, 2},
		"Dialect_Record":     {ExampleDialect_Record, 1},
		"EnsureOrganization": {ExampleEnsureOrganization, 1},
		"Backfill":           {ExampleBackfill, 1},
		"Batcher":            {ExampleBatcher, 1},
	} {
		example.run() // where it fails, it ends the program
		stored += example.entries
		var entries int
		if err := db.Raw("SELECT COUNT(*) FROM audit_entries").Scan(&entries).Error; err != nil || entries != stored {
			t.Errorf("after the example of %s there are %d entries, want %d (%v)", name, entries, stored, err)
		}
	}
}
