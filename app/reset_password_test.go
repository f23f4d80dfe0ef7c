package app_test

import (
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/app/apptest"
	"github.com/auditlogs/auditlogs/app/database/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

func TestAnOperatorResetsAPassword(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "auditlogs.db")
	log := slog.New(slog.DiscardHandler)
	var console strings.Builder
	if err := app.ResetPassword(t.Context(), "https://audit.example.com/", url, "ada@example.com", log, &console); err == nil ||
		!strings.Contains(err.Error(), "no account has the e-mail address ada@example.com") {
		t.Errorf("for nobody: %v", err)
	}

	db := databasetest.Open(t, url)
	server := apptest.Start(t, db)
	var user models.User
	var acme models.Organization
	err := server.Store.Transaction(t.Context(), func(tx *gorm.DB) (err error) {
		if user, err = models.CreateUser(t.Context(), tx, "Ada", "ada@example.com", "no password yet"); err != nil {
			return err
		}
		if acme, err = models.CreateOrganization(t.Context(), tx, "Acme", "acme", ""); err != nil {
			return err
		}
		return models.AddMember(t.Context(), tx, acme.ID, user.ID, models.RoleAdmin)
	})
	if err != nil {
		t.Fatal(err)
	}
	console.Reset()
	if err := app.ResetPassword(t.Context(), "https://audit.example.com/", url, "ADA@example.com", log, &console); err != nil {
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
