package app_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models/accounts"
)

func TestTheServersLogNamesWhoAskedAndOfWhichOrganization(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		var log bytes.Buffer
		server := apptest.Start(t, db, func(c *app.Config) { c.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
		acme := server.Organization(t, "acme")
		ada := server.Member(t, "ada@example.com", accounts.RoleMember, acme)
		var key accounts.APIKey
		var token string
		err := server.Store.Transaction(t.Context(), func(tx *gorm.DB) (err error) {
			key, token, err = accounts.CreateAPIKey(t.Context(), tx, acme.ID, "Build", accounts.ScopeRead, ada.ID, 0)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		visitor, client := server.Client(t), server.Client(t)
		visitor.Get("/orgs/acme/settings/members").Expect(303)
		client.SignIn("ada@example.com", apptest.Password)
		client.Get("/orgs/acme/settings/members").Expect(200)
		client.Post("/orgs/acme/settings/delete").Expect(403)
		client.Get("/orgs/foreign/settings/members").Expect(404)
		client.Get("/account").Expect(200)
		bearer := "Bearer " + token
		visitor.Get("/api/v1/entries", "Authorization", bearer).Expect(200)
		visitor.Do("POST", "/api/v1/events", strings.NewReader("{}"), "Authorization", bearer).Expect(403)
		visitor.Get("/api/v1/entries", "Authorization", "Bearer alk_unknown").Expect(401)
		server.Stop()

		var got []string
		for line := range strings.Lines(log.String()) {
			var said struct{ Msg, Method, Path, User, Organization, API_Key string }
			if err := json.Unmarshal([]byte(line), &said); err != nil {
				t.Fatal(err)
			}
			if said.Msg == "request" {
				got = append(got, strings.Join([]string{said.Method, said.Path, said.User, said.API_Key, said.Organization}, " "))
			}
		}
		want := []string{
			"GET /orgs/acme/settings/members   ",
			"POST /login " + ada.ID + "  ",
			"GET /orgs/acme/settings/members " + ada.ID + "  acme",
			"POST /orgs/acme/settings/delete " + ada.ID + "  acme",
			"GET /orgs/foreign/settings/members " + ada.ID + "  ",
			"GET /account " + ada.ID + "  ",
			"GET /api/v1/entries  " + key.ID + " acme",
			"POST /api/v1/events  " + key.ID + " acme",
			"GET /api/v1/entries   ",
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("the log says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if strings.Contains(log.String(), token) || strings.Contains(log.String(), ada.Email) {
			t.Error("the log tells the key or an address")
		}
	})
}
