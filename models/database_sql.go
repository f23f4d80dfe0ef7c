package models

import (
	"context"
	"strconv"

	"gorm.io/gorm"
	"gorm.io/gorm/callbacks"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/schema"
)

// OpenSQL makes a *gorm.DB of a *sql.DB, *sql.Tx or *sql.Conn, for the functions of this package
// that take one. dialect is "sqlite" or "postgres"; the driver may be any. It costs no connection
// and no statement.
func OpenSQL(ctx context.Context, dialect string, pool gorm.ConnPool) (*gorm.DB, error) {
	base, ok := openDialects[dialect]
	if !ok {
		return nil, errDialect(dialect)
	}
	db := base.Session(&gorm.Session{NewDB: true, Context: ctx})
	db.Statement.ConnPool = pool
	return db, nil
}

// Fresh is tx without what a query that was begun with it says: a table, conditions, scopes. GORM's
// NewDB forgets that, but a session made of its answer remembers it. It asks for columns by their names, as the
// server does.
func Fresh(tx *gorm.DB) *gorm.DB {
	db := tx.Session(&gorm.Session{NewDB: true, QueryFields: true})
	db.Statement = &gorm.Statement{DB: db, ConnPool: tx.Statement.ConnPool, Context: tx.Statement.Context, Clauses: map[string]clause.Clause{}}
	return db
}

var openDialects = map[string]*gorm.DB{
	sqlite{}.name():   openDialector(sqlDialector(sqlite{}.name())),
	postgres{}.name(): openDialector(sqlDialector(postgres{}.name())),
}

func openDialector(d sqlDialector) *gorm.DB {
	db, err := gorm.Open(d, &gorm.Config{Logger: logger.Discard, SkipDefaultTransaction: true, DisableAutomaticPing: true, QueryFields: true})
	if err != nil {
		panic(err) // it opens nothing
	}
	return db
}

// sqlDialector is what GORM needs to know of a database to build statements; it knows no driver.
type sqlDialector string

func (d sqlDialector) Name() string { return string(d) }

func (sqlDialector) Initialize(db *gorm.DB) error {
	callbacks.RegisterDefaultCallbacks(db, &callbacks.Config{
		CreateClauses: []string{"INSERT", "VALUES", "ON CONFLICT", "RETURNING"},
	})
	return nil
}

func (d sqlDialector) BindVarTo(writer clause.Writer, statement *gorm.Statement, _ any) {
	if d == sqlDialector(postgres{}.name()) {
		_, _ = writer.WriteString("$" + strconv.Itoa(len(statement.Vars)))
		return
	}
	_ = writer.WriteByte('?')
}

// QuoteTo writes a name as it is: all of ours are plain.
func (sqlDialector) QuoteTo(writer clause.Writer, name string) { _, _ = writer.WriteString(name) }

func (sqlDialector) DefaultValueOf(*schema.Field) clause.Expression {
	return clause.Expr{SQL: "DEFAULT"}
}

func (sqlDialector) Explain(sql string, _ ...any) string { return sql }

func (sqlDialector) DataTypeOf(*schema.Field) string { return "" }

// Migrator returns nil: the schema is made by package migrations.
func (sqlDialector) Migrator(*gorm.DB) gorm.Migrator { return nil }
