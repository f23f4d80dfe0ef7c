package jobs

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/counts"
	"github.com/auditlogs/auditlogs/models/entries"
)

// count hands the counts what there is.
func (f *fixture) count() {
	f.t.Helper()
	follower := NewFollower(f.store, newLog(f), []Consumer{Counts}, FollowerConfig{BatchSize: 37})
	for follower.round(f.t.Context()) {
	}
	if logged := f.log.String(); strings.Contains(logged, "level=ERROR") {
		f.t.Fatal(logged)
	}
}

func TestCountsAgreeWithTheEntries(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		orgs := []models.Organization{f.organization("acme"), f.organization("globex")}
		random := rand.New(rand.NewPCG(1, 2))
		ages := []time.Duration{20 * time.Minute, day, 40 * day} // so that buckets are shared, and some expire
		record := func(n int) {
			for range n {
				e := models.Entry{
					OccurredAt: models.MicrosOf(f.now.Add(-time.Duration(random.Int64N(int64(ages[random.IntN(len(ages))]))))),
					Action:     []string{"service:create", "service:update", "deployment:create"}[random.IntN(3)],
					ActorID:    fmt.Sprintf("u%d", random.IntN(3)),
					Outcome:    []event.Outcome{"", event.OutcomeFailure, event.OutcomeDenied}[random.IntN(3)],
				}
				if random.IntN(4) == 0 {
					e.OnBehalfOf = &event.Principal{Type: event.ActorUser, ID: fmt.Sprintf("u%d", random.IntN(3)), Name: "Ada"}
				}
				logtest.Insert(t, f.store, orgs[random.IntN(2)], e)
			}
		}
		check := func(when string) {
			t.Helper()
			log := entries.NewLog(f.store)
			for range 20 {
				f.checkCounts(when, log, f.reload([]string{"acme", "globex"}[random.IntN(2)]), random)
			}
		}

		record(100)
		check("before anything is counted")
		f.count()
		check("once all is counted")
		record(30)
		check("while some is not counted yet")
		f.count()
		for _, org := range orgs {
			f.retain(org.Slug, 20)
		}
		check("once some have expired")
		f.mustRun()
		check("once expired entries are deleted")
		if n := f.countRows("acme"); n == 0 {
			t.Fatal("nothing is counted")
		}
		for _, org := range orgs {
			f.retain(org.Slug, 365) // what was deleted is not counted as if it were still there
		}
		ages[2] = 20 * day
		record(10)
		check("once retention is raised")
		f.count()
		f.now = f.now.AddDate(2, 0, 0)
		f.mustRun()
		if n := f.countRows("acme"); n != 0 {
			t.Errorf("%d expired counts are left", n)
		}
	})
}

func TestWhatTheCountsKnowIsNotReadFromTheEntries(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		acme := f.organization("acme")
		logtest.Insert(t, f.store, acme, models.Entry{OccurredAt: models.MicrosOf(f.now.Add(-day)), Action: "service:create", ActorID: "u1"})
		f.count()
		f.transaction(func(tx *gorm.DB) error {
			return tx.Exec("UPDATE audit_counts SET succeeded = succeeded + 1000").Error
		})
		for i, test := range []struct {
			query entries.Query
			known bool
		}{
			{entries.Query{}, true},
			{entries.Query{Actions: []string{"service:create", "deployment:create"}}, true},
			{entries.Query{Actions: []string{"service:*"}}, true},
			{entries.Query{Actors: []string{"u1"}}, true},
			{entries.Query{Outcomes: []event.Outcome{event.OutcomeSuccess}}, true},
			{entries.Query{Actions: []string{"service:*"}, Actors: []string{"u1"}}, false},
			{entries.Query{Search: "service"}, false},
			{entries.Query{Terms: []entries.Term{{Field: entries.FieldActor, Values: []string{"u1"}}}}, false},
		} {
			got, err := counts.Of(t.Context(), entries.NewLog(f.store), f.reload("acme"), test.query)
			if err != nil || got.Count > 1000 != test.known || got.Count == 0 {
				t.Errorf("question %d: %d entries, %v", i, got.Count, err)
			}
		}
	})
}

func (f *fixture) countRows(slug string) int64 { return f.rows("audit_counts", f.reload(slug)) }

// checkCounts asks a random question of the counts and, by each of them, of the entries.
func (f *fixture) checkCounts(when string, log *entries.Log, org models.Organization, random *rand.Rand) {
	f.t.Helper()
	var q entries.Query
	switch random.IntN(6) {
	case 0:
		q.Actions = []string{"service:create"}
	case 3:
		q.Actions = []string{"deployment:create", "service:update"}
	case 4:
		q.Actions = []string{"service:*", "service:create", "nothing:*"}
	case 1:
		q.Actors = []string{fmt.Sprintf("u%d", random.IntN(3))}
	case 2:
		q.Actions, q.Actors = []string{"service:update"}, []string{"u1"}
	}
	q.Outcomes = [][]event.Outcome{nil, nil, {event.OutcomeSuccess}, {event.OutcomeDenied, event.OutcomeFailure}, {event.OutcomeFailure}}[random.IntN(5)]
	if random.IntN(2) == 0 {
		q.From = models.MicrosOf(f.now.Add(-time.Duration(random.Int64N(int64(2 * day)))))
		q.To = q.From + models.Micros(random.Int64N(int64(day/time.Microsecond)))
	}
	got, err := counts.Of(f.t.Context(), log, org, q)
	if err != nil {
		f.t.Fatal(err)
	}
	want, buckets := 0, map[models.Quarter]counts.Bucket{}
	err = log.Each(f.t.Context(), org, q, func(found []models.Entry) error {
		for _, e := range found {
			b := buckets[models.QuarterOf(e.OccurredAt)]
			b.Quarter = models.QuarterOf(e.OccurredAt)
			if want++; e.Outcome == "" {
				b.Succeeded++
			} else {
				b.Failed++
			}
			buckets[b.Quarter] = b
		}
		return nil
	})
	if err != nil {
		f.t.Fatal(err)
	}
	if !got.All || got.Count != want || len(got.Buckets) != len(buckets) {
		f.t.Errorf("%s, %+v of %s: %d in %d buckets (all %v), want %d in %d", when, q, org.Slug, got.Count, len(got.Buckets), got.All, want, len(buckets))
	}
	for _, b := range got.Buckets {
		if b != buckets[b.Quarter] {
			f.t.Errorf("%s, %+v of %s: bucket %+v, want %+v", when, q, org.Slug, b, buckets[b.Quarter])
		}
	}
}
