package recordingtest

import (
	"slices"
	"testing"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/migrate"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

func TestTheServerLearnsOfRegisteredActions(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		offered := func() []string {
			t.Helper()
			var actions []string
			if err := db.Read.Table("audit_registered_actions").Order("action").Pluck("action", &actions).Error; err != nil {
				t.Fatal(err)
			}
			return actions
		}
		action.Register("invoice:pay")
		dialect, err := audit.DialectOf(db.Write)
		if err != nil {
			t.Fatal(err)
		}
		pool, err := db.Write.DB()
		if err != nil {
			t.Fatal(err)
		}
		for name, save := range map[string]func() error{
			"SaveRegistered":               func() error { return audit.SaveRegistered(t.Context(), db.Write) },
			"SaveRegistered, database/sql": func() error { return dialect.SaveRegistered(t.Context(), pool) },
			"migrate.Up":                   func() error { return migrate.Up(t.Context(), db.Write) },
		} {
			set(t, db.Write, "DELETE FROM audit_registered_actions")
			set(t, db.Write, "INSERT INTO audit_registered_actions VALUES ('earlier:version')")
			for range 2 {
				if err := save(); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			if got := offered(); !slices.Equal(got, []string{"earlier:version", "invoice:pay"}) {
				t.Errorf("%s: the server finds %v", name, got)
			}
		}
		// With nothing new it only reads, and so waits for nobody who writes.
		tx := db.Write.Begin()
		defer tx.Rollback()
		if err := tx.Exec("INSERT INTO audit_registered_actions VALUES ('under:way')").Error; err != nil {
			t.Fatal(err)
		}
		if err := audit.SaveRegistered(t.Context(), db.Read); err != nil {
			t.Error(err)
		}
	})
}
