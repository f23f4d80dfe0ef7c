//go:build unix

package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/migrate"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/handlers/settings"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/jobs"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
	"github.com/auditlogs/auditlogs/models/entries"
)

// roles is a database of a server of the test's own, with the roles of docs/database-roles.
type roles struct {
	t         *testing.T
	superuser string // the address of the database, as a superuser
}

const rolePassword = "secret"

// newRoles makes the database and the roles, and no tables.
func newRoles(t *testing.T) roles {
	t.Helper()
	server := databasetest.StartServer(t, "fsync = off")
	r := roles{t: t, superuser: strings.Replace(server.URL, "/postgres?", "/auditlogs?", 1)}
	r.exec(server.URL, "CREATE DATABASE auditlogs")
	r.exec(r.superuser, r.file("roles.sql"))
	for _, role := range []string{"owner", "server", "recorder", "reader"} {
		r.exec(r.superuser, "ALTER ROLE auditlogs_"+role+" PASSWORD '"+rolePassword+"'")
	}
	return r
}

// migrate is what the operator does for a new version.
func (r roles) migrate() {
	r.t.Helper()
	if err := databasetest.Open(r.t, r.as("owner")).Prepare(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	r.exec(r.as("owner"), r.file("grants.sql"))
}

func (r roles) file(name string) string {
	r.t.Helper()
	statements, err := os.ReadFile("../docs/database-roles/" + name)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(statements)
}

// as is the address of the database for a role.
func (r roles) as(role string) string {
	r.t.Helper()
	address, err := url.Parse(r.superuser)
	if err != nil {
		r.t.Fatal(err)
	}
	address.User = url.UserPassword("auditlogs_"+role, rolePassword)
	return address.String()
}

func (r roles) try(address, statements string) error {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), address)
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close(r.t.Context())
	_, err = conn.Exec(r.t.Context(), statements)
	return err
}

func (r roles) exec(address, statements string) {
	r.t.Helper()
	if err := r.try(address, statements); err != nil {
		r.t.Fatal(err)
	}
}

// refused checks that a role may do none of these.
func (r roles) refused(role string, statements ...string) {
	r.t.Helper()
	for _, statement := range statements {
		if err := r.try(r.as(role), statement); err == nil || !strings.Contains(err.Error(), "SQLSTATE 42501") {
			r.t.Errorf("%s: %s is answered %v, want that it may not", role, statement, err)
		}
	}
}

// tampering is what nobody but the owner of the tables may do.
var tampering = []string{
	"UPDATE audit_entries SET action = 'service:create'",
	"INSERT INTO audit_entries SELECT * FROM audit_entries ON CONFLICT (org_id, id) DO UPDATE SET action = 'service:create'",
	"INSERT INTO audit_entries (xact) VALUES (1)",
	"TRUNCATE audit_entries",
	"UPDATE audit_related SET role = 'other'",
	"UPDATE audit_on_behalf_of SET actor_id = 'other'",
	"ALTER TABLE audit_entries DISABLE TRIGGER ALL",
	"ALTER TABLE audit_entries DISABLE TRIGGER audit_entries_never_change",
	"DROP TRIGGER audit_entries_never_change ON audit_entries",
	"CREATE TRIGGER mine BEFORE INSERT ON audit_entries FOR EACH ROW EXECUTE FUNCTION audit_refuse_change()",
	"SET session_replication_role = replica",
	"DROP TABLE audit_entries",
	"ALTER TABLE audit_entries ADD COLUMN more text",
	"CREATE OR REPLACE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
	"DROP FUNCTION audit_delete_entries(bigint, uuid, uuid, uuid)",
	"CREATE TABLE mine (n integer)",
	"CREATE FUNCTION audit_delete_entries(text) RETURNS text LANGUAGE sql AS 'SELECT 1::text'",
	"UPDATE audit_settings_changes SET new_retention_days = 1",
	"DELETE FROM audit_settings_changes",
	"TRUNCATE audit_settings_changes",
	"UPDATE audit_schema_version SET version_id = 1",
	"INSERT INTO audit_schema_version (version_id, is_applied) VALUES (999, true)",
	"GRANT auditlogs_owner TO CURRENT_USER",
	"SET ROLE auditlogs_owner",
}

