// Package database opens the databases the audit log can be kept in: SQLite, embedded and the
// default, and PostgreSQL.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/migrate"
	"github.com/auditlogs/auditlogs/models"
)

// DB is an open database: a pool that writes and one for questions. On PostgreSQL they are the
// same; on SQLite Write has the one connection that writes, and Read refuses to.
type DB struct {
	Write, Read *gorm.DB

	standbys *standbys // nil: the log is read from Read as well

	// Of SQLite.
	place       sqlitePlace
	checkpoints *checkpoints
	closeFile   func() error
}

// Open opens the database that url names: "sqlite:PATH", or "postgres://user:password@host/name".
//
// A SQLite file is created together with its folder. PostgreSQL is waited for up to 30 seconds
// while it cannot be reached or is still starting; a wrong password or an unknown database fails
// at once. Every error is one line that can be shown to the operator; it never holds the password.
func Open(ctx context.Context, url string, log *slog.Logger) (*DB, error) {
	if path, ok := SQLiteFile(url); ok {
		return openSQLite(ctx, path, log)
	}
	scheme, _, found := strings.Cut(url, ":")
	switch {
	case found && (scheme == "postgres" || scheme == "postgresql"):
		return openPostgres(ctx, url, log)
	case found && !strings.ContainsAny(scheme, `/\.`) && len(scheme) > 1:
		return nil, fmt.Errorf("database: %q databases are not supported; use sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME", scheme)
	default:
		return nil, errors.New("database: the address must begin with sqlite: or postgres://, such as sqlite:data/auditlogs.db")
	}
}

// Migrate brings the schema up to date. It may run on several hosts at once.
func (db *DB) Migrate(ctx context.Context) error { return migrate.Up(ctx, db.Write) }

// UpToDate reports whether the schema is there and is that of this program, or of a later version. It
// changes nothing.
func (db *DB) UpToDate(ctx context.Context) (bool, error) {
	there, ours, err := migrate.Versions(ctx, db.Write)
	return there >= ours, err
}

// Store gives access to the rows. now is the clock retention is measured by; nil means time.Now.
func (db *DB) Store(now func() time.Time) (*models.Store, error) {
	return models.NewStore(db.Write, db.Read, db.standbys.reader(), now)
}

// Pools are the pools by what they are for: "write" and "read" of SQLite, which is "database" on PostgreSQL, and
// "replica_1" and so on.
func (db *DB) Pools() map[string]*sql.DB {
	pools := map[string]*sql.DB{}
	add := func(name string, g *gorm.DB) {
		if pool, err := g.DB(); err == nil {
			pools[name] = pool
		}
	}
	if db.Write == db.Read {
		add("database", db.Write)
	} else {
		add("write", db.Write)
		add("read", db.Read)
	}
	if db.standbys != nil {
		for i, one := range db.standbys.all {
			pools["replica_"+strconv.Itoa(i+1)] = one.pool
		}
	}
	return pools
}

// Close closes the pools. Statements under way end first.
func (db *DB) Close() error {
	db.checkpoints.Close()
	errs := []error{db.standbys.Close()}
	for _, g := range []*gorm.DB{db.Read, db.Write} {
		if g == nil {
			continue
		}
		pool, err := g.DB()
		if err == nil {
			err = pool.Close() // closing a pool twice is fine
		}
		errs = append(errs, err)
	}
	if db.closeFile != nil {
		errs = append(errs, db.closeFile())
	}
	return errors.Join(errs...)
}

// gormConfig is how GORM behaves on both databases. Single statements need no transaction of
// their own. Statements are not prepared by GORM: pgx keeps them per connection, and so do our
// connections to SQLite.
func gormConfig(log *slog.Logger) *gorm.Config {
	return &gorm.Config{
		Logger:                 statementLog{log},
		TranslateError:         true,
		SkipDefaultTransaction: true,
		DisableAutomaticPing:   true,
		NowFunc:                func() time.Time { return time.Now().UTC() },
		// Not "*": the answer to a prepared statement may not get more columns, as it would when a later version migrates.
		QueryFields: true,
	}
}
