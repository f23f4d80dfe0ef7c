package postgres

import (
	"context"
	"database/sql"
	"log"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jmoiron/sqlx"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	gormpostgres "gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/auditpgx"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
)

// The service of these examples.
type Service struct {
	ID string `bun:",pk"`
}

var (
	service = Service{ID: "svc-42"}
	event   = audit.Event{Organization: "acme", Action: action.ServiceDelete, EntityID: service.ID}
	ctx     = audit.WithActor(context.Background(), audit.Actor{ID: "u-7", Name: "Ada Lovelace"}) // as middleware does

	pool    *pgxpool.Pool
	queries *Queries
	db      *sql.DB
	sqlxDB  *sqlx.DB
	bunDB   *bun.DB
	client  *entClient
	gormDB  *gorm.DB
)

func Example_pgx() {
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "DELETE FROM services WHERE id = $1", service.ID); err != nil {
			return err
		}
		_, err := auditpgx.Record(ctx, tx, event)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
}

func Example_sqlc() {
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if err := queries.WithTx(tx).DeleteService(ctx, service.ID); err != nil {
			return err
		}
		_, err := auditpgx.Record(ctx, tx, event)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
}

func Example_databaseSQL() {
	err := func() error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback() // of no effect after Commit
		if _, err := tx.ExecContext(ctx, "DELETE FROM services WHERE id = $1", service.ID); err != nil {
			return err
		}
		if _, err := audit.PostgreSQL.Record(ctx, tx, event); err != nil {
			return err
		}
		return tx.Commit()
	}()
	if err != nil {
		log.Fatal(err)
	}
}

func Example_sqlx() {
	err := func() error {
		tx, err := sqlxDB.BeginTxx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if _, err := tx.NamedExecContext(ctx, "DELETE FROM services WHERE id = :id", service); err != nil {
			return err
		}
		if _, err := audit.PostgreSQL.Record(ctx, tx, event); err != nil {
			return err
		}
		return tx.Commit()
	}()
	if err != nil {
		log.Fatal(err)
	}
}

func Example_bun() {
	err := bunDB.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.NewDelete().Model(&service).WherePK().Exec(ctx); err != nil {
			return err
		}
		_, err := audit.PostgreSQL.Record(ctx, tx, event)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
}

func Example_ent() {
	err := func() error {
		tx, err := client.Tx(ctx)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if err := tx.Service.DeleteOneID(service.ID).Exec(ctx); err != nil {
			return err
		}
		if _, err := audit.PostgreSQL.Record(ctx, tx, event); err != nil {
			return err
		}
		return tx.Commit()
	}()
	if err != nil {
		log.Fatal(err)
	}
}

func Example_gorm() {
	err := gormDB.Transaction(func(tx *gorm.DB) error {
		if err := tx.Delete(&service).Error; err != nil {
			return err
		}
		_, err := audit.Record(ctx, tx, event)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
}

func TestExamples(t *testing.T) {
	address := database(t)
	var err error
	if pool, err = pgxpool.New(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if db, err = sql.Open("pgx", address); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if gormDB, err = gorm.Open(gormpostgres.New(gormpostgres.Config{Conn: db}), &gorm.Config{}); err != nil {
		t.Fatal(err)
	}
	queries, sqlxDB, bunDB, client = &Queries{pool}, sqlx.NewDb(db, "pgx"), bun.NewDB(db, pgdialect.New()), &entClient{entsql.OpenDB(dialect.Postgres, db)}
	if _, err := audit.PostgreSQL.EnsureOrganization(t.Context(), db, audit.Organization{Slug: "acme"}); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE services (id text PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	recorded := 0
	for name, example := range map[string]func(){
		"pgx": Example_pgx, "sqlc": Example_sqlc, "database/sql": Example_databaseSQL, "sqlx": Example_sqlx,
		"bun": Example_bun, "ent": Example_ent, "GORM": Example_gorm,
	} {
		if _, err := db.ExecContext(t.Context(), "INSERT INTO services (id) VALUES ($1)", service.ID); err != nil {
			t.Fatal(err)
		}
		example() // where it fails, it ends the program
		recorded++
		var services, entries int
		err := db.QueryRowContext(t.Context(), "SELECT (SELECT COUNT(*) FROM services), (SELECT COUNT(*) FROM audit_entries)").Scan(&services, &entries)
		if err != nil || services != 0 || entries != recorded {
			t.Errorf("after the example of %s there are %d services and %d entries, want 0 and %d (%v)", name, services, entries, recorded, err)
		}
	}
}

// Queries is what sqlc generates for DELETE FROM services WHERE id = $1.
type Queries struct{ db sqlcForPgx }

func (q *Queries) WithTx(tx pgx.Tx) *Queries { return &Queries{db: tx} }

func (q *Queries) DeleteService(ctx context.Context, id string) error {
	_, err := q.db.Exec(ctx, "DELETE FROM services WHERE id = $1", id)
	return err
}

// entClient is, in small, the client that ent generates for a schema Service.
type entClient struct{ driver *entsql.Driver }

func (c *entClient) Tx(ctx context.Context) (*entServiceTx, error) {
	tx, err := c.driver.Tx(ctx)
	if err != nil {
		return nil, err
	}
	made := &entServiceTx{entTx: &entTx{tx}}
	made.Service.tx = made.entTx
	return made, nil
}

type entServiceTx struct {
	*entTx
	Service entServices
}

type entServices struct{ tx *entTx }

func (s entServices) DeleteOneID(id string) entServiceDelete { return entServiceDelete{s.tx, id} }

type entServiceDelete struct {
	tx *entTx
	id string
}

func (d entServiceDelete) Exec(ctx context.Context) error {
	_, err := d.tx.ExecContext(ctx, "DELETE FROM services WHERE id = $1", d.id)
	return err
}
