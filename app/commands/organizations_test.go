package commands

import (
	"os"
	"path/filepath"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

func TestTheOrganizationsAreListed(t *testing.T) {
	for name, url := range map[string]string{
		"sqlite":   "sqlite:" + databasetest.SQLiteFile(t),
		"postgres": databasetest.PostgresURL(t),
	} {
		t.Run(name, func(t *testing.T) {
			db := databasetest.Open(t, url)
			store, err := db.Store(nil)
			if err != nil {
				t.Fatal(err)
			}
			err = store.Transaction(t.Context(), func(tx *gorm.DB) error {
				for _, o := range []audit.Organization{
					{Slug: "initech", Name: "Initech <GmbH>"}, {Slug: "acme", Name: "Acme", ExternalID: "tenant-42"}, {Slug: "gone", Name: "Gone"},
				} {
					if _, err := audit.EnsureOrganization(t.Context(), tx, o); err != nil {
						return err
					}
				}
				acme, err := models.OrganizationByRef(t.Context(), tx, models.OrganizationRef{Slug: "acme"})
				if err != nil {
					return err
				}
				gone, err := models.OrganizationByRef(t.Context(), tx, models.OrganizationRef{Slug: "gone"})
				if err != nil {
					return err
				}
				user, err := accounts.CreateUser(t.Context(), tx, "Ada", "ada@example.com", "no password yet")
				if err != nil {
					return err
				}
				if err := accounts.AddMember(t.Context(), tx, acme.ID, user.ID, accounts.RoleAdmin); err != nil {
					return err
				}
				return accounts.CloseOrganization(t.Context(), tx, gone.ID, store.Now())
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, tc := range []struct {
				flags []string
				want  string
			}{
				{nil, "SLUG      EXTERNAL ID   NAME             MEMBERS\n" +
					"acme      tenant-42     Acme             1\n" +
					"gone                    Gone             0, closed\n" +
					"initech                 Initech <GmbH>   0\n"},
				{[]string{"--without-members", "--json"}, `{"slug":"initech","external_id":"","name":"Initech <GmbH>","members":0,"closed":false}` + "\n"},
			} {
				code, stdout, stderr := execute(t, append([]string{"organizations", "--database", url}, tc.flags...)...)
				if code != 0 || stderr != "" || stdout != tc.want {
					t.Errorf("%q: exit code %d, it says %q:\n%s\nwant\n%s", tc.flags, code, stderr, stdout, tc.want)
				}
			}
		})
	}
}

// A mistyped address is a mistake, and no second log.
func TestOnlyServeAndMigrateMakeADatabase(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "new")
	url := "sqlite:" + filepath.Join(folder, "log.db")
	for _, arguments := range [][]string{
		{"organizations"}, {"invite", "acme"}, {"reset-password", "ada@example.com"}, {"import", os.DevNull},
		{"record", "--organization", "acme", "--action", "backup:finish", "--entity-id", "b-1", "--system", "cron"},
	} {
		code, _, stderr := execute(t, append(arguments, "--database", url)...)
		if want := "auditlogs: database: there is no SQLite file " + filepath.Join(folder, "log.db") + "\n"; code != 1 || stderr != want {
			t.Errorf("%s: exit code %d: %q, want %q", arguments[0], code, stderr, want)
		}
		if _, err := os.Stat(folder); !os.IsNotExist(err) {
			t.Fatalf("%s made a folder: %v", arguments[0], err)
		}
	}
}
