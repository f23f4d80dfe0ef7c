package jobs

import (
	"fmt"
	"maps"
	"math/rand/v2"
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

var actorsOfFacets = []string{"u0", "u1", "u2", "u3"}

func TestFacetsAgreeWithTheEntries(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		acme := f.organization("acme")
		random := rand.New(rand.NewPCG(3, 4))
		record := func(n int) {
			for range n {
				e := models.Entry{
					OccurredAt: models.MicrosOf(f.now.Add(-time.Duration(random.Int64N(int64(3 * day))))),
					Action:     []string{"service:create", "service:update", "deployment:create"}[random.IntN(3)],
					ActorID:    actorsOfFacets[random.IntN(3)],
					Outcome:    []event.Outcome{"", event.OutcomeFailure, event.OutcomeDenied}[random.IntN(3)],
				}
				if e.Action == "service:update" && random.IntN(3) == 0 {
					e.EntityType = "cluster" // an action of several types
				}
				if random.IntN(4) == 0 {
					e.OnBehalfOf = &event.Principal{Type: event.ActorUser, ID: actorsOfFacets[random.IntN(3)], Name: "Ada"}
				}
				logtest.Insert(t, f.store, acme, e)
			}
		}
		check := func(when string) {
			t.Helper()
			for range 30 {
				f.checkFacets(when, f.reload("acme"), random)
			}
		}
		record(80)
		check("before anything is counted")
		f.count()
		check("once all is counted")
		record(20)
		check("while some is not counted yet")
		f.count()
		f.retain("acme", 2)
		check("once some have expired")
		f.mustRun()
		check("once expired entries are deleted")

		// What the counts know is not read from the entries.
		f.transaction(func(tx *gorm.DB) error { return tx.Exec("UPDATE audit_counts SET succeeded = succeeded + 1000").Error })
		for _, test := range []struct {
			of    counts.Facet
			value string
			query entries.Query
			known bool
		}{
			{counts.FacetAction, "service:*", entries.Query{}, true},
			{counts.FacetAction, "deployment:create", entries.Query{Actions: []string{"service:create"}, Outcomes: []event.Outcome{event.OutcomeSuccess}}, true},
			{counts.FacetActor, "u1", entries.Query{}, true},
			{counts.FacetOutcome, "success", entries.Query{Actors: []string{"u1"}}, true},
			{counts.FacetEntityType, "deployment", entries.Query{}, true},
			{counts.FacetAction, "service:*", entries.Query{Actors: []string{"u1"}}, false},
			{counts.FacetActor, "u1", entries.Query{Actions: []string{"service:*"}}, false},
			{counts.FacetEntityType, "service", entries.Query{Search: "service"}, false},
		} {
			numbers, err := counts.Facets(t.Context(), entries.NewLog(f.store), f.reload("acme"), test.query, test.of, actorsOfFacets)
			if got := numbers[test.value]; err != nil || got.Count > 1000 != test.known || got.Count == 0 || !got.All {
				t.Errorf("%s of %s, beside %+v: %+v, %v", test.value, test.of, test.query, got, err)
			}
		}
	})
}

// Of a log that goes on for long the newest counts are added up, and there are more.
func TestFacetsReadSoManyCounts(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		acme := f.organization("acme")
		for n := range 10 {
			logtest.Insert(t, f.store, acme, models.Entry{OccurredAt: models.MicrosOf(f.now.Add(-80 * day)), Action: fmt.Sprintf("service:act_%d", n), ActorID: "u1"})
		}
		f.count()
		f.transaction(func(tx *gorm.DB) error {
			last := models.QuarterOf(models.MicrosOf(f.now)) - 1
			return tx.Exec(`WITH RECURSIVE quarters(quarter) AS (SELECT CAST(? AS bigint) UNION ALL SELECT quarter - 1 FROM quarters WHERE quarter > ?)
INSERT INTO audit_counts (org_id, action, actor_id, quarter, succeeded, failed) SELECT ?, 'service:act_0', '', quarter, 1, 0 FROM quarters`,
				last, last-6000, acme.ID).Error
		})
		numbers, err := counts.Facets(t.Context(), entries.NewLog(f.store), acme, entries.Query{}, counts.FacetAction, nil)
		if err != nil {
			t.Fatal(err)
		}
		for value, want := range map[string]counts.Number{"service:act_0": {Count: 5000}, "service:act_1": {Count: 1, All: true}, "service:*": {Count: 5009}} {
			if got := numbers[value]; got != want {
				t.Errorf("of %s %+v are counted, want %+v", value, got, want)
			}
		}
	})
}

// checkFacets asks for the numbers of a facet, and for the entries of each of its values.
func (f *fixture) checkFacets(when string, org models.Organization, random *rand.Rand) {
	f.t.Helper()
	log := entries.NewLog(f.store)
	q := entries.Query{
		Actions:  [][]string{nil, nil, {"service:create"}, {"service:*"}}[random.IntN(4)],
		Actors:   [][]string{nil, nil, nil, {"u1"}}[random.IntN(4)],
		Outcomes: [][]event.Outcome{nil, nil, {event.OutcomeSuccess}, {event.OutcomeDenied, event.OutcomeFailure}, {event.OutcomeFailure}}[random.IntN(5)],
	}
	q.EntityType = []string{"", "", "service"}[random.IntN(3)]
	if random.IntN(2) == 0 {
		q.From = models.MicrosOf(f.now.Add(-time.Duration(random.Int64N(int64(2 * day)))))
		q.To = q.From + models.Micros(random.Int64N(int64(day/time.Microsecond)))
	}
	for of, values := range map[counts.Facet][]string{
		counts.FacetAction:  {"service:create", "service:update", "deployment:create", "service:*", "deployment:*"},
		counts.FacetActor:   actorsOfFacets,
		counts.FacetOutcome: {"success", "failure", "denied"}, counts.FacetEntityType: {"service", "cluster", "deployment"},
	} {
		want := map[string]counts.Number{}
		for _, value := range values {
			one := q
			switch of {
			case counts.FacetAction:
				one.Actions = []string{value}
			case counts.FacetActor:
				one.Actors = []string{value}
			case counts.FacetOutcome:
				one.Outcomes = []event.Outcome{event.Outcome(value)}
			case counts.FacetEntityType:
				one.EntityType = value
			}
			found, all, err := log.First(f.t.Context(), org, one, counts.Most)
			if err != nil || !all {
				f.t.Fatal(err)
			}
			want[value] = counts.Number{Count: len(found), All: true}
		}
		got, err := counts.Facets(f.t.Context(), log, org, q, of, actorsOfFacets)
		if err != nil {
			f.t.Fatal(err)
		}
		if of == counts.FacetEntityType { // the counts do not tell those apart that an action has entries of, and nothing of others than asked for
			maps.DeleteFunc(want, func(value string, number counts.Number) bool {
				_, told := got[value]
				return !told && (value != "deployment" || number.Count == 0)
			})
		}
		if !maps.Equal(got, want) {
			f.t.Fatalf("%s: beside %+v %s is counted as %v, want %v", when, q, of, got, want)
		}
	}
}
