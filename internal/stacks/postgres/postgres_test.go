// Package postgres tests the libraries that keep rows in PostgreSQL.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"
	_ "github.com/lib/pq" // the driver "postgres"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	gormpostgres "gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/auditpgx"
	"github.com/auditlogs/auditlogs/internal/stacks/conformance"
)

// open opens a database with the tables of the log through a driver of database/sql.
func open(t *testing.T, driver string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestDatabaseSQL(t *testing.T) {
	for _, driver := range []string{"pgx", "postgres"} {
		t.Run(driver, func(t *testing.T) { conformance.Run(t, conformance.DatabaseSQL(audit.PostgreSQL, open(t, driver))) })
	}
}

func TestGORM(t *testing.T) {
	for name, config := range map[string]*gorm.Config{"as it is": {Logger: logger.Discard}, "with prepared statements": {Logger: logger.Discard, PrepareStmt: true}} {
		t.Run(name, func(t *testing.T) {
			db, err := gorm.Open(gormpostgres.New(gormpostgres.Config{Conn: open(t, "pgx")}), config)
			if err != nil {
				t.Fatal(err)
			}
			conformance.Run(t, conformance.GORM(t, audit.PostgreSQL, db))
		})
	}
}

func TestPgx(t *testing.T) {
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(strings.ReplaceAll(mode.String(), " ", "_"), func(t *testing.T) {
			pool := openPgx(t, mode)
			conn, err := pool.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Release()
			conformance.Run(t, conformance.Stack{
				Dialect: audit.PostgreSQL,
				DB:      stdlib.OpenDBFromPool(pool),
				Begin: func(ctx context.Context) (conformance.Tx, error) {
					tx, err := pool.Begin(ctx)
					return ofPgx(tx), err
				},
				Pools: map[string]conformance.Recorder{
					"*pgxpool.Pool": conformance.OverPgx(pool), "*pgxpool.Conn": conformance.OverPgx(conn), "*pgx.Conn": conformance.OverPgx(conn.Conn()),
				},
				NoDatabase: map[string]conformance.Recorder{
					"nil": conformance.OverPgx(nil), "*pgxpool.Pool": conformance.OverPgx((*pgxpool.Pool)(nil)),
					"*pgxpool.Tx": conformance.OverPgx((*pgxpool.Tx)(nil)), "a zero audit.Handle": audit.Handle{Dialect: audit.PostgreSQL},
				},
				NoTransaction: map[string]conformance.Recorder{"without Commit": conformance.OverPgx(struct{ auditpgx.Handle }{pool})},
			})
		})
	}
}

func TestThePoolOfPgxIsClosed(t *testing.T) {
	pool := openPgx(t, pgx.QueryExecModeCacheStatement)
	pool.Close()
	if _, err := auditpgx.Record(ctx, pool, event); !errors.Is(err, audit.ErrHandleClosed) {
		t.Errorf("Record returns %v", err)
	}
}

