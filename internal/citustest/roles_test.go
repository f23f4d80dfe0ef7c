//go:build citus

package citustest

import (
	"crypto/rand"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// The rights that grants.sql gives are those of the shards, too.
func TestTheRolesMayDoWhatTheyAreFor(t *testing.T) {
	address := databasetest.PostgresURL(t)
	db := databasetest.Open(t, address)
	// Roles are those of all databases of the nodes.
	prefix := "auditlogs_" + strings.ToLower(rand.Text()[:12]) + "_"
	for _, file := range []string{"roles.sql", "grants.sql"} {
		content, err := os.ReadFile("../../docs/database-roles/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Write.Exec(strings.ReplaceAll(string(content), "auditlogs_", prefix)).Error; err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	names := []string{prefix + "owner", prefix + "server", prefix + "recorder", prefix + "reader"}
	t.Cleanup(func() {
		if err := db.Write.Exec("DROP OWNED BY " + strings.Join(names, ", ") + "; DROP ROLE " + strings.Join(names, ", ")).Error; err != nil {
			t.Error(err)
		}
	})
	if _, err := audit.EnsureOrganization(t.Context(), db.Write, audit.Organization{Slug: "acme", Name: "Acme"}); err != nil {
		t.Fatal(err)
	}
	for _, role := range names[1:3] {
		own, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		own.User = url.User(role)
		event := audit.Event{
			Organization: "acme", Action: "service:create", EntityType: "service", EntityID: role, Actor: audit.Actor{ID: "u", Name: "U"},
			Related: []audit.Resource{{Type: "project", ID: "p"}}, ID: role,
		}
		if _, err := audit.Record(t.Context(), databasetest.Open(t, own.String()).Write, event); err != nil {
			t.Errorf("%s records: %v", strings.TrimPrefix(role, prefix), err)
		}
	}
	var seen int
	own, _ := url.Parse(address)
	own.User = url.User(prefix + "reader")
	err := databasetest.Open(t, own.String()).Write.Raw("SELECT COUNT(*) FROM audit_log WHERE related IS NOT NULL").Scan(&seen).Error
	if err != nil || seen != 2 {
		t.Errorf("the reader sees %d entries: %v", seen, err)
	}
}
