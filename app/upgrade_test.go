package app_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	gormpostgres "gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// upgradedFrom is the schema that the test of upgrades begins with.
const upgradedFrom = 5

// A database that an older version filled is brought up to date, and holds all it held.
func TestAFilledDatabaseIsUpgraded(t *testing.T) {
	for name, url := range map[string]string{
		"sqlite":   "sqlite:" + filepath.Join(t.TempDir(), "older.db"),
		"postgres": databasetest.EmptyPostgresURL(t),
	} {
		t.Run(name, func(t *testing.T) {
			db := databasetest.Open(t, url)
			databasetest.MigrateTo(t, db, upgradedFrom)
			older := fillOlder(t, db)
			if upToDate, err := db.UpToDate(t.Context()); err != nil || upToDate {
				t.Fatalf("the older schema is up to date: %v, %v", upToDate, err)
			}
			if err := db.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			if upToDate, err := db.UpToDate(t.Context()); err != nil || !upToDate {
				t.Fatalf("the schema is up to date: %v, %v", upToDate, err)
			}
			older.check(t, apptest.Start(t, db))
		})
	}
}

// A server goes on when a later version gives its tables more columns: what PostgreSQL keeps of its statements stays
// as it was.
func TestAServerGoesOnWhileALaterVersionMigrates(t *testing.T) {
	server := apptest.Start(t, databasetest.Postgres(t))
	org := server.Organization(t, "acme")
	ada := server.Member(t, "ada@example.com", accounts.RoleAdmin, org)
	admin := server.As(t, ada)
	keys := map[accounts.KeyScope]string{}
	err := server.Store.Transaction(t.Context(), func(tx *gorm.DB) (err error) {
		for _, scope := range []accounts.KeyScope{accounts.ScopeRead, accounts.ScopeWrite} {
			if _, keys[scope], err = accounts.CreateAPIKey(t.Context(), tx, org.ID, string(scope), scope, ada.ID, 0); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	pool, err := server.DB.Write.DB()
	if err != nil {
		t.Fatal(err)
	}
	application, err := gorm.Open(gormpostgres.New(gormpostgres.Config{Conn: pool}))
	if err != nil {
		t.Fatal(err)
	}
	use := func() {
		t.Helper()
		const base = "/orgs/acme/settings"
		for _, path := range []string{"", "/audit-logs", "/audit-logs?q=svc&sort=user", "/audit-logs/export?format=csv", "/organization",
			"/members", "/api-keys", "/integrations"} {
			admin.Get(base + path).Expect(http.StatusOK)
		}
		admin.Get("/orgs/acme/resources/service?id=svc-1").Expect(http.StatusOK)
		admin.Get("/account").Expect(http.StatusOK)
		admin.Post(base+"/organization", "name", "ACME").Expect(http.StatusSeeOther)
		admin.Post(base+"/members/invitations", "role", "member")
		admin.Post(base+"/links", "entity_type", "service", "url_template", "https://console.example.com/{id}").Expect(http.StatusSeeOther)
		program := server.Client(t)
		program.Do(http.MethodPost, "/api/v1/events", strings.NewReader(`{"action":"service:update","entity_id":"svc-1","actor":{"id":"u-1"}}`),
			"Authorization", "Bearer "+keys[accounts.ScopeWrite], "Content-Type", "application/json").Expect(http.StatusCreated)
		program.Get("/api/v1/entries?q=svc", "Authorization", "Bearer "+keys[accounts.ScopeRead]).Expect(http.StatusOK)
		for range 2 { // an application's own, of the two kinds
			err := application.Transaction(func(tx *gorm.DB) error {
				_, err := audit.EnsureOrganization(t.Context(), tx, audit.Organization{Slug: "acme"})
				return err
			})
			if err != nil {
				t.Error(err)
			}
			tx, err := pool.BeginTx(t.Context(), nil)
			if err == nil {
				_, err = audit.PostgreSQL.EnsureOrganization(t.Context(), tx, audit.Organization{Slug: "acme"})
				err = errors.Join(err, tx.Commit())
			}
			if err != nil {
				t.Error(err)
			}
		}
	}
	pool.SetMaxOpenConns(2) // and each has prepared what it is asked
	for range 3 {
		use()
	}
	var tables []string
	if err := server.DB.Read.Raw("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").Scan(&tables).Error; err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if err := server.DB.Write.Exec("ALTER TABLE " + table + " ADD COLUMN later text NOT NULL DEFAULT ''").Error; err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		use()
	}
}

// olderLog is what fillOlder has put into a database.
type olderLog struct {
	newestFirst      []string // IDs of the entries
	ofCheckout       []string // those of one entity
	byAda            []string
	readKey, sendKey string
}

const olderPassword = "audit-demo"

// fillOlder fills the tables of version 5 as a server of that version did.
func fillOlder(t *testing.T, db *database.DB) (older olderLog) {
	t.Helper()
	now := apptest.NewClock().Now()
	at := func(ago time.Duration) int64 { return now.Add(-ago).UnixMicro() }
	const day = 24 * time.Hour
	hash := func(token string) []byte {
		sum := sha256.Sum256([]byte(token))
		return sum[:]
	}
	insert := func(table string, row map[string]any) {
		t.Helper()
		if err := db.Write.Table(table).Create(row).Error; err != nil {
			t.Fatal(err)
		}
	}
	insert("audit_organizations", map[string]any{"slug": "acme", "external_id": "tenant-1", "name": "Acme", "retention_days": 120,
		"logging_enabled": true, "created_at": at(100 * day)})
	insert("audit_organizations", map[string]any{"slug": "closed", "name": "Closed", "created_at": at(100 * day), "closed_at": at(day)})
	for name, role := range map[string]string{"ada": "admin", "bob": "member"} {
		insert("audit_users", map[string]any{"id": "usr_" + name, "email": name + "@example.com", "email_key": name + "@example.com",
			"name": strings.ToUpper(name[:1]) + name[1:], "password_hash": apptest.PasswordHash(t, olderPassword), "created_at": at(100 * day)})
		insert("audit_memberships", map[string]any{"org_id": 1, "user_id": "usr_" + name, "role": role, "created_at": at(100 * day)})
		insert("audit_invitations", map[string]any{"token_hash": hash("invitation of " + name), "org_id": 1, "email": "by-" + name + "@example.com",
			"role": "member", "invited_by": "usr_" + name, "created_at": at(day), "expires_at": at(-6 * day)})
		insert("audit_password_resets", map[string]any{"token_hash": hash("reset of " + name), "user_id": "usr_" + name,
			"created_at": at(time.Hour), "expires_at": at(-23 * time.Hour)})
	}
	insert("audit_settings_changes", map[string]any{"org_id": 1, "id": models.NewEntryID(models.Micros(at(90 * day))), "changed_at": at(90 * day),
		"actor_id": "usr_ada", "actor_name": "Ada", "actor_email": "ada@example.com", "old_retention_days": 90, "new_retention_days": 120,
		"old_logging_enabled": true, "new_logging_enabled": true})
	insert("audit_resource_links", map[string]any{"org_id": 1, "entity_type": "service", "url_template": "https://console.example.com/services/{id}"})
	insert("audit_cleanups", map[string]any{"org_id": 1, "started_at": at(time.Hour), "finished_at": at(time.Hour), "succeeded_at": at(time.Hour)})
	insert("audit_sessions", map[string]any{"token_hash": hash("a session"), "user_id": "usr_bob", "data": []byte("x"),
		"created_at": at(day), "seen_at": at(time.Hour), "expires_at": at(-day)})
	older.readKey, older.sendKey = "alk_"+strings.Repeat("r", 43), "alk_"+strings.Repeat("s", 43)
	for scope, token := range map[string]string{"read": older.readKey, "write": older.sendKey} {
		insert("audit_api_keys", map[string]any{"token_hash": hash(token), "org_id": 1, "id": "key_" + scope, "name": "The " + scope + " key",
			"scope": scope, "hint": token[len(token)-4:], "created_by": "usr_ada", "created_at": at(80 * day)})
	}
	insert("audit_github_connections", map[string]any{"id": "gh_1", "org_id": 1, "secret": []byte("sealed"), "created_by": "usr_ada",
		"created_at": at(50 * day), "updated_at": at(50 * day)})
	insert("audit_github_deliveries", map[string]any{"org_id": 1, "id": "delivery-1", "received_at": at(day)})

	entities, actors := map[string]map[string]any{}, map[string]map[string]any{}
	for n := range 60 {
		occurred := now.Add(-time.Duration(n) * 31 * time.Hour) // over three months
		id := models.NewEntryID(models.MicrosOf(occurred))
		month := occurred.Year()*12 + int(occurred.Month()) - 1
		entity := []string{"checkout", "10.0.0.12", "支付服务"}[n%3]
		actor := []string{"Ada", "Bob"}[n/3%2]
		entry := map[string]any{"org_id": 1, "id": id, "occurred_at": occurred.UnixMicro(), "recorded_at": occurred.UnixMicro(),
			"action": []string{"service:update", "deployment:create"}[n%2], "entity_type": "service", "entity_id": "svc-" + entity, "entity_name": entity,
			"actor_id": "usr_" + strings.ToLower(actor), "actor_key": strings.ToLower(actor), "actor_name": actor, "ip": "192.0.2.7",
			"user_agent": "curl/8", "request_id": fmt.Sprintf("req-%d", n), "metadata": `{"n":1e400}`, "api_key_id": "key_write", "api_key_name": "The write key"}
		insert("audit_entries", entry)
		entities[fmt.Sprint(month, entity)] = map[string]any{"org_id": 1, "month": month, "entity_type": "service", "entity_id": "svc-" + entity,
			"id_key": "svc-" + entity, "name_key": entity}
		actors[fmt.Sprint(month, actor)] = map[string]any{"org_id": 1, "month": month, "actor_id": entry["actor_id"], "actor_key": entry["actor_key"],
			"actor_name": actor, "actor_email": "", "search_key": fmt.Sprintf("%s\n%s\n", entry["actor_id"], entry["actor_key"])}
		older.newestFirst = append(older.newestFirst, id.String())
		if n%3 == 0 {
			older.ofCheckout = append(older.ofCheckout, id.String())
		}
		if actor == "Ada" {
			older.byAda = append(older.byAda, id.String())
		}
	}
	for table, rows := range map[string]map[string]map[string]any{"audit_entities": entities, "audit_actors": actors} {
		for n, row := range slices.Collect(maps.Values(rows)) {
			if db.Write.Name() == "sqlite" {
				row["id"] = int64(1)<<40 + int64(n)
			}
			insert(table, row)
		}
	}
	return older
}

// check reads everything back.
func (o olderLog) check(t *testing.T, server *apptest.Server) {
	t.Helper()
	admin := server.Client(t)
	admin.SignIn("ada@example.com", olderPassword)
	listed := func(query string) []string {
		t.Helper()
		page := admin.Get("/orgs/acme/settings/audit-logs?limit=100&action=service:*&action=deployment:*&" + query).Expect(http.StatusOK)
		return page.Find("#entries tbody[data-entry-id]").Map(func(_ int, row *goquery.Selection) string { return row.AttrOr("data-entry-id", "") })
	}
	for query, want := range map[string][]string{
		"":                o.newestFirst,
		"q=check":         o.ofCheckout,
		"q=out":           o.ofCheckout,
		"actor=usr_ada":   o.byAda,
		"sort=user":       nil,
		"sort=action":     nil,
		"dir=asc&q=支付服务":  nil,
		"entity_type=ser": {},
	} {
		got := listed(query)
		if want == nil { // in another order
			want = o.newestFirst
			if strings.Contains(query, "q=") {
				want = slices.DeleteFunc(slices.Clone(o.newestFirst), func(id string) bool { return slices.Index(o.newestFirst, id)%3 != 2 })
			}
			slices.Sort(got)
			want = slices.Sorted(slices.Values(want))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q shows %d entries, want %d:\n%v\n%v", query, len(got), len(want), got, want)
		}
	}
	entry := admin.Get("/orgs/acme/settings/audit-logs/" + o.newestFirst[0]).Expect(http.StatusOK)
	for _, part := range []string{"192.0.2.7", "req-0", "The write key", "1e400"} {
		if !strings.Contains(entry.Body, part) {
			t.Errorf("the entry does not show %q", part)
		}
	}
	if settings := admin.Get("/orgs/acme/settings/organization").Expect(http.StatusOK); settings.Find("#retention_days, [name=retention_days]").AttrOr("value", "") != "120" ||
		!strings.Contains(settings.Body, "https://console.example.com/services/{id}") {
		t.Errorf("the settings are not what they were:\n%s", settings.Body)
	}
	members := admin.Get("/orgs/acme/settings/members").Expect(http.StatusOK)
	if !strings.Contains(members.Body, "by-ada@example.com") || strings.Contains(members.Body, "by-bob@example.com") {
		t.Error("the invitations are not those of the admins")
	}
	var resets int64
	if err := server.DB.Read.Table("audit_password_resets").Count(&resets).Error; err != nil || resets != 0 {
		t.Errorf("%d reset links of nobody knows whom are left: %v", resets, err)
	}

	program := server.Client(t)
	program.Do(http.MethodPost, "/api/v1/events", strings.NewReader(`{"action":"service:create","entity_id":"svc-new","actor":{"id":"u-1"}}`),
		"Authorization", "Bearer "+o.sendKey, "Content-Type", "application/json").Expect(http.StatusCreated)
	answer := program.Get("/api/v1/entries?limit=100&entity_type=service", "Authorization", "Bearer "+o.readKey).Expect(http.StatusOK)
	if found := strings.Count(answer.Body, `"entity_id"`); found != len(o.newestFirst)+1 {
		t.Errorf("a program reads %d entries, want what was there and one more: %d", found, len(o.newestFirst)+1)
	}
	if _, err := models.OrganizationByRef(t.Context(), server.Store.Reader(t.Context()), models.OrganizationRef{Slug: "closed"}); err != nil {
		t.Error(err)
	}
}
