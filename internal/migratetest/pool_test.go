package migratetest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/migrate"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// The bound of a pgx pool cannot be raised from outside, as that of database/sql is.
func TestAPoolOfTooFewConnectionsIsRefused(t *testing.T) {
	for size, few := range map[int32]bool{1: true, 2: true, 3: false} {
		config, err := pgxpool.ParseConfig(databasetest.EmptyPostgresURL(t))
		if err != nil {
			t.Fatal(err)
		}
		config.MaxConns = size
		pool, err := pgxpool.NewWithConfig(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if few {
			ctx, cancel = context.WithTimeout(ctx, time.Second)
			defer cancel()
		}
		db := stdlib.OpenDBFromPool(pool)
		defer db.Close()
		err = migrate.SQL(ctx, db, audit.PostgreSQL)
		if refused := err != nil && strings.Contains(err.Error(), "connections at once"); refused != few {
			t.Errorf("a pool of %d: %v", size, err)
		}
	}
}
