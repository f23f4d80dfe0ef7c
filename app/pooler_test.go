//go:build unix

package app_test

import (
	"cmp"
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/app/importer"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models/accounts"
	"github.com/auditlogs/auditlogs/models/following"
)

// Whichever way pgx sends statements, and whether a pooler stands in between or not: a server makes its tables and does
// all that it is for, or says in one line why it does not start.
func TestEveryWayOfSendingStatements(t *testing.T) {
	for _, mode := range []string{"", "cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		sentBy := func(address string) string {
			if mode == "" {
				return address
			}
			return address + "&default_query_exec_mode=" + mode
		}
		t.Run("directly/"+cmp.Or(mode, "default"), func(t *testing.T) {
			worksWith(t, sentBy(databasetest.EmptyPostgresURL(t)))
		})
		t.Run("through a pooler/"+cmp.Or(mode, "default"), func(t *testing.T) {
			var settings []string
			refused := mode == "cache_statement" || mode == "describe_exec"
			if mode == "cache_statement" && databasetest.PoolerCanKeepStatements(t) {
				settings, refused = []string{"max_prepared_statements = 100"}, false
			}
			address := databasetest.Pooler(t, databasetest.EmptyPostgresURL(t), settings...)
			if refused {
				_, err := start(t, sentBy(address))
				if err == nil || !strings.Contains(err.Error(), "leave default_query_exec_mode="+mode+" out of the address") || strings.Contains(err.Error(), "\n") {
					t.Errorf("it starts with %v", err)
				}
			} else {
				worksWith(t, sentBy(address))
			}
			leavesNothing(t, address)
		})
	}
}

func worksWith(t *testing.T, address string) {
	t.Helper()
	if log, err := start(t, address); err != nil {
		t.Fatalf("it starts with %v and says %s", err, log)
	}
	setsUp(t, databasetest.Open(t, address))
	serves(t, databasetest.Open(t, address))
	records(t, databasetest.Open(t, address))
	follows(t, databasetest.Open(t, address))
}

// follows checks that the log can be followed to its end in steps, and a consumer moved on.
func follows(t *testing.T, db *database.DB) {
	t.Helper()
	store, err := db.Store(nil)
	if err != nil {
		t.Fatal(err)
	}
	log := following.New(store)
	place, err := log.Join(t.Context(), "test", "")
	if err != nil {
		t.Fatal(err)
	}
	var want, read, unread int64
	if err := db.Read.Raw("SELECT COUNT(*) FROM audit_entries").Scan(&want).Error; err != nil {
		t.Fatal(err)
	}
	for more := true; more; {
		batch, err := log.Read(t.Context(), place, following.Needs{Metadata: true, Parts: true}, 5)
		if err != nil {
			t.Fatal(err)
		}
		if moved, err := following.Advance(db.Write.WithContext(t.Context()), "test", place, batch.Next); err != nil || !moved && batch.Next != place {
			t.Fatalf("moved on %t: %v", moved, err)
		}
		read += int64(len(batch.Entries))
		place, more = batch.Next, batch.More
		condition, args, err := log.Unread(place)
		if err == nil {
			err = db.Read.Raw("SELECT COUNT(*) FROM audit_entries WHERE "+condition, args...).Scan(&unread).Error
		}
		if err != nil || read+unread != want {
			t.Fatalf("of %d entries %d are read and %d unread: %v", want, read, unread, err)
		}
	}
	if lag, err := log.Lag(t.Context(), "test"); err != nil || lag != 0 || want == 0 {
		t.Errorf("of %d entries it lags by %s: %v", want, lag, err)
	}
}

