package commands

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

func TestRecordOneEvent(t *testing.T) {
	for _, name := range []string{"AUDITLOGS_URL", "AUDITLOGS_ID", "AUDITLOGS_ACTOR_NAME", "AUDITLOGS_METADATA", "AUDITLOGS_SYSTEM"} {
		t.Setenv(name, "meant for something else")
	}
	onBoth(t, func(t *testing.T, url string, db *database.DB) {
		metadata := filepath.Join(t.TempDir(), "metadata.json")
		if err := os.WriteFile(metadata, []byte(`{ "commit": "4a1f" }`), 0o600); err != nil {
			t.Fatal(err)
		}
		yesterday := time.Now().AddDate(0, 0, -1).Format(time.DateOnly)
		code, stdout, stderr := execute(t, "record", "--database", url, "--organization", "acme", "--action", "deployment:create",
			"--entity-id", "dep-1", "--entity-name", "checkout", "--entity-type", "release", "--actor-id", "u-7", "--actor-name", "Ada",
			"--actor-email", "ada@example.com", "--occurred-at", yesterday+"T03:04:05.5+01:00", "--metadata", "@"+metadata,
			"--url", "https://ci.example.com/1", "--id", "build-1")
		if code != 0 || stderr != "" {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		var entry models.Entry
		if err := db.Read.Take(&entry).Error; err != nil {
			t.Fatal(err)
		}
		if entry.ID.String()+"\n" != stdout || entry.Action != "deployment:create" || entry.EntityType != "release" || entry.EntityID != "dep-1" ||
			entry.EntityName != "checkout" || entry.ActorID != "u-7" || entry.ActorName != "Ada" || entry.ActorEmail != "ada@example.com" ||
			entry.URL != "https://ci.example.com/1" || entry.Metadata != `{"commit":"4a1f"}` ||
			entry.OccurredAt.Time().Format("15:04:05.0") != "02:04:05.5" {
			t.Errorf("it prints %q and stored %+v", stdout, entry)
		}

		t.Setenv("AUDITLOGS_DATABASE", url)
		t.Setenv("AUDITLOGS_ORGANIZATION", "acme")
		once := []string{"record", "--action", "backup:finish", "--entity-id", "db", "--system", "nightly-backup", "--id", "2026-11-20"}
		_, first, _ := execute(t, once...)
		code, again, stderr := execute(t, once...)
		if code != 0 || again != first || stderr != "" {
			t.Errorf("the second time exit code %d, %q, the first time %q: %s", code, again, first, stderr)
		}
		var automated models.Entry
		if err := db.Read.Where("entity_id = 'db'").Take(&automated).Error; err != nil || !automated.BySystem() || automated.Source != "nightly-backup" {
			t.Errorf("stored %+v, %v", automated, err)
		}

		if err := db.Write.Exec("UPDATE audit_organizations SET logging_enabled = ?", false).Error; err != nil {
			t.Fatal(err)
		}
		code, stdout, stderr = execute(t, "record", "--action", "a:b", "--entity-id", "1", "--system", "test")
		if code != 0 || stdout != "" || !strings.Contains(stderr, "audit logging is off") {
			t.Errorf("while logging is off: exit code %d, %q, %q", code, stdout, stderr)
		}
	})
}

func TestRecordSaysWhatItRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, url string, db *database.DB) {
		valid := []string{"record", "--database", url, "--organization", "acme", "--action", "deployment:create", "--entity-id", "1"}
		for name, tc := range map[string]struct {
			arguments []string
			code      int
			want      string
		}{
			"nobody":             {nil, 1, "actor: is required: say who did it with --actor-id, or with --system"},
			"a name without ID":  {[]string{"--actor-name", "Ada"}, 1, "actor: is required"},
			"a person and none":  {[]string{"--actor-id", "u-1", "--system", "backup"}, 1, "--system stands for an actor"},
			"action":             {[]string{"--system", "x", "--action", "Deploy"}, 1, `action: "Deploy" is not entity:verb`},
			"the app's own":      {[]string{"--system", "x", "--action", "member:remove"}, 1, `action: "member:remove" is for what Audit Logs itself records`},
			"an empty time":      {[]string{"--system", "x", "--occurred-at", ""}, 1, `occurred_at: "" is not a time`},
			"time":               {[]string{"--system", "x", "--occurred-at", "noon"}, 1, `occurred_at: "noon" is not a time`},
			"metadata":           {[]string{"--system", "x", "--metadata", "[1]"}, 1, "metadata: is not a JSON object"},
			"metadata file":      {[]string{"--system", "x", "--metadata", "@/nowhere"}, 1, "metadata: open /nowhere"},
			"organization":       {[]string{"--system", "x", "--organization", "nobody"}, 1, `organization: "nobody" does not exist`},
			"no organization":    {[]string{"--system", "x", "--organization", ""}, 1, "organization: is required"},
			"URL":                {[]string{"--system", "x", "--url", "ftp://x/"}, 1, `url: scheme "ftp"`},
			"no such SQLite log": {[]string{"--system", "x", "--database", "sqlite:" + filepath.Join(t.TempDir(), "x", "log.db")}, 1, "there is no SQLite file"},
			"no such PostgreSQL log": {[]string{"--system", "x", "--database",
				strings.Replace(databasetest.PostgresURL(t), "auditlogs_test_", "no_such_database_", 1)}, 2, "does not exist"},
		} {
			t.Run(name, func(t *testing.T) {
				code, stdout, stderr := execute(t, append(append([]string{}, valid...), tc.arguments...)...)
				if code != tc.code || stdout != "" || !strings.Contains(stderr, tc.want) ||
					strings.Count(stderr, "\n") != 1 {
					t.Errorf("exit code %d, %q, %q; want %d, %q", code, stdout, stderr, tc.code, tc.want)
				}
			})
		}
		var stored int64
		if err := db.Read.Table("audit_entries").Count(&stored).Error; err != nil || stored != 0 {
			t.Errorf("%d entries were stored (%v)", stored, err)
		}
	})
}