// start runs a server until it answers, and returns what it told the log; or why it did not start.
func start(t *testing.T, address string) (log string, err error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var told bytes.Buffer
	console, write := io.Pipe()
	go func() {
		said := make([]byte, 4096)
		_, _ = console.Read(said) // where the app is: it listens
		cancel()
		_, _ = io.Copy(io.Discard, console)
	}()
	err = app.Run(ctx, app.Config{Addr: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(&told, nil)), WithoutJobs: true}, address, write)
	_ = write.Close()
	if errors.Is(err, context.Canceled) { // it was told to stop, having said where it is
		err = nil
	}
	return told.String(), err
}

func TestAServerStartsWithoutTheRightsOfTheOwner(t *testing.T) {
	r := newRoles(t)
	for _, role := range []string{"server", "recorder", "reader"} {
		if _, err := start(t, r.as(role)); err == nil || !strings.Contains(err.Error(), "run auditlogs migrate as the owner of its tables") || strings.Contains(err.Error(), "\n") {
			t.Errorf("as %s, without a schema: %v", role, err)
		}
	}
	r.migrate()
	log, err := start(t, r.as("server"))
	if err != nil || strings.Contains(log, "level=WARN") {
		t.Errorf("as the server it starts with %v and says %s", err, log)
	}
	for role, address := range map[string]string{"auditlogs_owner": r.as("owner"), "postgres": r.superuser} {
		log, err := start(t, address)
		if err != nil || strings.Count(log, "level=WARN") != 1 || !strings.Contains(log, "can rewrite entries") || !strings.Contains(log, "role="+role) {
			t.Errorf("as %s it starts with %v and says %s", role, err, log)
		}
	}

	r.exec(r.superuser, "INSERT INTO audit_schema_version (version_id, is_applied) VALUES (999, true)")
	for _, role := range []string{"server", "owner"} {
		if _, err := start(t, r.as(role)); err == nil || !strings.Contains(err.Error(), "its schema has version 999, later than this program's") {
			t.Errorf("as %s, of a later version: %v", role, err)
		}
	}
	r.exec(r.superuser, "DELETE FROM audit_schema_version WHERE version_id = (SELECT MAX(version_id) FROM audit_schema_version WHERE version_id < 999) OR version_id = 999")
	if _, err := start(t, r.as("server")); err == nil || !regexp.MustCompile(`its schema has version \d+ and this program needs \d+, .*: run auditlogs migrate as the owner of its tables$`).MatchString(err.Error()) {
		t.Errorf("of an earlier version: %v", err)
	}
}

func TestASQLiteFileOfALaterVersionIsNotServed(t *testing.T) {
	address := "sqlite:" + databasetest.SQLiteFile(t)
	if err := databasetest.Open(t, address).Write.Exec("INSERT INTO audit_schema_version (version_id, is_applied) VALUES (999, 1)").Error; err != nil {
		t.Fatal(err)
	}
	if _, err := start(t, address); err == nil || !strings.Contains(err.Error(), "its schema has version 999, later than this program's") {
		t.Errorf("it starts with %v", err)
	}
}

// A database that one role has owned so far is handed over as docs/deployment.md says.
func TestADatabaseOfOneRoleIsHandedOver(t *testing.T) {
	server := databasetest.StartServer(t, "fsync = off")
	r := roles{t: t, superuser: strings.Replace(server.URL, "/postgres?", "/auditlogs?", 1)}
	r.exec(server.URL, "CREATE ROLE auditlogs LOGIN PASSWORD '"+rolePassword+"'")
	r.exec(server.URL, "CREATE DATABASE auditlogs OWNER auditlogs")
	one := strings.Replace(r.as("x"), "auditlogs_x", "auditlogs", 1)
	if log, err := start(t, one); err != nil || !strings.Contains(log, "role=auditlogs") {
		t.Fatalf("as the one role it starts with %v and says %s", err, log)
	}
	r.exec(r.superuser, r.file("roles.sql"))
	r.exec(r.superuser, "REASSIGN OWNED BY auditlogs TO auditlogs_owner")
	for _, role := range []string{"owner", "server"} {
		r.exec(r.superuser, "ALTER ROLE auditlogs_"+role+" PASSWORD '"+rolePassword+"'")
	}
	r.migrate()
	if log, err := start(t, r.as("server")); err != nil || strings.Contains(log, "level=WARN") {
		t.Errorf("as the server it starts with %v and says %s", err, log)
	}
	if err := r.try(one, "SELECT FROM audit_entries"); err == nil {
		t.Error("the role that owned everything still reads the log")
	}
	r.refused("server", tampering...)
}

