package handlers

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"
	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/handlers/secrets"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
	"github.com/auditlogs/auditlogs/models/entries"
)

// logFixture is a signed-in reader at the pages that show entries, without the rest of the app: who may
// see which organization is tested with the whole of it.
type logFixture struct {
	t      *testing.T
	store  *models.Store
	org    models.Organization
	now    time.Time
	server *fiber.App
	pages  *Handlers
	zone   *time.Location
	hidden *models.Restriction // from the reader
}

func newLogFixture(t *testing.T, db *database.DB) *logFixture {
	t.Helper()
	d := &logFixture{t: t, now: time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC), zone: time.UTC}
	var err error
	if d.store, err = db.Store(func() time.Time { return d.now }); err != nil {
		t.Fatal(err)
	}
	d.org = d.organization("acme")

	log := entries.NewLog(d.store)
	h := &Handlers{Store: d.store, Accounts: accounts.NewStore(d.store), Entries: log, Listing: log, Views: testViews(t), Log: slog.New(slog.DiscardHandler), BaseURL: "https://audit.example.com", Places: secrets.NewShared(d.store, "places_key")}
	d.pages = h
	d.server = fiber.New(fiber.Config{
		Immutable: true, ReadBufferSize: 32 << 10,
		ErrorHandler: func(c *fiber.Ctx, err error) error {
			p := problemOf(err)
			return c.Status(p.Status).SendString(p.Detail)
		},
	})
	d.server.Use(func(c *fiber.Ctx) error {
		org, err := models.OrganizationByRef(t.Context(), d.store.Reader(t.Context()), models.OrganizationRef{Slug: "acme"})
		if err != nil {
			return err
		}
		org.Hidden = d.hidden
		user := &accounts.User{ID: "usr_reader", Name: "Rita Reader", Email: "rita@example.com"}
		ctx := audit.WithActor(t.Context(), actorOf(*user))
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		c.SetUserContext(ctx)
		c.Locals(scopeKey, &Scope{User: user, Organization: org, Organizations: []models.Organization{org}, Role: accounts.RoleMember, Location: d.zone})
		return c.Next()
	})
	d.server.Get("/orgs/:slug/settings/audit-logs", h.AuditLog)
	d.server.Get("/orgs/:slug/settings/audit-logs/export", h.Export)
	d.server.Get("/orgs/:slug/settings/audit-logs/actors", h.AuditLogActors)
	d.server.Get("/orgs/:slug/settings/audit-logs/counts", h.AuditLogCounts)
	d.server.Get("/orgs/:slug/settings/audit-logs/facets", h.AuditLogFacets)
	d.server.Get("/orgs/:slug/settings/audit-logs/new", h.AuditLogNew)
	d.server.Get("/orgs/:slug/settings/audit-logs/:entry", h.Entry)
	d.server.Get("/orgs/:slug/resources/:entity_type", h.History)
	d.server.Get("/orgs/:slug/actors", h.ActorHistory)
	return d
}

func (d *logFixture) organization(slug string) models.Organization {
	d.t.Helper()
	return logtest.Organization(d.t, d.store, slug)
}

// insert is logtest.Insert, of Ada unless somebody else is named.
func (d *logFixture) insert(org models.Organization, entries ...models.Entry) []models.Entry {
	d.t.Helper()
	for i := range entries {
		e := &entries[i]
		e.EntityID = cmp.Or(e.EntityID, "srv_1")
		e.ActorID = cmp.Or(e.ActorID, "usr_1")
		e.ActorName = cmp.Or(e.ActorName, "Ada Lovelace")
	}
	return logtest.Insert(d.t, d.store, org, entries...)
}

// ago is a moment before now.
func (d *logFixture) ago(duration time.Duration) models.Micros {
	return models.MicrosOf(d.now.Add(-duration))
}

// get asks for an address. headers are pairs of name and value.
func (d *logFixture) get(path string, headers ...string) (*http.Response, string) {
	d.t.Helper()
	request := httptest.NewRequestWithContext(d.t.Context(), http.MethodGet, path, nil)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := d.server.Test(request, -1)
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		d.t.Fatalf("read %s: %v", path, err)
	}
	return response, string(body)
}

// page asks for an address that must answer 200 with HTML.
func (d *logFixture) page(path string, headers ...string) *goquery.Document {
	d.t.Helper()
	response, body := d.get(path, headers...)
	if response.StatusCode != http.StatusOK {
		d.t.Fatalf("%s answers %d: %s", path, response.StatusCode, body)
	}
	if strings.HasPrefix(body, "<tr") {
		body = "<table><tbody>" + body + "</tbody></table>"
	}
	document, err := goquery.NewDocumentFromReader(strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	return document
}

// fragment are the headers of htmx asking for a part of a page.
var fragment = []string{"HX-Request", "true", "HX-Request-Type", "partial"}
