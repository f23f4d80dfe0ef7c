package migrate_test

import (
	"context"
	"database/sql"
	"log"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/migrate"
)

var ctx = context.Background()

// At every start, from as many hosts as there are.
func ExampleUp() {
	var db *gorm.DB // the service's database
	if err := migrate.Up(ctx, db); err != nil {
		log.Fatal(err)
	}
}

func ExampleSQL() {
	var pool *sql.DB // the service's database
	if err := migrate.SQL(ctx, pool, audit.PostgreSQL); err != nil {
		log.Fatal(err)
	}
}