// A new table is useless to the server until grants.sql names it.
func TestGrantsNameEveryTable(t *testing.T) {
	r := newRoles(t)
	r.migrate()
	var missing []string
	err := databasetest.Open(t, r.superuser).Read.Raw(`SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT has_table_privilege('auditlogs_server', c.oid, 'SELECT')`).Scan(&missing).Error
	if err != nil || len(missing) > 0 {
		t.Errorf("grants.sql leaves out %q (%v)", missing, err)
	}
	var open []string // procedures of the clean-up that anybody may call
	err = databasetest.Open(t, r.superuser).Read.Raw(`SELECT proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
		WHERE n.nspname = 'public' AND proname LIKE 'audit\_delete%' AND (has_function_privilege('auditlogs_reader', p.oid, 'EXECUTE') OR prosecdef)`).Scan(&open).Error
	if err != nil || len(open) > 0 {
		t.Errorf("anybody may call %q (%v)", open, err)
	}
	r.exec(r.as("owner"), r.file("grants.sql")) // again, as after every migration
}

func TestTheServersRoleServes(t *testing.T) {
	r := newRoles(t)
	r.migrate()
	db := databasetest.Open(t, r.as("server"))
	serves(t, db)
	logtest.Insert(t, logtest.Store(t, db), logtest.Organization(t, logtest.Store(t, db), "followed"), make([]models.Entry, 12)...)
	follows(t, db)
}

// An application's role need have nothing but a schema of its own.
func TestARoleWithASchemaOfItsOwnServes(t *testing.T) {
	server := databasetest.StartServer(t, "fsync = off")
	r := roles{t: t, superuser: strings.Replace(server.URL, "/postgres?", "/service?", 1)}
	r.exec(server.URL, "CREATE ROLE auditlogs_app LOGIN PASSWORD '"+rolePassword+"' ")
	r.exec(server.URL, "CREATE DATABASE service")
	for _, statement := range []string{
		"REVOKE ALL ON DATABASE service FROM PUBLIC", "GRANT CONNECT ON DATABASE service TO auditlogs_app",
		"REVOKE ALL ON SCHEMA public FROM PUBLIC", "CREATE SCHEMA log AUTHORIZATION auditlogs_app",
	} {
		r.exec(r.superuser, statement)
	}
	if _, err := start(t, r.as("app")); err == nil || !strings.Contains(err.Error(), `"auditlogs_app" may not make one`) {
		t.Errorf("without a schema to make the tables in it starts with %v", err)
	}
	err := databasetest.Open(t, r.as("app")).Migrate(t.Context())
	if err == nil || !strings.Contains(err.Error(), `there is no schema to make the tables in: of search_path ("$user", public) the role may use none`) {
		t.Errorf("without a schema to make the tables in it migrates with %v", err)
	}
	address := r.as("app") + "&search_path=log"
	if log, err := start(t, address); err != nil || !strings.Contains(log, "role=auditlogs_app") {
		t.Fatalf("it starts with %v and says %s", err, log)
	}
	db := databasetest.Open(t, address)
	serves(t, db)
	logtest.Insert(t, logtest.Store(t, db), logtest.Organization(t, logtest.Store(t, db), "followed"), make([]models.Entry, 12)...)
	follows(t, db)

	var extensions, elsewhere []string
	super := databasetest.Open(t, r.superuser).Read
	if err := super.Raw("SELECT extname FROM pg_extension").Scan(&extensions).Error; err != nil || !slices.Equal(extensions, []string{"plpgsql"}) {
		t.Errorf("the database has the extensions %q: %v", extensions, err)
	}
	if err := super.Raw(`SELECT relname FROM pg_class WHERE relname LIKE 'audit\_%' AND relnamespace <> 'log'::regnamespace`).Scan(&elsewhere).Error; err != nil || len(elsewhere) > 0 {
		t.Errorf("outside of its schema there are %q: %v", elsewhere, err)
	}

	// As the application sees it whose schema comes first: a second log beside the one that is there would be found by nobody.
	r.exec(r.superuser, "CREATE SCHEMA mine AUTHORIZATION auditlogs_app")
	both := r.as("app") + "&search_path=mine,log"
	if err := databasetest.Open(t, both).Migrate(t.Context()); err != nil {
		t.Errorf("with nothing to do: %v", err)
	}
	r.exec(address, "DELETE FROM audit_schema_version WHERE version_id = (SELECT max(version_id) FROM audit_schema_version)")
	err = databasetest.Open(t, both).Migrate(t.Context())
	if err == nil || !strings.Contains(err.Error(), `the tables are in schema "log" and new ones would be made in "mine"`) {
		t.Errorf("with another schema before that of the tables it migrates with %v", err)
	}
}

