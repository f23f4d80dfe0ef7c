package handlers_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/PuerkitoBio/goquery"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/internal/logtest"
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
		acme := logtest.FindOrganization(t, p.Store, "acme")
		if acme.Name != "Acme of the application" {
			t.Errorf("the organization is called %q now", acme.Name)
		}
		if joined := p.entries(acme, "member:join"); len(joined) != 1 || joined[0].ActorEmail != "ada@example.com" {
			t.Errorf("recorded: %+v", joined)
		}
		client.Get("/orgs/acme/settings/organization").Expect(200)
	})
}

// Who holds the token chooses among the organizations that applications record into; nobody else learns of them.
func TestSetupOffersOrganizationsThatNobodyBelongsTo(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		var token string
		p.do(func(tx *gorm.DB) (err error) {
			for _, slug := range []string{"acme", "beta", "closed"} {
				if _, err := audit.EnsureOrganization(t.Context(), tx, audit.Organization{Slug: slug, Name: "The " + slug}); err != nil {
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
			token, err = accounts.CreateSetupToken(t.Context(), tx)
			return err
		})
		client := p.Client(t)
		for _, address := range []string{"/setup", "/setup?token=not-the-token"} {
			if page := client.Get(address).Expect(200); page.Find("[name=existing]").Length() != 0 || strings.Contains(page.Body, "The acme") {
				t.Errorf("%s offers organizations to anybody", address)
			}
		}
		offered := client.Get("/setup?token=" + token).Expect(200).Find("[name=existing] option").Map(func(_ int, o *goquery.Selection) string {
			return o.AttrOr("value", "?") + "=" + o.Text()
		})
		if want := []string{"acme=The acme (acme)", "beta=The beta (beta)", "=A new one"}; !slices.Equal(offered, want) {
			t.Errorf("offered: %q, want %q", offered, want)
		}

		taken := []string{"token", token, "name", "Ada", "email", "ada@example.com", "password", password, "organization", "", "slug", ""}
		for _, slug := range []string{"closed", "gone"} {
			refused := client.Post("/setup", append(taken, "existing", slug)...).Expect(422)
			if reason := refused.Find("#field-existing-error").Text(); !strings.Contains(reason, "not there any more") {
				t.Errorf("taking over %s is refused with %q", slug, reason)
			}
		}
		another := client.Post("/setup", "token", token, "existing", "", "organization", "Another", "slug", "Not a slug").Expect(422)
		if chosen := another.Find("[name=existing] option[selected]").Text(); chosen != "A new one" {
			t.Errorf("after a mistake in a new organization %q is chosen", chosen)
		}
		fields := []string{"token", token, "name", "Ada", "email", "ada@example.com", "existing", "beta", "organization", "", "slug", ""}
		again := client.Post("/setup", append(fields, "password", "short")...).Expect(422)
		if chosen := again.Find("[name=existing] option[selected]").AttrOr("value", ""); chosen != "beta" {
			t.Errorf("after a mistake %q is chosen", chosen)
		}
		client.Post("/setup", append(fields, "password", password)...).ExpectRedirect("/orgs/beta" + auditLogs)
		beta := logtest.FindOrganization(t, p.Store, "beta")
		if beta.Name != "The beta" {
			t.Errorf("the organization is called %q now", beta.Name)
		}
	})
}
