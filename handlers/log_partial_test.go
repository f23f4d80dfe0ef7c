package handlers

import (
	"bytes"
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

// nearSighted looks no further than an entry for the first page, and finds nothing up to there: as a
// question does whose work is bounded.
type nearSighted struct {
	Listing
	upTo *models.Entry
}

func (l nearSighted) Page(ctx context.Context, org models.Organization, q entries.Query) (entries.Page, error) {
	if q.Cursor == nil {
		place := entries.CursorAfter(q.Sort, l.upTo)
		return entries.Page{Looked: place, Next: place}, nil
	}
	return l.Listing.Page(ctx, org, q)
}

func TestAPageSaysHowFarItLookedAndGoesOnWhenAsked(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		entries := d.insert(d.org,
			models.Entry{OccurredAt: d.ago(time.Hour), Action: "service:update", EntityID: "srv_new"},
			models.Entry{OccurredAt: d.ago(2 * time.Hour), Action: "service:update", EntityID: "srv_old"},
		)
		d.pages.Listing = nearSighted{d.pages.Entries, &entries[0]}
		for sort, want := range map[string]string{
			"":             "No match back to Jun 15, 11:00",
			"&dir=asc":     "No match up to Jun 15, 11:00",
			"&sort=action": "No match as far as service:update",
		} {
			page := d.page(logPath + "?q=srv" + sort)
			said := text(page.Find("#entries .message"))
			if !strings.Contains(said, want) || strings.Contains(said, "Nothing matches") {
				t.Errorf("%q: the page says %q, want %q", sort, said, want)
			}
			on := page.Find(`#entries a[rel="next"]`)
			if got := text(on); got != "Keep looking" {
				t.Fatalf("%q: the way on is called %q", sort, got)
			}
			if sort == "" {
				further := d.page(on.AttrOr("href", ""))
				if got := text(further.Find("code[data-value]")); got != "srv_old" {
					t.Errorf("going on finds %q", got)
				}
			}
		}
	})
}

// How far was looked may be the name of somebody of whom everything is hidden: neither the page nor the address of the next
// one says it, and that address leads on all the same.
func TestHowFarWasLookedNamesNobodyHidden(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		for i := range 30 {
			d.insert(d.org, models.Entry{OccurredAt: d.ago(time.Duration(i) * time.Minute), Action: "secret:read", EntityType: "secret", EntityID: "vault-9", ActorID: "u-m", ActorName: "Mallory"})
		}
		d.insert(d.org, models.Entry{OccurredAt: d.ago(time.Hour), Action: "service:update", ActorID: "u-z", ActorName: "Zoe"})
		d.hidden = &models.Restriction{Actions: "secret:*"}
		d.pages.Entries.Limits.Rows, d.pages.Entries.Limits.FirstLook = 10, 2
		partial, address := 0, logPath+"?sort=user"
		for range 20 {
			_, body := d.get(address)
			page := d.page(address)
			on := page.Find(`#entries a[rel="next"]`)
			if strings.Contains(strings.ToLower(body), "mallory") {
				t.Fatalf("%s shows who is hidden", address)
			}
			if address = on.AttrOr("href", ""); address == "" {
				break
			}
			partial++
			at, _ := url.Parse(address)
			raw, err := base64.RawURLEncoding.DecodeString(at.Query().Get("cursor"))
			if err != nil || len(raw) == 0 || bytes.Contains(raw, []byte("mallory")) {
				t.Fatalf("the way on is %s, which holds %q", address, raw)
			}
			if said := text(page.Find("#entries .message")); !strings.Contains(said, "as far as a page goes") {
				t.Errorf("the page says %q", said)
			}
		}
		if partial < 2 || address != "" {
			t.Errorf("the list is shown in %d parts, and %q is left", partial+1, address)
		}
		// Elsewhere it leads nowhere.
		d.hidden = &models.Restriction{Metadata: true}
		for _, cursor := range []string{"x", "AAAA"} {
			if response, body := d.get(logPath + "?sort=user&cursor=" + cursor); response.StatusCode != http.StatusBadRequest {
				t.Errorf("%s answers %d: %s", cursor, response.StatusCode, body)
			}
		}
	})
}