// serves checks that a server on a database does all that it is for, the clean-up included.
func serves(t *testing.T, db *database.DB) {
	t.Helper()
	server := apptest.Start(t, db)
	org := server.Organization(t, "acme")
	admin := server.As(t, server.Member(t, "ada@example.com", accounts.RoleAdmin, org))
	jo := server.Member(t, "jo@example.com", accounts.RoleMember, org)
	const base = "/orgs/acme/settings"
	for _, change := range []struct {
		path   string
		fields []string
	}{
		{base + "/organization", []string{"name", "ACME"}},
		{base + "/audit", []string{"enabled", "on", "retention_days", "120"}},
		{base + "/members/invitations", []string{"role", "member"}},
		{base + "/members/" + jo.ID + "/reset-link", nil},
		{base + "/members/" + jo.ID + "/role", []string{"role", "admin"}},
		{base + "/members/" + jo.ID + "/remove", []string{"confirm", "yes"}},
		{base + "/api-keys", []string{"name", "ci", "scope", "write", "expires", "never"}},
		{base + "/links", []string{"entity_type", "service", "url_template", "https://console.example.com/{id}"}},
		{base + "/integrations/github", nil},
		{base + "/integrations/github/disconnect", []string{"confirm", "yes"}},
		{"/orgs/new", []string{"name", "Beta", "slug", "beta"}},
		{"/orgs/beta/settings/delete", []string{"confirm", "beta"}},
	} {
		if page := admin.Post(change.path, change.fields...); page.Status >= 400 {
			t.Errorf("%s answers %d: %s", change.path, page.Status, page.Text("main"))
		}
	}
	var token string
	err := server.Store.Transaction(t.Context(), func(tx *gorm.DB) (err error) {
		_, token, err = accounts.CreateAPIKey(t.Context(), tx, org.ID, "ci", accounts.ScopeWrite, "ada", 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second is the answer to the first
		server.Client(t).Do(http.MethodPost, "/api/v1/events", strings.NewReader(`{"id":"1","action":"service:update","entity_id":"s","actor":{"id":"u"}}`),
			"Authorization", "Bearer "+token, "Content-Type", "application/json", "Idempotency-Key", "once").Expect(http.StatusCreated)
	}
	for _, path := range []string{"", "?q=service&sort=user", "?sort=action", "/export?format=csv", "/export?format=ndjson"} {
		if page := admin.Get(base + "/audit-logs" + path).Expect(http.StatusOK); !strings.Contains(page.Body, "service:update") {
			t.Errorf("%s shows nothing", path)
		}
	}
	for _, page := range []string{"", "/organization", "/members", "/api-keys", "/integrations"} {
		admin.Get(base + page).Expect(http.StatusOK)
	}
	server.Client(t).Get("/healthz").Expect(http.StatusOK)
	admin.Post("/logout").Expect(http.StatusSeeOther)

	// The clean-up, of entries and of all else that expires.
	server.Clock.Advance(200 * 24 * time.Hour)
	cleanUp, err := jobs.NewRetention(server.Store, settings.Settle, slog.New(slog.NewTextHandler(t.Output(), nil)), jobs.RetentionConfig{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), patience)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cleanUp.Run(ctx)
	}()
	left := -1
	for left != 0 && ctx.Err() == nil {
		time.Sleep(20 * time.Millisecond)
		if err := server.Store.Reader(t.Context()).Raw("SELECT COUNT(*) FROM audit_entries").Scan(&left).Error; err != nil {
			t.Fatal(err)
		}
	}
	for status := (models.CleanupStatus{}); status.Last.SucceededAt == 0 && ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
		if status, err = server.Store.CleanupStatus(t.Context(), org); err != nil || status.Last.Error != "" {
			t.Fatalf("the clean-up: %+v, %v", status, err)
		}
	}
	if ctx.Err() != nil {
		t.Errorf("%d entries are left", left)
	}
	stop()
	<-ended
}

