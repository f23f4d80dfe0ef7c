package app_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/handlers/settings"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/jobs"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// What transactions under SERIALIZABLE record is added to search and menus without a look at what is there. Nobody sees
// that, and the clean-up merges it.
func TestWhatIsAddedBlindlyIsShownOnceAndMerged(t *testing.T) {
	db := databasetest.Postgres(t)
	server := apptest.Start(t, db)
	org := server.Organization(t, "acme")
	admin := server.As(t, server.Member(t, "ada@example.com", accounts.RoleAdmin, org))
	record := func(level sql.IsolationLevel, resource, actor string) {
		t.Helper()
		event := audit.Event{
			Organization: "acme", NativeAction: "ec2:RunInstances", EntityType: "server", EntityID: resource, EntityName: "Checkout " + resource,
			Related: []audit.Resource{{Type: "subnet", ID: "subnet-1", Name: "Inner subnet"}},
			Actor:   audit.Actor{ID: actor, Name: "User " + actor},
		}
		err := server.Store.Writer(t.Context()).Transaction(func(tx *gorm.DB) error {
			_, err := audit.Record(t.Context(), tx, event)
			return err
		}, &sql.TxOptions{Isolation: level})
		if err != nil {
			t.Fatal(err)
		}
	}
	// One that is known, and some that nobody has seen before.
	record(sql.LevelReadCommitted, "web-0", "u-0")
	const each, resources = 40, 3
	for range each {
		for n := range resources {
			record(sql.LevelSerializable, fmt.Sprint("web-", n), fmt.Sprint("u-", n))
		}
	}
	names := func(table string) (rows, distinct int) {
		t.Helper()
		columns := map[string]string{
			"audit_entities": "month, entity_type, entity_id, name_key", "audit_actors": "month, actor_id, actor_name, actor_email, actor_type",
			"audit_native_actions": "month, action, native_action",
		}[table]
		err := db.Write.Raw("SELECT COUNT(*), COUNT(DISTINCT ("+columns+")) FROM "+table+" WHERE org_id = ?", org.ID).Row().Scan(&rows, &distinct)
		if err != nil {
			t.Fatal(err)
		}
		return rows, distinct
	}
	tables := []string{"audit_entities", "audit_actors", "audit_native_actions"}
	for _, table := range tables {
		if rows, distinct := names(table); rows < distinct+each {
			t.Fatalf("%s has %d rows of %d names: nothing is added blindly", table, rows, distinct)
		}
	}

	const log = "/orgs/acme/settings/audit-logs"
	shownOnce := func(when string) {
		t.Helper()
		for search, want := range map[string]int{"Checkout": 1 + each*resources, "web-1": each, "RunInstances web-2": each, "Inner": 1 + each*resources} {
			for _, sort := range []string{"", "user", "action"} {
				path, seen := log+"?q="+strings.ReplaceAll(search, " ", "+")+"&sort="+sort, []string(nil)
				for path != "" {
					page := admin.Get(path).Expect(http.StatusOK)
					seen = append(seen, page.Find("tbody[data-entry-id]").Map(func(_ int, row *goquery.Selection) string { return row.AttrOr("data-entry-id", "") })...)
					path = page.Find(`a[rel="next"]`).AttrOr("href", "")
				}
				slices.Sort(seen)
				if len(seen) != want || len(slices.Compact(seen)) != want {
					t.Errorf("%s: the search for %s, sorted by %s, shows %d entries, %d of them once; want %d", when, search, sort, len(seen), len(slices.Compact(seen)), want)
				}
			}
		}
		for _, page := range []*apptest.Page{admin.Get(log), admin.Fragment(log + "/actors?text=User")} {
			users := page.Expect(http.StatusOK).Find(".option-text").Map(func(_ int, s *goquery.Selection) string { return strings.TrimSpace(s.Text()) })
			offered := strings.Join(users, "|")
			for n := range resources {
				if strings.Count(offered, fmt.Sprint("User u-", n)) != 1 {
					t.Errorf("%s: the User menu offers %q", when, users)
				}
			}
		}
		history := admin.Get("/orgs/acme/resources/server?id=web-1").Expect(http.StatusOK)
		if heading, earlier := history.Text("h1"), history.Find(".earlier-name").Length(); !strings.Contains(heading, "Checkout web-1") || earlier != 0 {
			t.Errorf("%s: the History is headed %q, with %d earlier names", when, heading, earlier)
		}
	}
	shownOnce("before")

	cleanUp(t, server, org, jobs.RetentionConfig{BatchSize: 7})
	for _, table := range tables {
		if rows, distinct := names(table); rows != distinct {
			t.Errorf("%s has %d rows of %d names", table, rows, distinct)
		}
	}
	shownOnce("after")
}

// cleanUp runs the clean-up until it has been through an organization.
func cleanUp(t *testing.T, server *apptest.Server, org models.Organization, config jobs.RetentionConfig) {
	t.Helper()
	job, err := jobs.NewRetention(server.Store, settings.Settle, slog.New(slog.NewTextHandler(t.Output(), nil)), config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { job.Run(ctx) })
	for status := (models.CleanupStatus{}); status.Last.SucceededAt == 0; time.Sleep(20 * time.Millisecond) {
		if status, err = server.Store.CleanupStatus(ctx, org); err != nil || status.Last.Error != "" {
			t.Fatalf("the clean-up: %+v, %v", status, err)
		}
	}
}
