package commands

import (
	"io"
	"regexp"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

func TestAnOperatorResetsAPassword(t *testing.T) {
	url := "sqlite:" + databasetest.SQLiteFile(t)
	var console strings.Builder
	flags := linkFlags{databaseFlags{Database: url}, "https://audit.example.com/"}
	to := streams{stdout: &console, stderr: io.Discard}
	if err := (&resetCommand{flags, "ada@example.com"}).Run(t.Context(), to); err == nil ||
		!strings.Contains(err.Error(), "no account has the e-mail address ada@example.com") {
		t.Errorf("for nobody: %v", err)
	}

	db := databasetest.Open(t, url)
	server := apptest.Start(t, db)
	var user accounts.User
	var acme models.Organization
	err := server.Store.Transaction(t.Context(), func(tx *gorm.DB) (err error) {
		if user, err = accounts.CreateUser(t.Context(), tx, "Ada", "ada@example.com", "no password yet"); err != nil {
			return err
		}
		if acme, err = models.CreateOrganization(t.Context(), models.HandleOf(tx), "Acme", "acme", ""); err != nil {
			return err
		}
		return accounts.AddMember(t.Context(), tx, acme.ID, user.ID, accounts.RoleAdmin)
	})
	if err != nil {
		t.Fatal(err)
	}
	console.Reset()
	if err := (&resetCommand{flags, "ADA@example.com"}).Run(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`https://audit\.example\.com(/reset/\S+)`).FindStringSubmatch(console.String())
	if link == nil {
		t.Fatalf("the console shows no link: %s", console.String())
	}

	var entry models.Entry
	if err := server.Store.Reader(t.Context()).Where("org_id = ?", acme.ID).Take(&entry).Error; err != nil {
		t.Fatal(err)
	}
	if entry.Action != "user:password_reset_link" || !entry.BySystem() || entry.Source != "reset-password" || entry.EntityID != user.ID {
		t.Errorf("recorded: %+v", entry)
	}
}

func TestAnOperatorInvitesTheFirstAdmin(t *testing.T) {
	url := "sqlite:" + databasetest.SQLiteFile(t)
	var console strings.Builder
	flags := linkFlags{databaseFlags{Database: url}, "https://audit.example.com"}
	to := streams{stdout: &console, stderr: io.Discard}
	if err := (&inviteCommand{linkFlags: flags, Role: string(accounts.RoleAdmin), Slug: "acme"}).Run(t.Context(), to); err == nil ||
		!strings.Contains(err.Error(), "no organization has the slug acme") {
		t.Errorf("to no organization: %v", err)
	}

	db := databasetest.Open(t, url)
	server := apptest.Start(t, db)
	if _, err := audit.EnsureOrganization(t.Context(), db.Write, audit.Organization{Slug: "acme", ExternalID: "tenant-42"}); err != nil {
		t.Fatal(err)
	}
	if err := (&inviteCommand{linkFlags: flags, Role: string(accounts.RoleAdmin), ExternalID: "tenant-42"}).Run(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`https://audit\.example\.com(/invitations/\S+)`).FindStringSubmatch(console.String())
	if link == nil {
		t.Fatalf("the console shows no link: %s", console.String())
	}
	somebody := server.Client(t)
	if page := somebody.Post(link[1], "name", "Ada", "email", "ada@example.com", "password", "correct horse battery"); page.Status != 303 {
		t.Fatalf("joining: %d", page.Status)
	}
	page := somebody.Get("/orgs/acme/settings/audit-logs?action=member:invite")
	if got := page.Find("tbody[data-entry-id] [data-col=user] [data-value]").Text(); got != "system" {
		t.Errorf("the log says that %q invited", got)
	}
}
