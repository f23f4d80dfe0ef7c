package handlers

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

// The page of an entry that was opened from a list leads through that list, in its order, and back to where it was.
func TestAnEntrysPageKnowsItsList(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		var stored []models.Entry
		for i := range 12 {
			e := models.Entry{OccurredAt: d.ago(time.Duration(i+1) * time.Minute), ActorID: "usr_" + string(rune('a'+i%3)), ActorName: "User " + string(rune('A'+i%3))}
			if i%2 == 0 {
				e.Action, e.Metadata = "service:delete", `{"size":"large"}`
			}
			stored = append(stored, e)
		}
		d.insert(d.org, stored...)
		for _, query := range []string{"", "?limit=25", "?dir=asc", "?sort=user", "?sort=action&dir=desc", "?action=service:delete", "?actor=usr_b&sort=action", "?q=meta.size:large", "?q=-action:service:delete&sort=user&dir=desc"} {
			list := d.page(logPath + query)
			rows := rowsOf(list)
			if len(rows) < 4 {
				t.Fatalf("%q lists %d entries", query, len(rows))
			}
			at := list.Find("tbody[data-entry-id] th a").First().AttrOr("href", "")
			var there []string
			for i := 0; at != "" && i < 20; i++ {
				page := d.page(at)
				id, _, _ := strings.Cut(strings.TrimPrefix(at, logPath+"/"), "?")
				there = append(there, id)
				back := page.Find(".entry-back a").First().AttrOr("href", "")
				if got := rowsOf(d.page(back)); !slices.Equal(got, rows[i:]) {
					t.Errorf("%q: entry %d leads back to %s, which lists %v", query, i, back, got)
				}
				previous := page.Find(".entry-back a[rel=prev]").AttrOr("href", "")
				if i == 0 && previous != "" || i > 0 && !strings.HasPrefix(previous, logPath+"/"+rows[i-1]) {
					t.Errorf("%q: before entry %d is %s", query, i, previous)
				}
				at = page.Find(".entry-back a[rel=next]").AttrOr("href", "")
			}
			if !slices.Equal(there, rows) {
				t.Errorf("%q: the pages lead through %v, the list is %v", query, there, rows)
			}
		}
		path, _, _ := strings.Cut(d.page(logPath).Find("tbody[data-entry-id] th a").First().AttrOr("href", ""), "?")
		if got := d.page(path + "?sort=user").Find(".entry-back").Text(); !strings.Contains(got, "Back to the list") || !strings.Contains(got, "Next") {
			t.Errorf("in another order the page says %q", got)
		}
		if response, body := d.get(path + "?q=ip:nowhere"); response.StatusCode != http.StatusBadRequest || !strings.HasPrefix(body, "q:") {
			t.Errorf("a list that nobody understands answers %d: %s", response.StatusCode, body)
		}
		// Of a list that cannot be looked through in time it says where to go on.
		d.pages.Entries.Limits.Rows, d.pages.Entries.Limits.FirstLook = 3, 1
		page := d.page(path + "?q=meta.size:nothing")
		next := page.Find(".entry-back a[rel=next]")
		if next.Text() != keepLooking || !strings.Contains(next.AttrOr("href", ""), "cursor=") {
			t.Errorf("where nothing is near it leads to %q, %s", next.Text(), next.AttrOr("href", ""))
		}
	})
}
