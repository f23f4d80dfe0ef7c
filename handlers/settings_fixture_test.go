package handlers_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
	"github.com/auditlogs/auditlogs/models/entries"
)

const (
	settingsDay  = 24 * time.Hour
	settingsPage = "/orgs/acme/settings/organization"
	auditForm    = "/orgs/acme/settings/audit"
)

// settingsFixture is an organization "acme" with an admin and a member, both signed in.
type settingsFixture struct {
	*apptest.Server
	t             *testing.T
	admin, member *apptest.Client
}

func newSettingsFixture(t *testing.T, db *database.DB, options ...func(*app.Config)) *settingsFixture {
	t.Helper()
	d := &settingsFixture{Server: apptest.Start(t, db, options...), t: t}
	const password = "correct horse battery"
	hash := apptest.PasswordHash(t, password)
	d.transaction(func(tx *gorm.DB) error {
		org, err := models.CreateOrganization(t.Context(), models.HandleOf(tx), "Acme", "acme", "")
		if err != nil {
			return err
		}
		for email, role := range map[string]accounts.Role{"admin@example.com": accounts.RoleAdmin, "member@example.com": accounts.RoleMember} {
			user, err := accounts.CreateUser(t.Context(), tx, strings.ToUpper(email[:1])+strings.Split(email[1:], "@")[0], email, hash)
			if err != nil {
				return err
			}
			if err := accounts.AddMember(t.Context(), tx, org.ID, user.ID, role); err != nil {
				return err
			}
		}
		return nil
	})
	d.admin, d.member = d.Client(t), d.Client(t)
	d.admin.SignIn("admin@example.com", password)
	d.member.SignIn("member@example.com", password)
	return d
}

func (d *settingsFixture) transaction(do func(tx *gorm.DB) error) {
	d.t.Helper()
	if err := d.Store.Transaction(d.t.Context(), do); err != nil {
		d.t.Fatal(err)
	}
}

func (d *settingsFixture) org() models.Organization {
	d.t.Helper()
	return logtest.FindOrganization(d.t, d.Store, "acme")
}

// record stores n entries that occurred age ago, and were recorded then.
func (d *settingsFixture) record(age time.Duration, n int) (stored int) {
	d.t.Helper()
	d.transaction(func(tx *gorm.DB) error {
		occurred := d.Clock.Now().Add(-age)
		then := models.WithClock(tx, func() time.Time { return occurred })
		for i := range n {
			receipt, err := audit.Record(d.t.Context(), then, audit.Event{
				Organization: "acme", Action: action.ServiceUpdate, EntityID: fmt.Sprint("srv_", i), Actor: audit.System("test"),
				OccurredAt: occurred,
			})
			if err != nil {
				return err
			}
			if receipt.Stored {
				stored++
			}
		}
		return nil
	})
	return stored
}

// entries lists what was recorded of an action, newest first, metadata included.
func (d *settingsFixture) entries(action action.Action) []models.Entry {
	d.t.Helper()
	var all []models.Entry
	err := entries.NewLog(d.Store).Each(d.t.Context(), d.org(), entries.Query{Actions: []string{string(action)}}, func(entries []models.Entry) error {
		all = append(all, entries...)
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return all
}

// changes reads the metadata of the latest entry of an action.
func (d *settingsFixture) changes(action action.Action) map[string]audit.Change {
	d.t.Helper()
	entries := d.entries(action)
	if len(entries) == 0 {
		d.t.Fatalf("no entry of %s", action)
	}
	var metadata struct{ Changes map[string]audit.Change }
	if err := json.Unmarshal([]byte(entries[0].Metadata), &metadata); err != nil {
		d.t.Fatal(err)
	}
	return metadata.Changes
}

func (d *settingsFixture) wantSettings(days int, enabled bool) {
	d.t.Helper()
	if got, want := d.org().AuditSettings(), (models.AuditSettings{RetentionDays: days, LoggingEnabled: enabled}); got != want {
		d.t.Errorf("the settings are %+v, want %+v", got, want)
	}
}

// postFragment sends a form as htmx does.
func postFragment(c *apptest.Client, path string, fields ...string) *apptest.Page {
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return c.Do("POST", path, strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded",
		"Sec-Fetch-Site", "same-origin", "HX-Request", "true", "HX-Request-Type", "partial")
}

// copyEntry stores n more entries like the only one of service:update.
func (d *settingsFixture) copyEntry(n int) {
	d.t.Helper()
	original := d.entries(action.ServiceUpdate)[0]
	entries := make([]models.Entry, n)
	for i := range entries {
		entries[i] = original
		entries[i].ID = models.NewEntryID(original.OccurredAt)
	}
	if err := d.Store.Writer(d.t.Context()).CreateInBatches(entries, 500).Error; err != nil {
		d.t.Fatal(err)
	}
}
