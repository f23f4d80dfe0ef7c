// Records an event in a transaction that fails: nothing of it is in the log.
package main

import (
	"context"
	"errors"
	"log"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	_ "modernc.org/sqlite"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/migrate"
)

func main() {
	ctx := context.Background()
	db, err := gorm.Open(sqlite.Dialector{DriverName: "sqlite", DSN: "file:service.db?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_txlock=immediate"})
	if err != nil {
		log.Fatal(err)
	}
	if err := migrate.Up(ctx, db); err != nil {
		log.Fatal(err)
	}
	if _, err := audit.EnsureOrganization(ctx, db, audit.Organization{Slug: "acme"}); err != nil {
		log.Fatal(err)
	}
	failed := errors.New("the change itself failed")
	err = db.Transaction(func(tx *gorm.DB) error {
		_, err := audit.Record(ctx, tx, audit.Event{
			Organization: "acme", Action: action.ServiceDelete, EntityID: "svc-42", Actor: audit.System("clean-up"),
		})
		if err != nil {
			return err
		}
		return failed
	})
	if !errors.Is(err, failed) {
		log.Fatal(err)
	}
}