func TestRecordOneEventOverHTTP(t *testing.T) {
	onBoth(t, func(t *testing.T, url string, db *database.DB) {
		var acme models.Organization
		var writes, reads string
		err := db.Write.Transaction(func(tx *gorm.DB) (err error) {
			if acme, err = models.OrganizationByRef(t.Context(), tx, models.OrganizationRef{Slug: "acme"}); err != nil {
				return err
			}
			if _, writes, err = accounts.CreateAPIKey(t.Context(), tx, acme.ID, "scripts", accounts.ScopeWrite, "usr_1", 0); err != nil {
				return err
			}
			_, reads, err = accounts.CreateAPIKey(t.Context(), tx, acme.ID, "reports", accounts.ScopeRead, "usr_1", 0)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		console, stop := serve(t, "--database", url)
		defer stop()
		address := find(t, console, `Audit Logs is at (http://127\.0\.0\.1:\d+)`)
		t.Setenv("AUDITLOGS_SERVER", address)
		t.Setenv("AUDITLOGS_KEY", writes)
		t.Setenv("AUDITLOGS_DATABASE", "sqlite:/nowhere/log.db") // it is there for other commands
		backup := []string{"record", "--action", "backup:finish", "--entity-id", "orders", "--system", "nightly-backup"}

		code, stdout, stderr := execute(t, backup...)
		if code != 0 || stderr != "" {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		var entry models.Entry
		if err := db.Read.Where("action = 'backup:finish'").Take(&entry).Error; err != nil {
			t.Fatal(err)
		}
		if entry.ID.String()+"\n" != stdout || entry.Source != "nightly-backup" || entry.APIKeyName != "scripts" || entry.OrgID != acme.ID {
			t.Errorf("it prints %q and stored %+v", stdout, entry)
		}

		if code, _, stderr := execute(t, append(backup, "--database", url, "--organization", "acme", "--entity-id", "direct")...); code != 0 {
			t.Errorf("into a database that a flag names: exit code %d: %s", code, stderr)
		}
		var direct models.Entry
		if err := db.Read.Where("entity_id = 'direct'").Take(&direct).Error; err != nil || direct.APIKeyID != "" {
			t.Errorf("a flag that names a database does not win over the variables: %+v, %v", direct, err)
		}
		for name, tc := range map[string]struct {
			arguments []string
			code      int
			want      string
		}{
			"two places":           {[]string{"--server", address, "--database", url}, 1, "only one of them can be recorded in"},
			"no key":               {[]string{"--key", ""}, 1, "--server needs an API key"},
			"a key nobody knows":   {[]string{"--key", "alk_nobody"}, 1, "401"},
			"a key that may read":  {[]string{"--key", reads}, 1, "403"},
			"a bad field":          {[]string{"--action", "Backup"}, 1, "action: "},
			"another organization": {[]string{"--organization", "other"}, 1, "organization: "},
			"no server address":    {[]string{"--server", "audit.example.com"}, 1, "is not an address such as"},
		} {
			t.Run(name, func(t *testing.T) {
				code, stdout, stderr := execute(t, append(backup, tc.arguments...)...)
				if code != tc.code || stdout != "" || !strings.Contains(stderr, tc.want) || strings.Count(stderr, "\n") != 1 {
					t.Errorf("exit code %d, %q, %q; want %d, %q", code, stdout, stderr, tc.code, tc.want)
				}
			})
		}

		if err := db.Write.Exec("UPDATE audit_organizations SET logging_enabled = ?", false).Error; err != nil {
			t.Fatal(err)
		}
		if code, stdout, stderr := execute(t, backup...); code != 0 || stdout != "" || !strings.Contains(stderr, "audit logging is off") {
			t.Errorf("while logging is off: exit code %d, %q, %q", code, stdout, stderr)
		}
	})
}