func TestWhatTheServersRoleMayNot(t *testing.T) {
	r := newRoles(t)
	r.migrate()
	r.refused("server", tampering...)
}

func TestTheRecordersRoleRecordsAndNothingElse(t *testing.T) {
	r := newRoles(t)
	r.migrate()
	db := databasetest.Open(t, r.as("recorder"))
	event := func(n int) audit.Event {
		return audit.Event{Organization: "acme", Action: action.ServiceUpdate, EntityID: fmt.Sprint("svc-", n), Actor: audit.Actor{ID: "u1", Name: "Ada"},
			Metadata: map[string]int{"n": n}}
	}
	at := time.Now().Add(-time.Hour)
	withID := func(n int) audit.Event {
		e := event(n)
		e.ID, e.OccurredAt = fmt.Sprint("id-", n), at
		return e
	}
	ctx := t.Context()
	if _, err := audit.EnsureOrganization(ctx, db.Write, audit.Organization{Slug: "acme"}); err != nil {
		t.Error(err)
	}
	batcher, err := audit.NewBatcher(db.Write, audit.BatcherConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for name, record := range map[string]func() error{
		"Record":     func() error { _, err := audit.Record(ctx, db.Write, event(1)); return err },
		"with an ID": func() error { _, err := audit.Record(ctx, db.Write, withID(2)); return err },
		"RecordAll":  func() error { _, err := audit.RecordAll(ctx, db.Write, []audit.Event{event(3), withID(4)}); return err },
		"Backfill":   func() error { _, err := audit.Backfill(ctx, db.Write, []audit.Event{withID(5)}); return err },
		"Backfill, of all that an event can say": func() error {
			e := withID(8)
			e.NativeAction, e.Outcome, e.Related = "svc.Update", audit.OutcomeDenied, []audit.Resource{{Type: "subnet", ID: "sn-1"}}
			e.Actor = audit.Actor{Type: audit.ActorAgent, ID: "bot", OnBehalfOf: &audit.Principal{ID: "u-7"}}
			_, err := audit.Backfill(ctx, db.Write, []audit.Event{e})
			return err
		},
		"Batcher": func() error { _, err := batcher.Record(ctx, withID(6)); return err },
		"Migrate": func() error { return migrate.Up(ctx, db.Write) }, // which has nothing to do
		"SaveRegistered": func() error {
			action.Register("report:publish")
			return audit.SaveRegistered(ctx, db.Write)
		},
		"a transaction": func() error {
			return db.Write.Transaction(func(tx *gorm.DB) error { _, err := audit.Record(ctx, tx, event(7)); return err })
		},
	} {
		for range 2 { // the second time everything is known already
			if err := record(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if err := batcher.Close(ctx); err != nil {
		t.Error(err)
	}
	var stored int64
	if err := databasetest.Open(t, r.as("reader")).Read.Table("audit_entries").Count(&stored).Error; err != nil || stored != 11 {
		t.Errorf("%d entries (%v), want 11", stored, err)
	}
	r.refused("recorder", tampering...)
	r.refused("recorder",
		"DELETE FROM audit_entries",
		"DELETE FROM audit_entries WHERE org_id = 1",
		"SELECT audit_delete_entries(1, gen_random_uuid(), gen_random_uuid(), gen_random_uuid())",
		"CALL audit_delete_in_steps(1, gen_random_uuid(), ARRAY[gen_random_uuid()], gen_random_uuid(), false)",
		"SELECT ip FROM audit_entries",
		"UPDATE audit_organizations SET retention_days = 1",
		"INSERT INTO audit_settings_changes SELECT * FROM audit_settings_changes",
		"SELECT * FROM audit_users",
		"SELECT * FROM audit_sessions",
		"SELECT * FROM audit_api_keys",
	)
}

func TestTheReadersRoleReadsTheLogAlone(t *testing.T) {
	r := newRoles(t)
	r.migrate()
	server := databasetest.Open(t, r.as("server"))
	if _, err := audit.EnsureOrganization(t.Context(), server.Write, audit.Organization{Slug: "acme"}); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.Record(t.Context(), server.Write, audit.Event{Organization: "acme", Action: action.ServiceUpdate, EntityID: "svc-1", Actor: audit.System("ci")}); err != nil {
		t.Fatal(err)
	}
	store, err := databasetest.Open(t, r.as("reader")).Store(nil)
	if err != nil {
		t.Fatal(err)
	}
	org := logtest.FindOrganization(t, store, "acme")
	for _, query := range []entries.Query{{}, {Search: "svc-1"}, {Sort: entries.SortUser}, {Sort: entries.SortAction}, {Actors: []string{"system"}}, {EntityType: "service"}} {
		page, err := entries.NewLog(store).PageWithMetadata(t.Context(), org, query)
		if err != nil || len(page.Entries) != 1 {
			t.Errorf("%+v finds %d entries: %v", query, len(page.Entries), err)
		}
	}
	// It is enough for a replica: this is none, which only who may look can tell.
	if err := server.ReadLogFrom(t.Context(), []string{r.as("reader")}, quietLog); err != nil {
		t.Fatal(err)
	}
	if problems := server.ReadProblems(); len(problems) != 1 || !strings.HasSuffix(problems[0], "is none: it takes changes itself") {
		t.Errorf("as a replica: %q", problems)
	}
	var reported int
	if err := databasetest.Open(t, r.as("reader")).Read.Raw("SELECT COUNT(*) FROM audit_log WHERE metadata IS NULL AND id >= audit_first_id('2020-01-01')").Scan(&reported).Error; err != nil || reported != 1 {
		t.Errorf("the view shows %d entries: %v", reported, err)
	}
	r.refused("reader", tampering...)
	r.refused("reader",
		"DELETE FROM audit_entries",
		"INSERT INTO audit_entries SELECT * FROM audit_entries",
		"UPDATE audit_organizations SET name = 'x'",
		"SELECT audit_delete_entries(1, gen_random_uuid(), gen_random_uuid(), gen_random_uuid())",
		"SELECT * FROM audit_users", "SELECT * FROM audit_sessions", "SELECT * FROM audit_api_keys", "SELECT * FROM audit_invitations",
		"SELECT * FROM audit_password_resets", "SELECT * FROM audit_github_connections", "SELECT * FROM audit_memberships", "SELECT * FROM audit_event_keys",
	)
}

// The role that docs/schema.md makes for a BI tool of one organization.
func TestARoleOfOneOrganizationReadsNoOther(t *testing.T) {
	r := newRoles(t)
	r.migrate()
	server := databasetest.Open(t, r.as("server"))
	for _, slug := range []string{"acme", "beta"} {
		if _, err := audit.EnsureOrganization(t.Context(), server.Write, audit.Organization{Slug: slug}); err != nil {
			t.Fatal(err)
		}
		if _, err := audit.Record(t.Context(), server.Write, audit.Event{Organization: slug, Action: action.ServiceUpdate, EntityID: "of " + slug, Actor: audit.System("ci")}); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile("../docs/schema.md")
	if err != nil {
		t.Fatal(err)
	}
	statements := regexp.MustCompile("(?s)```sql\n(CREATE ROLE .*?)```").FindSubmatch(page)
	if statements == nil {
		t.Fatal("docs/schema.md makes no role")
	}
	role, view, _ := strings.Cut(strings.ReplaceAll(string(statements[1]), "…", rolePassword), "\n")
	r.exec(r.superuser, role)
	r.exec(r.as("owner"), view)
	reports := strings.Replace(r.as("x"), "auditlogs_x", "acme_reports", 1)
	var found []string
	if err := databasetest.Open(t, reports).Read.Raw("SELECT entity_id FROM acme_audit_log").Scan(&found).Error; err != nil || len(found) != 1 || found[0] != "of acme" {
		t.Errorf("it reads %q: %v", found, err)
	}
	for _, statement := range []string{"SELECT * FROM audit_log", "SELECT * FROM audit_entries", "SELECT * FROM audit_organizations", "DELETE FROM acme_audit_log", "INSERT INTO acme_audit_log (action) VALUES ('service:create')"} {
		if err := r.try(reports, statement); err == nil {
			t.Errorf("%s is answered", statement)
		}
	}
}
