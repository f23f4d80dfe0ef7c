package auditpgx_test

import (
	"context"
	"log"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/auditpgx"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
)

var (
	pool *pgxpool.Pool                                                                         // the service's database
	ctx  = audit.WithActor(context.Background(), audit.Actor{ID: "u-7", Name: "Ada Lovelace"}) // as middleware does
)

// The change and the entry commit together, or not at all.
func ExampleRecord() {
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM services WHERE id = $1", "svc-42"); err != nil {
			return err
		}
		_, err := auditpgx.Record(ctx, tx, audit.Event{Organization: "acme", Action: action.ServiceDelete, EntityID: "svc-42"})
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
}

// Events that belong to no transaction, many a second.
func Example_batcher() {
	batcher, err := audit.PostgreSQL.NewBatcher(stdlib.OpenDBFromPool(pool), audit.BatcherConfig{}) // at start
	if err != nil {
		log.Fatal(err)
	}
	defer batcher.Close(ctx)
	if _, err := batcher.Record(ctx, audit.Event{Organization: "acme", Action: "report:view", EntityID: "r-1"}); err != nil {
		log.Print(err)
	}
}