func TestTheTablesAreMissing(t *testing.T) {
	address := database(t)
	pool, err := pgxpool.New(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	db, err := sql.Open("postgres", address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := pool.Exec(t.Context(), "DROP SCHEMA public CASCADE; CREATE SCHEMA public"); err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]conformance.Recorder{"pgx": conformance.OverPgx(pool), "lib/pq": conformance.OverSQL(audit.PostgreSQL, db)} {
		if _, err := in.Record(ctx, event); !errors.Is(err, audit.ErrNotMigrated) {
			t.Errorf("%s: Record returns %v", name, err)
		}
		if _, err := in.EnsureOrganization(ctx, audit.Organization{Slug: "acme"}); !errors.Is(err, audit.ErrNotMigrated) {
			t.Errorf("%s: EnsureOrganization returns %v", name, err)
		}
	}
}

func openPgx(t *testing.T, mode pgx.QueryExecMode) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(database(t))
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.DefaultQueryExecMode = mode
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func ofPgx(tx pgx.Tx) conformance.Tx {
	return conformance.Tx{
		Recorder: conformance.OverPgx(tx),
		Exec: func(ctx context.Context, query string) error {
			_, err := tx.Exec(ctx, query)
			return err
		},
		Commit: func(ctx context.Context) error { return tx.Commit(ctx) }, Rollback: func(ctx context.Context) error { return tx.Rollback(ctx) },
		Nested: func(ctx context.Context) (conformance.Tx, error) {
			inner, err := tx.Begin(ctx)
			return ofPgx(inner), err
		},
	}
}

func TestSQLX(t *testing.T) {
	db := sqlx.NewDb(open(t, "pgx"), "pgx")
	conformance.Run(t, conformance.Stack{
		Dialect: audit.PostgreSQL,
		DB:      db.DB,
		Begin: func(ctx context.Context) (conformance.Tx, error) {
			tx, err := db.BeginTxx(ctx, nil)
			return conformance.OfSQL(audit.PostgreSQL, tx), err
		},
		Pools:      map[string]conformance.Recorder{"*sqlx.DB": conformance.OverSQL(audit.PostgreSQL, db)},
		NoDatabase: map[string]conformance.Recorder{"*sqlx.Tx": conformance.OverSQL(audit.PostgreSQL, (*sqlx.Tx)(nil))},
	})
}

func TestBun(t *testing.T) {
	db := bun.NewDB(open(t, "pgx"), pgdialect.New())
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conformance.Run(t, conformance.Stack{
		Dialect: audit.PostgreSQL,
		DB:      db.DB,
		Begin: func(ctx context.Context) (conformance.Tx, error) {
			tx, err := db.BeginTx(ctx, nil)
			return ofBun(tx), err
		},
		Pools: map[string]conformance.Recorder{
			"*bun.DB": conformance.OverSQL(audit.PostgreSQL, db), "bun.Conn": conformance.OverSQL(audit.PostgreSQL, conn),
		},
		NoDatabase: map[string]conformance.Recorder{
			"bun.Tx": conformance.OverSQL(audit.PostgreSQL, bun.Tx{}), "*bun.DB": conformance.OverSQL(audit.PostgreSQL, (*bun.DB)(nil)),
		},
	})
}

func ofBun(tx bun.Tx) conformance.Tx {
	made := conformance.OfSQL(audit.PostgreSQL, tx)
	made.Nested = func(ctx context.Context) (conformance.Tx, error) {
		inner, err := tx.BeginTx(ctx, nil)
		return ofBun(inner), err
	}
	return made
}

// The code that ent generates with the feature sql/execquery hands ExecContext and QueryContext on to the transaction of
// its driver: entTx is that part of it.
func TestEnt(t *testing.T) {
	driver := entsql.OpenDB(dialect.Postgres, open(t, "pgx"))
	conformance.Run(t, conformance.Stack{
		Dialect: audit.PostgreSQL,
		DB:      driver.DB(),
		Begin: func(ctx context.Context) (conformance.Tx, error) {
			tx, err := driver.Tx(ctx)
			if err != nil {
				return conformance.Tx{}, err
			}
			return conformance.OfSQL(audit.PostgreSQL, &entTx{tx}), nil
		},
		NoDatabase: map[string]conformance.Recorder{"*ent.Tx": conformance.OverSQL(audit.PostgreSQL, (*entTx)(nil))},
		// ent's client begins transactions of its own kind.
		NoTransaction: map[string]conformance.Recorder{"*ent.Client": conformance.OverSQL(audit.PostgreSQL, struct{ audit.ExecQuerier }{driver})},
	})
}

type entTx struct{ dialect.Tx }

func (tx *entTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return tx.Tx.(interface {
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	}).ExecContext(ctx, query, args...)
}

func (tx *entTx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return tx.Tx.(interface {
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	}).QueryContext(ctx, query, args...)
}

// What sqlc generates takes a DBTX, and WithTx gives it a transaction.
type (
	sqlcForSQL interface {
		ExecContext(context.Context, string, ...any) (sql.Result, error)
		PrepareContext(context.Context, string) (*sql.Stmt, error)
		QueryContext(context.Context, string, ...any) (*sql.Rows, error)
		QueryRowContext(context.Context, string, ...any) *sql.Row
	}
	sqlcForPgx interface {
		Exec(context.Context, string, ...any) (pgconn.CommandTag, error)
		Query(context.Context, string, ...any) (pgx.Rows, error)
		QueryRow(context.Context, string, ...any) pgx.Row
	}
)

func TestSqlcOverDatabaseSQL(t *testing.T) {
	stack := conformance.DatabaseSQL(audit.PostgreSQL, open(t, "pgx"))
	stack.Begin = func(ctx context.Context) (conformance.Tx, error) {
		tx, err := stack.DB.BeginTx(ctx, nil)
		if err != nil {
			return conformance.Tx{}, err
		}
		made, db := conformance.OfSQL(audit.PostgreSQL, tx), sqlcForSQL(tx)
		made.Recorder = conformance.OverSQL(audit.PostgreSQL, db)
		return made, nil
	}
	stack.Pools = map[string]conformance.Recorder{"DBTX": conformance.OverSQL(audit.PostgreSQL, sqlcForSQL(stack.DB))}
	conformance.Run(t, stack)
}

func TestSqlcOverPgx(t *testing.T) {
	pool := openPgx(t, pgx.QueryExecModeCacheStatement)
	conformance.Run(t, conformance.Stack{
		Dialect: audit.PostgreSQL,
		DB:      stdlib.OpenDBFromPool(pool),
		Begin: func(ctx context.Context) (conformance.Tx, error) {
			tx, err := pool.Begin(ctx)
			if err != nil {
				return conformance.Tx{}, err
			}
			made, db := ofPgx(tx), sqlcForPgx(tx)
			made.Recorder = conformance.OverPgx(db)
			return made, nil
		},
		Pools: map[string]conformance.Recorder{"DBTX": conformance.OverPgx(sqlcForPgx(pool))},
	})
}

// Whatever level the pool is set to, what is recorded in no transaction of the caller's is looked for among what is known.
func TestATransactionOfRecordingsOwnIsReadCommitted(t *testing.T) {
	config, err := pgxpool.ParseConfig(database(t))
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.RuntimeParams["default_transaction_isolation"] = "serializable"
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := auditpgx.EnsureOrganization(t.Context(), pool, audit.Organization{Slug: "acme"}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		event := audit.Event{Organization: "acme", Action: "service:update", EntityID: "svc-1", Actor: audit.Actor{ID: "u1", Name: "Ada"}}
		if _, err := auditpgx.RecordAll(t.Context(), pool, []audit.Event{event}); err != nil {
			t.Fatal(err)
		}
	}
	var rows int
	if err := pool.QueryRow(t.Context(), "SELECT COUNT(*) FROM audit_entities").Scan(&rows); err != nil || rows != 1 {
		t.Errorf("there are %d rows of one entity: %v", rows, err)
	}
}
