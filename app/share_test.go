package app_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
	"github.com/auditlogs/auditlogs/models/entries"
)

// heldListing holds what one organization asks until it is let go.
type heldListing struct {
	*entries.Log
	slug    string
	began   chan struct{}
	let     chan struct{}
	letOnce sync.Once
}

func (l *heldListing) Page(ctx context.Context, org models.Organization, q entries.Query) (entries.Page, error) {
	if org.Slug == l.slug {
		l.began <- struct{}{}
		select {
		case <-l.let:
		case <-ctx.Done():
			return entries.Page{}, ctx.Err()
		}
	}
	return l.Log.Page(ctx, org, q)
}

func (l *heldListing) letGo() { l.letOnce.Do(func() { close(l.let) }) }

// One organization asks more than its share at once: some of it waits and is told to come again, and others
// are answered as if nothing were.
func TestAFloodOfOneOrganizationHoldsUpNobodyElse(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		held := &heldListing{slug: "loud", began: make(chan struct{}, 100), let: make(chan struct{})}
		t.Cleanup(held.letGo)
		store, err := db.Store(nil)
		if err != nil {
			t.Fatal(err)
		}
		held.Log = entries.NewLog(store)
		server := apptest.Start(t, db, func(c *app.Config) { c.Listing = held })
		loud, calm := server.Organization(t, "loud"), server.Organization(t, "calm")
		member := server.As(t, server.Member(t, "loud@example.com", accounts.RoleMember, loud))
		other := server.As(t, server.Member(t, "calm@example.com", accounts.RoleMember, calm))
		keys := map[string]string{}
		for _, org := range []models.Organization{loud, calm} {
			err := server.Store.Transaction(t.Context(), func(tx *gorm.DB) error {
				_, token, err := accounts.CreateAPIKey(t.Context(), tx, org.ID, "reader", accounts.ScopeRead, "usr_1", 0)
				keys[org.Slug] = token
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		share := 5
		if db.Read.Name() == "sqlite" {
			share = 2
		}
		var first sync.WaitGroup
		for range share {
			first.Go(func() { member.Get("/orgs/loud/settings/audit-logs") })
		}
		for range share {
			<-held.began
		}
		over := make(chan *apptest.Page)
		for _, ask := range []func() *apptest.Page{
			func() *apptest.Page { return member.Get("/orgs/loud/settings/audit-logs") },
			func() *apptest.Page { return member.Fragment("/orgs/loud/settings/audit-logs/actors?text=a") },
			func() *apptest.Page { return member.Get("/orgs/loud/settings/audit-logs/export?format=csv") },
			func() *apptest.Page { return member.Get("/api/v1/entries", "Authorization", "Bearer "+keys["loud"]) },
		} {
			go func() { over <- ask() }()
		}
		for _, address := range []string{"/orgs/calm/settings/audit-logs", "/orgs/calm/settings/audit-logs?sort=user", "/orgs/calm/settings/audit-logs/export?format=csv"} {
			other.Get(address).Expect(http.StatusOK)
		}
		other.Get("/api/v1/entries", "Authorization", "Bearer "+keys["calm"]).Expect(http.StatusOK)
		problems := 0
		for range 4 {
			page := (<-over).Expect(http.StatusServiceUnavailable)
			if page.Header.Get("Retry-After") == "" {
				t.Error("what is over the share is not told when to come again")
			}
			if strings.Contains(page.Header.Get("Content-Type"), "problem+json") {
				problems++
			}
		}
		if problems != 1 {
			t.Errorf("%d programs were told in their own way, want one", problems)
		}
		held.letGo()
		first.Wait()
		member.Get("/orgs/loud/settings/audit-logs").Expect(http.StatusOK)
		other.Get("/api/v1/entries", "Authorization", "Bearer "+keys["loud"]).Expect(http.StatusOK)
		var exports int64
		if err := server.DB.Read.Table("audit_entries").Where("org_id = ? AND action = ?", loud.ID, action.AuditLogExport).Count(&exports).Error; err != nil || exports != 0 {
			t.Errorf("an export that was refused is recorded %d times, %v", exports, err)
		}
	})
}

// slowListing returns the error that the database gives a question that takes too long.
type slowListing struct {
	*entries.Log
	ask func(context.Context) error
}

func (l *slowListing) Page(ctx context.Context, _ models.Organization, _ entries.Query) (entries.Page, error) {
	return entries.Page{}, fmt.Errorf("read entries: %w", l.ask(ctx))
}

func TestATimeOutIsNoFaultOfTheServer(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		endless := "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
		if db.Read.Name() == "postgres" {
			endless = "SELECT count(*) FROM pg_sleep(100)"
		}
		ask := func(ctx context.Context, tx *gorm.DB) error {
			var count int
			return tx.WithContext(ctx).Raw(endless).Scan(&count).Error
		}
		soon := func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			return ask(ctx, db.Read)
		}
		cases := map[string]func(context.Context) error{
			"the deadline of the request": soon,
			"a pool without a connection": func(ctx context.Context) error {
				pool, err := db.Write.DB()
				if err != nil {
					return err
				}
				pool.SetMaxOpenConns(1)
				only, err := pool.Conn(ctx)
				if err != nil {
					return err
				}
				defer only.Close()
				ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
				defer cancel()
				return db.Write.WithContext(ctx).Exec("SELECT 1").Error
			},
		}
		if db.Read.Name() == "postgres" {
			cases["the database's own limit"] = func(ctx context.Context) error {
				return db.Read.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
					if err := tx.Exec("SET LOCAL statement_timeout = 50").Error; err != nil {
						return err
					}
					return ask(ctx, tx)
				})
			}
		}
		slow := &slowListing{}
		store, err := db.Store(nil)
		if err != nil {
			t.Fatal(err)
		}
		slow.Log = entries.NewLog(store)
		server := apptest.Start(t, db, func(c *app.Config) { c.Listing = slow })
		client := server.As(t, server.Member(t, "ada@example.com", accounts.RoleAdmin, server.Organization(t, "acme")))
		for name, ask := range cases {
			slow.ask = ask
			for _, get := range []func(string, ...string) *apptest.Page{client.Get, client.Fragment} {
				page := get("/orgs/acme/settings/audit-logs").Expect(http.StatusServiceUnavailable)
				if page.Header.Get("Retry-After") == "" || !strings.Contains(page.Body, "too much to do") {
					t.Errorf("%s: the answer is %v\n%s", name, page.Header, page.Body)
				}
			}
		}
	})
}
