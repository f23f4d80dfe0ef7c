//go:build citus

package citustest

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// Who records needs no other node than the one where the organization's log is.
func TestAnEventGoesToTheNodeOfItsOrganizationAlone(t *testing.T) {
	config, err := pgx.ParseConfig(databasetest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	var commands, nodes []string
	config.OnNotice = func(_ *pgconn.PgConn, notice *pgconn.Notice) {
		if node, sent := strings.CutPrefix(notice.Detail, "on server "); sent {
			commands = append(commands, notice.Message)
			nodes = append(nodes, strings.Fields(node)[0])
		}
	}
	pool := stdlib.OpenDB(*config)
	t.Cleanup(func() { _ = pool.Close() })
	pool.SetMaxOpenConns(1)
	if _, err := audit.PostgreSQL.EnsureOrganization(t.Context(), pool, audit.Organization{Slug: "acme"}); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.ExecContext(t.Context(), "SET citus.log_remote_commands = on"); err != nil {
		t.Fatal(err)
	}
	event := audit.Event{Organization: "acme", Action: "service:update", EntityID: "svc-1", Actor: audit.Actor{ID: "u-1"}}
	failed, named, whole := event, event, event
	whole.Related = []audit.Resource{{Type: "subnet", ID: "subnet-1"}}
	whole.Actor.OnBehalfOf = &audit.Principal{ID: "p-1", Name: "Principal"}
	failed.Outcome, failed.NativeAction, named.ID = audit.OutcomeFailure, "svc:Update", "1"
	for name, events := range map[string][]audit.Event{"one": {event}, "one that failed": {failed}, "with an ID": {named}, "with parts": {whole}, "several": {event, whole, failed}} {
		for range 8 { // until PostgreSQL has one plan for all
			commands, nodes = nil, nil
			tx, err := pool.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(events) == 1 {
				_, err = audit.PostgreSQL.Record(t.Context(), tx, events[0])
			} else {
				_, err = audit.PostgreSQL.RecordAll(t.Context(), tx, events)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := tx.Commit(); err != nil {
				t.Fatal(err)
			}
			slices.Sort(nodes)
			if nodes = slices.Compact(nodes); len(nodes) != 1 {
				t.Fatalf("%s: goes to %s:\n%s", name, nodes, strings.Join(commands, "\n"))
			}
		}
	}
}
