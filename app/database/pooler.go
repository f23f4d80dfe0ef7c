package database

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// A pooler such as PgBouncer may stand between the server and PostgreSQL. A connection to it is no session then: each
// transaction may run on another of the pooler's connections, which others use, too. So nothing is set for one, nothing
// is prepared on one under a name, and no lock outlives a transaction.

// wanted are the settings that our statements are made for. All of them read a few rows through an index: compiling one
// takes a hundred times as long as running it. Where an index has the wanted order, sorting is never better: without
// statistics, after a bulk import, PostgreSQL would read all of an organization and sort it. And single statements
// need no more than READ COMMITTED, under which none fails for another one.
//
// These are not parameters of the connection's start, which PgBouncer would refuse.
var wanted = []struct{ name, value, assignment string }{
	{"jit", "off", "jit = off"},
	{"enable_sort", "off", "enable_sort = off"},
	{"default_transaction_isolation", "read committed", "default_transaction_isolation = 'read committed'"},
}

// connector makes the connections of a pool.
type connector struct {
	driver.Connector
	session *session
}

// session is what is known of the connections to a server.
type session struct {
	modeChosen bool // the address says how statements are sent
	pooled     atomic.Bool
}

// pooledMode is how statements are sent through a pooler where the address says nothing: prepared under no name.
const pooledMode = pgx.QueryExecModeCacheDescribe

// errPooled ends the first connection through a pooler, whose statements would be prepared under names.
var errPooled = errors.New("there is a pooler")

func newConnector(config *pgx.ConnConfig, session *session) connector {
	config, writable := config.Copy(), &writableOnly{}
	config.OnPgError = writable.onError(config.OnPgError)
	return connector{session: session, Connector: stdlib.GetConnector(*config,
		stdlib.OptionResetSession(writable.reset),
		stdlib.OptionBeforeConnect(func(_ context.Context, config *pgx.ConnConfig) error {
			if session.pooled.Load() && !session.modeChosen {
				config.DefaultQueryExecMode = pooledMode
			}
			return nil
		}),
		stdlib.OptionAfterConnect(func(ctx context.Context, conn *pgx.Conn) error {
			err := session.begin(ctx, conn)
			if err == nil {
				err = writable.begin(ctx, conn)
			}
			if err != nil {
				_ = conn.Close(ctx)
			}
			return err
		}))}
}

// Connect makes a connection, and the first one through a pooler twice.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if errors.Is(err, errPooled) {
		conn, err = c.Connector.Connect(ctx)
	}
	return conn, err
}

// begin sets what is wanted for a connection that is PostgreSQL's own. One of a pooler's does not know the process that
// answers it.
func (s *session) begin(ctx context.Context, conn *pgx.Conn) error {
	process, missing, err := missingSettings(ctx, conn)
	switch {
	case err != nil:
		return err
	case process != conn.PgConn().PID():
		s.pooled.Store(true)
		if !s.modeChosen && conn.Config().DefaultQueryExecMode != pooledMode {
			return errPooled
		}
		return nil
	case len(missing) == 0:
		return nil
	}
	_, err = conn.Exec(ctx, "SET "+strings.Join(missing, "; SET "))
	return err
}

// missingSettings are the assignments that a connection lacks of what is wanted, and the process that answers it.
func missingSettings(ctx context.Context, conn *pgx.Conn) (process uint32, missing []string, err error) {
	question := "SELECT pg_backend_pid()"
	is := make([]string, len(wanted))
	into := []any{&process}
	for i, setting := range wanted {
		question += ", current_setting('" + setting.name + "')"
		into = append(into, &is[i])
	}
	err = conn.QueryRow(ctx, question, pgx.QueryExecModeSimpleProtocol).Scan(into...)
	for i, setting := range wanted {
		if is[i] != setting.value {
			missing = append(missing, setting.assignment)
		}
	}
	return process, missing, err
}

// checkPooler refuses a way of sending statements that the pooler between is not made for, and says what its
// connections lack.
func (s postgresServer) checkPooler(ctx context.Context, pool *sql.DB, log *slog.Logger) error {
	if !s.session.pooled.Load() {
		return nil
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(driverConn any) error {
		conn := driverConn.(*stdlib.Conn).Conn()
		switch mode := conn.Config().DefaultQueryExecMode; mode {
		case pgx.QueryExecModeDescribeExec:
			return errors.New("a pooler stands in between, which may answer the two halves of a statement on two connections: leave default_query_exec_mode=describe_exec out of the address")
		case pgx.QueryExecModeCacheStatement:
			apart, err := keepsStatementsApart(ctx, conn)
			if err == nil && !apart {
				err = errStatementsMixed
			}
			if err != nil {
				return err
			}
		}
		_, missing, err := missingSettings(ctx, conn)
		if err != nil || len(missing) == 0 {
			return err
		}
		var role, name string
		err = conn.QueryRow(ctx, "SELECT quote_ident(session_user), quote_ident(current_database())", pgx.QueryExecModeSimpleProtocol).Scan(&role, &name)
		if err != nil {
			return err
		}
		for i, assignment := range missing {
			missing[i] = "ALTER ROLE " + role + " IN DATABASE " + name + " SET " + assignment + ";"
		}
		log.Warn("a pooler stands between the server and PostgreSQL, so nothing is set for a connection: pages of large logs may take long until the role has the settings, and the pooler new connections",
			"statements", strings.Join(missing, " "))
		return nil
	})
}

var errStatementsMixed = errors.New("a pooler stands in between that does not tell the prepared statements of its clients apart: " +
	"leave default_query_exec_mode=cache_statement out of the address, or set max_prepared_statements of PgBouncer (1.21 or later)")

// keepsStatementsApart reports whether the pooler knows of prepared statements: it then gives them names of its own.
func keepsStatementsApart(ctx context.Context, conn *pgx.Conn) (apart bool, err error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, tx.Rollback(ctx)) }()
	name := "auditlogs_" + rand.Text()
	if _, err := tx.Prepare(ctx, name, "SELECT 1"); err != nil {
		return false, err
	}
	const question = "SELECT NOT EXISTS (SELECT FROM pg_prepared_statements WHERE name = $1)"
	if err := tx.QueryRow(ctx, question, pgx.QueryExecModeSimpleProtocol, name).Scan(&apart); err != nil {
		return false, err
	}
	return apart, conn.Deallocate(ctx, name)
}
