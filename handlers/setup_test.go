package handlers_test

import (
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// An application may record before anybody has an account: the first admin takes over what it
// recorded into.
func TestSetupOfAnOrganizationThatIsRecordedInto(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		var token string
		p.do(func(tx *gorm.DB) (err error) {
			for _, slug := range []string{"acme", "closed"} {
				if _, err := audit.EnsureOrganization(t.Context(), tx, audit.Organization{Slug: slug, Name: "Acme of the application"}); err != nil {
					return err
				}
			}
			closed, err := models.OrganizationByRef(t.Context(), tx, models.OrganizationRef{Slug: "closed"})
			if err != nil {
				return err
			}
			if err := accounts.CloseOrganization(t.Context(), tx, closed.ID, p.Clock.Now()); err != nil {
				return err
			}
			_, err = audit.Record(t.Context(), tx, audit.Event{Organization: "acme", Action: action.ServiceCreate,
				EntityID: "svc_1", EntityName: "web", Actor: audit.System("deployer")})
			if err != nil {
				return err
			}
			token, err = accounts.CreateSetupToken(t.Context(), tx)
			return err
		})
		client := p.Client(t)
		fields := func(slug string) []string {
			return []string{"token", token, "name", "Ada", "email", "ada@example.com", "password", password,
				"organization", "Another name", "slug", slug}
		}
		wantReason(t, client.Post("/setup", fields("closed")...).Expect(422), "slug", "taken")
		client.Post("/setup", fields("acme")...).ExpectRedirect("/orgs/acme" + auditLogs)

		page := client.Get("/orgs/acme" + auditLogs).Expect(200)
		if text := page.Find("#entries").Text(); !strings.Contains(text, "svc_1") {
			t.Error("the first admin does not see what was recorded before")
		}
		acme, err := p.Store.OrganizationBySlug(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		if acme.Name != "Acme of the application" {
			t.Errorf("the organization is called %q now", acme.Name)
		}
		if joined := p.entries(acme, "member:join"); len(joined) != 1 || joined[0].ActorEmail != "ada@example.com" {
			t.Errorf("recorded: %+v", joined)
		}
		client.Get("/orgs/acme/settings/organization").Expect(200)
	})
}
