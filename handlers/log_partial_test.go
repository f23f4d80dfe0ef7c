package handlers

import (
	"context"
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