// setsUp checks that the first account can be made.
func setsUp(t *testing.T, db *database.DB) {
	t.Helper()
	server := apptest.Start(t, db)
	var token string
	err := server.Store.Transaction(t.Context(), func(tx *gorm.DB) (err error) {
		token, err = accounts.CreateSetupToken(t.Context(), tx)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Client(t).Post("/setup", "token", token, "name", "First", "email", "first@example.com", "password", apptest.Password,
		"organization", "First", "slug", "first").ExpectRedirect("/orgs/first/settings/audit-logs")
	client := server.Client(t)
	client.SignIn("first@example.com", apptest.Password)
	client.Get("/orgs/first/settings/audit-logs").Expect(http.StatusOK)
}

// records checks every way of recording in a database.
func records(t *testing.T, db *database.DB) {
	t.Helper()
	ctx := t.Context()
	if _, err := audit.EnsureOrganization(ctx, db.Write, audit.Organization{Slug: "recorded", ExternalID: "tenant 1"}); err != nil {
		t.Fatal(err)
	}
	number := 0
	event := func() audit.Event {
		number++
		return audit.Event{Organization: "recorded", Action: action.ServiceUpdate, EntityID: fmt.Sprint("svc-", number), EntityName: "Größe 1",
			Actor: audit.Actor{ID: "u1", Name: "Ada"}, Metadata: map[string]any{"n": number, "text": `"\'` + "\n€"}}
	}
	withID := func() audit.Event {
		e := event()
		e.ID, e.OccurredAt = fmt.Sprint("message ", number), time.Now().Add(-time.Hour)
		return e
	}
	withAll := func() audit.Event {
		e := withID()
		e.NativeAction, e.Outcome, e.Reason = "ec2:RunInstances", audit.OutcomeDenied, "not now"
		e.Related = []audit.Resource{{Type: "subnet", ID: "sn-1", Name: "one"}, {Type: "image", ID: "ami-1"}}
		e.Actor = audit.Actor{Type: audit.ActorAgent, ID: "bot", OnBehalfOf: &audit.Principal{ID: "u-7", Name: "Jo"}}
		return e
	}
	pool, err := db.Write.DB()
	if err != nil {
		t.Fatal(err)
	}
	inSQL := func(record func(tx *sql.Tx) error) error {
		tx, err := pool.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if err := record(tx); err != nil {
			_ = tx.Rollback()
			return err
		}
		return tx.Commit()
	}
	batcher, err := audit.NewBatcher(db.Write, audit.BatcherConfig{})
	if err != nil {
		t.Fatal(err)
	}
	again := withAll()
	for name, record := range map[string]func() error{
		"GORM": func() error {
			return db.Write.Transaction(func(tx *gorm.DB) error { _, err := audit.Record(ctx, tx, event()); return err })
		},
		"GORM, by the external ID": func() error {
			e := event()
			e.Organization, e.ExternalID = "", "tenant 1"
			_, err := audit.Record(ctx, db.Write, e)
			return err
		},
		"with an ID": func() error { _, err := audit.Record(ctx, db.Write, withID()); return err },
		"twice": func() error {
			for n := range 2 {
				if receipt, err := audit.Record(ctx, db.Write, again); err != nil || receipt.Repeated != (n == 1) {
					return fmt.Errorf("%+v, %w", receipt, err)
				}
			}
			return nil
		},
		"RecordAll": func() error { _, err := audit.RecordAll(ctx, db.Write, []audit.Event{event(), withAll()}); return err },
		"Backfill":  func() error { _, err := audit.Backfill(ctx, db.Write, []audit.Event{withID(), withAll()}); return err },
		"Batcher":   func() error { _, err := batcher.Record(ctx, withAll()); return err },
		"database/sql": func() error {
			return inSQL(func(tx *sql.Tx) error { _, err := audit.PostgreSQL.Record(ctx, tx, event()); return err })
		},
		"database/sql, of all": func() error {
			return inSQL(func(tx *sql.Tx) error {
				_, err := audit.PostgreSQL.RecordAll(ctx, tx, []audit.Event{withAll()})
				return err
			})
		},
		"import": func() error {
			store, err := db.Store(nil)
			if err != nil {
				return err
			}
			line := fmt.Sprintf(`{"id":"line","action":"service:update","entity_id":"svc-0","actor":{"id":"u1"},"occurred_at":%q}`, time.Now().Add(-time.Hour).Format(time.RFC3339))
			for range 2 {
				if _, err := importer.Run(ctx, store, strings.NewReader(line), importer.Config{Organization: "recorded", Report: t.Output()}); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		if err := record(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := batcher.Close(ctx); err != nil {
		t.Error(err)
	}
	const recorded = 12
	for table, want := range map[string]int{"audit_entries": recorded, "audit_on_behalf_of": 5, "audit_related": 10} {
		var stored int
		err := db.Write.Raw("SELECT COUNT(*) FROM "+table+" WHERE org_id = (SELECT id FROM audit_organizations WHERE slug = ?)", "recorded").Scan(&stored).Error
		if err != nil || stored != want {
			t.Errorf("%s has %d rows (%v), want %d", table, stored, err, want)
		}
	}
}

// leavesNothing checks that the connections of a pooler to PostgreSQL are as they would be had no server used them.
func leavesNothing(t *testing.T, address string) {
	t.Helper()
	pool, err := sql.Open("pgx", address+"&default_query_exec_mode=simple_protocol")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	backends := map[int]bool{}
	for range 4 { // all at once, so that each has another connection
		tx, err := pool.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback() }()
		var backend int
		var set, prepared, locks, temporary string
		err = tx.QueryRowContext(t.Context(), `SELECT pg_backend_pid(),
			(SELECT COALESCE(string_agg(name, ' '), '') FROM pg_settings WHERE source = 'session'
				AND name NOT IN ('application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings')),
			(SELECT COALESCE(string_agg(name, ' '), '') FROM pg_prepared_statements WHERE name NOT LIKE 'PGBOUNCER%'),
			(SELECT COALESCE(string_agg(objid::text, ' '), '') FROM pg_locks WHERE locktype = 'advisory' AND objsubid < 3 -- higher ones are Citus' own
				AND database = (SELECT oid FROM pg_database WHERE datname = current_database())),
			(SELECT COALESCE(string_agg(relname, ' '), '') FROM pg_class WHERE relpersistence = 't')`).
			Scan(&backend, &set, &prepared, &locks, &temporary)
		if err != nil {
			t.Fatal(err)
		}
		backends[backend] = true
		if set+prepared+locks+temporary != "" {
			t.Errorf("a connection of the pooler's has the settings %q, the statements %q, the locks %q, the tables %q", set, prepared, locks, temporary)
		}
	}
	if len(backends) != 4 {
		t.Errorf("%d connections were looked at", len(backends))
	}
}
