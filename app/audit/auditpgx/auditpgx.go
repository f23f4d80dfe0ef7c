// Package auditpgx records events in transactions of pgx, without database/sql between:
//
//	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
//		if _, err := tx.Exec(ctx, "DELETE FROM services WHERE id = $1", service.ID); err != nil {
//			return err
//		}
//		_, err := auditpgx.Record(ctx, tx, audit.Event{
//			Organization: "acme",
//			Action:       action.ServiceDelete,
//			EntityID:     service.ID,
//		})
//		return err
//	})
//
// Its functions do the same by the same statements, and return the same errors, as those of package audit that take a
// *gorm.DB. What takes a *sql.DB takes stdlib.OpenDBFromPool(pool): migrate.SQL, which makes the tables, and
// audit.PostgreSQL.NewBatcher.
package auditpgx

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/internal/nilhandle"
)

// Handle is a pgx.Tx, or what sqlc generates for pgx as DBTX, where that holds one. A *pgxpool.Pool, *pgxpool.Conn or
// *pgx.Conn is given a transaction of its own where it takes more than a statement; whatever else is refused with
// audit.ErrNoTransaction.
type Handle interface {
	Exec(ctx context.Context, sql string, arguments ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, arguments ...any) (pgx.Rows, error)
}

// Record stores event in tx, the caller's transaction: see audit.Record.
func Record(ctx context.Context, tx Handle, event audit.Event) (audit.Receipt, error) {
	h, err := handleOf(tx)
	if err != nil {
		return audit.Receipt{}, err
	}
	return h.Record(ctx, event)
}

// RecordAll stores events in tx, all or none: see audit.RecordAll.
func RecordAll(ctx context.Context, tx Handle, events []audit.Event) ([]audit.Receipt, error) {
	h, err := handleOf(tx)
	if err != nil {
		return nil, err
	}
	return h.RecordAll(ctx, events)
}

// Backfill stores events of the past in tx, all or none: see audit.Backfill.
func Backfill(ctx context.Context, tx Handle, events []audit.Event) ([]audit.Receipt, error) {
	h, err := handleOf(tx)
	if err != nil {
		return nil, err
	}
	return h.Backfill(ctx, events)
}

// EnsureOrganization finds or creates an organization in tx: see audit.EnsureOrganization.
func EnsureOrganization(ctx context.Context, tx Handle, organization audit.Organization) (slug string, err error) {
	h, err := handleOf(tx)
	if err != nil {
		return "", err
	}
	return h.EnsureOrganization(ctx, organization)
}

func handleOf(tx Handle) (audit.Handle, error) {
	if nilhandle.Is(tx) {
		return audit.Handle{}, audit.ErrNoHandle
	}
	h := audit.Handle{Dialect: audit.PostgreSQL, Statements: statements{tx}}
	switch pool := tx.(type) {
	case interface {
		Commit(ctx context.Context) error
	}:
	case interface {
		BeginTx(ctx context.Context, options pgx.TxOptions) (pgx.Tx, error)
	}:
		h.Begin = func(ctx context.Context, do func(audit.Statements) error) error {
			// Recording is made for this level, whatever the pool's is.
			return pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error { return do(statements{tx}) })
		}
	default:
		return h, fmt.Errorf("%w: a %T has neither the Commit of a pgx.Tx nor the BeginTx of a *pgxpool.Pool: pass the transaction itself", audit.ErrNoTransaction, tx)
	}
	return h, nil
}

type statements struct{ Handle }

func (s statements) Exec(ctx context.Context, query string, args ...any) (rows int64, err error) {
	tag, err := s.Handle.Exec(ctx, query, args...)
	return tag.RowsAffected(), err
}

func (s statements) Query(ctx context.Context, query string, args ...any) (audit.Rows, error) {
	found, err := s.Handle.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	return rows{found}, nil
}

// rows are pgx's with the Close of database/sql; what went wrong is for Err to say.
type rows struct{ pgx.Rows }

func (r rows) Close() error {
	r.Rows.Close()
	return nil
}
