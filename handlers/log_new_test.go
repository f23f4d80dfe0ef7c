package handlers

import (
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

func TestTheLogSaysHowManyEntriesHaveComeSince(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		const address = logPath + "?outcome=failure"
		failed := func(n int, ago time.Duration) (entries []models.Entry) {
			for range n {
				entries = append(entries, models.Entry{OccurredAt: d.ago(ago), Outcome: event.OutcomeFailure})
			}
			return entries
		}
		where := func() string { return d.page(address).Find("#new").AttrOr("hx-get", "none") }
		asked := func(where, want string) {
			t.Helper()
			link := d.page(where, fragment...).Find("a")
			if got := text(link); got != want {
				t.Errorf("%q has come, want %q", got, want)
			}
			if href := link.AttrOr("href", address); href != address {
				t.Errorf("it leads to %s", href)
			}
		}

		empty := where()
		asked(empty, "")
		d.insert(d.org, failed(1, time.Hour)...)
		asked(empty, "1 new entry")

		since := where()
		d.insert(d.org, models.Entry{OccurredAt: d.ago(time.Minute)}) // which the filter leaves out
		d.insert(d.org, failed(3, 2*time.Hour)...)                    // which are not the first of the list
		asked(since, "")
		d.insert(d.org, failed(2, time.Minute)...)
		asked(since, "2 new entries")
		asked(where(), "")
		d.insert(d.org, failed(mostNew, time.Second)...)
		asked(since, "100+ new entries")

		for _, other := range []string{"?dir=asc", "?sort=user", "?to=-1h", d.page(logPath).Find("a[rel=next]").AttrOr("href", "none")[len(logPath):]} {
			if d.page(logPath+other).Find("#new").Length() > 0 {
				t.Errorf("%s, where new entries are not the first, counts them", other)
			}
		}
		if response, _ := d.get(since); response.StatusCode != 303 || response.Header.Get("Location") != address {
			t.Errorf("as a page it answers %d, %q", response.StatusCode, response.Header.Get("Location"))
		}
	})
}
