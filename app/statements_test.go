package app_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// listeningPool is a pool that notes the statements it is given by requests: who read what is kept in the background, now
// and then.
type listeningPool struct {
	*sql.DB
	mutex sync.Mutex
	heard []string
}

func (p *listeningPool) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	p.note(query, args)
	return p.DB.QueryContext(ctx, query, args...)
}

func (p *listeningPool) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	p.note(query, args)
	return p.DB.QueryRowContext(ctx, query, args...)
}

func (p *listeningPool) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	p.note(query, args)
	return p.DB.ExecContext(ctx, query, args...)
}

func (p *listeningPool) GetDBConn() (*sql.DB, error) { return p.DB, nil }

func (p *listeningPool) note(query string, args []any) {
	if strings.Contains(query, "audit_access_log") {
		return
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.heard = append(p.heard, fmt.Sprint(query, args))
}

// statements are those that do gave to the pool.
func (p *listeningPool) statements(do func()) []string {
	p.mutex.Lock()
	p.heard = nil
	p.mutex.Unlock()
	do()
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.heard
}

// listenTo is the pool that db reads from, from now on noting what it is asked.
func listenTo(t *testing.T, db *database.DB) *listeningPool {
	t.Helper()
	pool, err := db.Read.DB()
	if err != nil {
		t.Fatal(err)
	}
	listening := &listeningPool{DB: pool}
	db.Read.ConnPool, db.Read.Statement.ConnPool = listening, listening
	return listening
}

func TestNoPageAsksTheSameTwice(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		pool := listenTo(t, db)
		server := apptest.Start(t, db)
		acme := server.Organization(t, "acme")
		client := server.As(t, server.Member(t, "ada@example.com", accounts.RoleAdmin, acme))
		record := func(n int, name string) {
			t.Helper()
			events := make([]audit.Event, n)
			for i := range events {
				events[i] = audit.Event{
					Organization: "acme", Action: []action.Action{action.ServiceUpdate, action.ProjectCreate, action.DeploymentCreate}[i%3],
					EntityID: fmt.Sprintf("id-%d", i%7), EntityName: name,
					Actor:      audit.Actor{ID: fmt.Sprintf("usr_%d", i%2), Name: fmt.Sprintf("Person %d", i%2)},
					OccurredAt: server.Clock.Now().Add(time.Duration(i) * time.Millisecond),
				}
			}
			err := server.Store.Transaction(t.Context(), func(tx *gorm.DB) error {
				_, err := audit.RecordAll(t.Context(), tx, events)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			server.Clock.Advance(time.Hour)
		}
		record(120, "ledger")
		for _, enabled := range []string{"", "on"} { // the log has a gap
			client.Post("/orgs/acme/settings/audit", "enabled", enabled, "retention_days", "90", "confirm", "yes").Expect(303)
			server.Clock.Advance(time.Hour)
		}
		// Those called ledger are so far from each other, and from the newest, that they are sought.
		record(3500, "billing")
		record(25, "ledger")
		record(700, "billing")

		path := "/orgs/acme/settings/audit-logs"
		client.Get(path).Expect(200) // it is the organization last used
		for _, query := range []string{
			"limit=25", "limit=25&dir=asc", "limit=25&action=service:update", "limit=25&entity_type=project",
			"limit=25&actor=usr_1", "limit=25&actor=usr_1&actor=usr_0&action=service:update", "limit=25&sort=action",
			"limit=25&sort=entity_type&dir=desc", "limit=25&sort=user", "limit=25&sort=user&actor=usr_1", "limit=25&q=billing",
			"limit=25&q=service", "limit=25&q=ledger", "limit=25&q=ledger&sort=action", "limit=25&q=ledger&sort=user&actor=usr_1", "limit=25&q=id-3+billing&actor=usr_1&action=service:update", "limit=25&q=billing&sort=action",
			"q=no+such+thing", "from=-1h&action=never:recorded",
		} {
			// Forth to the third page, and back to the first.
			for address, links := path+"?"+query, []string{"next", "next", "prev", "prev", ""}; address != ""; links = links[1:] {
				var shown *apptest.Page
				for name, get := range map[string]func(string, ...string) *apptest.Page{"page": client.Get, "fragment": client.Fragment} {
					statements := pool.statements(func() { shown = get(address).Expect(200) })
					if n := len(statements); n == 0 || n > 50 {
						t.Errorf("the %s %s takes %d statements", name, address, n)
						continue
					}
					slices.Sort(statements)
					for i := range statements[1:] {
						if statements[i] == statements[i+1] {
							t.Errorf("the %s %s asks twice: %s", name, address, statements[i])
						}
					}
				}
				address = shown.Find(".pages [rel='"+links[0]+"']").AttrOr("href", "")
			}
		}

		// Who asks, the entries, when logging was off, and the views beside them; a page also asks for what its menus offer.
		for most, get := range map[int]func(string, ...string) *apptest.Page{4: client.Fragment, 8: client.Get} {
			if statements := pool.statements(func() { get(path).Expect(200) }); len(statements) > most {
				t.Errorf("%d statements instead of %d:\n%s", len(statements), most, strings.Join(statements, "\n"))
			}
		}
	})
}

// runsBegun counts the runs of an index of the entries that statements begin.
func runsBegun(statements []string) (runs int) {
	for _, statement := range statements {
		runs += strings.Count(statement, "INDEXED BY")
		if _, args, found := strings.Cut(statement, "unnest($"); found {
			_, args, _ = strings.Cut(args, `[{"`)
			groups, _, _ := strings.Cut(args, "}")
			runs += strings.Count(groups, ",") + 1
		}
	}
	return runs
}

// Two hundred actions and two hundred users were 40,000 runs of an index.
func TestNoQuestionBeginsMoreRunsThanAPageMay(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		pool := listenTo(t, db)
		server := apptest.Start(t, db)
		acme := server.Organization(t, "acme")
		client := server.As(t, server.Member(t, "ada@example.com", accounts.RoleAdmin, acme))
		var events []audit.Event
		for i := range 1200 {
			events = append(events, audit.Event{
				Organization: "acme", Action: action.Action(fmt.Sprintf("type%d:verb%d", i%20, i%40)),
				EntityID: fmt.Sprintf("id-%d", i), Actor: audit.Actor{ID: fmt.Sprintf("usr_%d", i%300), Name: fmt.Sprintf("Person %d", i%150)},
				OccurredAt: server.Clock.Now().Add(-time.Duration(i) * time.Minute),
			})
		}
		err := server.Store.Transaction(t.Context(), func(tx *gorm.DB) error {
			for part := range slices.Chunk(events, 500) {
				if _, err := audit.RecordAll(t.Context(), tx, part); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		ticks := func(name, value string, n int) string {
			var query strings.Builder
			for i := range n {
				fmt.Fprintf(&query, "&%s=%s%d", name, value, i)
			}
			return query.String()
		}
		actions := ticks("action", "no:thing", 160) + ticks("action", "type1:verb", 40)
		actors := ticks("actor", "usr_", 200)
		for _, sorted := range []string{"&dir=asc", "&sort=action", "&sort=entity_type", "&sort=user"} {
			for _, asked := range []string{actions + actors, actors, ticks("action", "type1:verb", 200), actions + actors + "&entity_type=type1", "&action=type1:*" + actors} {
				for _, search := range []string{"", "&q=id-10"} {
					want := 0
					for _, e := range events {
						if action := string(e.Action); strings.Contains(asked, "action=") && !strings.HasPrefix(action, "type1:") ||
							strings.Contains(asked, "actor=") && !strings.Contains(asked+"&", "actor="+e.Actor.ID+"&") ||
							search != "" && !strings.Contains(e.EntityID, search[3:]) {
							continue
						}
						want++
					}
					var shown *apptest.Page
					address := "/orgs/acme/settings/audit-logs?limit=100" + sorted + asked + search
					statements := pool.statements(func() { shown = client.Fragment(address).Expect(200) })
					if runs := runsBegun(statements); runs > 2500 || len(statements) > 50 {
						t.Errorf("%.40s…%s%s takes %d statements of %d runs", asked, sorted, search, len(statements), runs)
					}
					// This log is short enough to be looked through with one page.
					if got := shown.Find("tbody[data-entry-id]").Length(); got != min(want, 100) {
						t.Errorf("%.40s…%s%s shows %d entries of %d", asked, sorted, search, got, want)
					}
				}
			}
		}
	})
}
