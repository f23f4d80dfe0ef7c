// Records the first event of a service on pgx: the change and the entry commit together, or not at all.
package main

import (
	"context"
	"log"
	"os"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/auditpgx"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/migrate"
)

func main() {
	ctx := audit.WithActor(context.Background(), audit.Actor{ID: "u-7", Name: "Ada Lovelace", Email: "ada@example.com"})
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	if err := migrate.SQL(ctx, stdlib.OpenDBFromPool(pool), audit.PostgreSQL); err != nil { // creates the audit_… tables
		log.Fatal(err)
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := auditpgx.EnsureOrganization(ctx, tx, audit.Organization{Slug: "acme", Name: "Acme"}); err != nil {
			return err
		}
		// Here the service changes its own tables with tx; an error undoes that and the entry alike.
		_, err := auditpgx.Record(ctx, tx, audit.Event{
			Organization: "acme", Action: action.ServiceUpdate, EntityID: "svc-42", EntityName: "checkout",
			Metadata: map[string]any{"changes": map[string]audit.Change{"replicas": {Before: 2, After: 4}}},
		})
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
}
