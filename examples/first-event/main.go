// Records the first event of a service: the change and the entry commit together, or not at all.
package main

import (
	"context"
	"log"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	_ "modernc.org/sqlite"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/migrate"
)

func main() {
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "u-7", Name: "Ada Lovelace", Email: "ada@example.com"})
	// The server, or another process, may write to the same file at the same time: each waits for the other.
	const address = "file:service.db?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_txlock=immediate"
	db, err := gorm.Open(sqlite.Dialector{DriverName: "sqlite", DSN: address})
	if err != nil {
		log.Fatal(err)
	}
	if err := migrate.Up(ctx, db); err != nil { // creates the audit_… tables
		log.Fatal(err)
	}
	err = db.Transaction(func(tx *gorm.DB) error {
		if _, err := audit.EnsureOrganization(ctx, tx, audit.Organization{Slug: "acme", Name: "Acme"}); err != nil {
			return err
		}
		// Here the service changes its own tables with tx; an error undoes that and the entry alike.
		_, err := audit.Record(ctx, tx, audit.Event{
			Organization: "acme", Action: action.ServiceUpdate, EntityID: "svc-42", EntityName: "checkout",
			Metadata: map[string]any{"changes": map[string]audit.Change{"replicas": {Before: 2, After: 4}}},
		})
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
}
