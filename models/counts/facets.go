package counts

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

// Facet is a filter whose values are counted, each by itself.
type Facet string

const (
	FacetAction     Facet = "action" // and all actions of an entity
	FacetActor      Facet = "actor"
	FacetOutcome    Facet = "outcome"
	FacetEntityType Facet = "entity_type"
)

// Number is how many entries there are; where not All were counted, there may be more.
type Number struct {
	Count int
	All   bool
}

// mostRows is how many counts are read for a facet: of each subject an equal part, the newest. They are not read of more
// than mostSubjects, nor of more than subjectsAtATime in one statement.
const mostRows, mostSubjects, subjectsAtATime = 50_000, 500, 100

// Facets counts the entries that each value of a facet lets through beside what else q asks, whatever q asks of the facet
// itself: of actors those given, otherwise what the log holds. Where neither the counts nor Most entries tell the number of
// a value, it is not in the answer.
func Facets(ctx context.Context, log *entries.Log, org models.Organization, q entries.Query, of Facet, actors []string) (map[string]Number, error) {
	switch of {
	case FacetAction:
		q.Actions = nil
	case FacetActor:
		q.Actors = nil
	case FacetOutcome:
		q.Outcomes = nil
	case FacetEntityType:
		q.EntityType = ""
	}
	kinds, err := log.Kinds(ctx, org)
	if err != nil {
		return nil, err
	}
	q.Kinds = kinds
	f := facet{tally: tally{log: log, org: org, query: q}, of: of, actors: actors, numbers: map[string]Number{}}
	if err := f.fill(ctx); err != nil {
		return nil, fmt.Errorf("count by %s: %w", of, err)
	}
	return f.numbers, nil
}

// facet counts entries by value.
type facet struct {
	tally
	of      Facet
	actors  []string
	numbers map[string]Number
}

func (f *facet) fill(ctx context.Context) error {
	if f.of == FacetOutcome {
		return f.byOutcome(ctx)
	}
	known, err := f.byCounts(ctx)
	if known || err != nil {
		return err
	}
	values := f.actors
	if f.of != FacetActor {
		values = nil
		for _, kind := range f.query.Kinds {
			values = append(values, f.ofKind(kind)...)
		}
	}
	return f.oneByOne(ctx, f.query, values...)
}

// byOutcome goes by what the counts tell apart: what succeeded, and what did not.
func (f *facet) byOutcome(ctx context.Context) error {
	failed, succeeded := f.query, f.query
	failed.Outcomes = []event.Outcome{event.OutcomeFailure, event.OutcomeDenied}
	succeeded.Outcomes = []event.Outcome{event.OutcomeSuccess}
	answer, err := Of(ctx, f.log, f.org, failed)
	switch {
	case answer.All && answer.Count == 0:
		f.numbers[string(event.OutcomeFailure)], f.numbers[string(event.OutcomeDenied)] = Number{All: true}, Number{All: true}
	case answer.All && answer.Count <= Most:
		err = f.oneByOne(ctx, failed, string(event.OutcomeFailure), string(event.OutcomeDenied))
	}
	if err != nil {
		return err
	}
	answer, err = Of(ctx, f.log, f.org, succeeded)
	if answer.All {
		f.numbers[string(event.OutcomeSuccess)] = Number{answer.Count, true}
	}
	return err
}

// oneByOne counts the entries themselves by some values, which get no number where there are too many.
func (f *facet) oneByOne(ctx context.Context, q entries.Query, values ...string) error {
	found, all, err := f.log.First(ctx, f.org, q, Most)
	if !all || err != nil {
		return err
	}
	for _, value := range values {
		f.numbers[value] = Number{All: true}
	}
	for i := range found {
		for _, value := range f.values(&found[i]) {
			if number, counted := f.numbers[value]; counted {
				f.numbers[value] = Number{number.Count + 1, true}
			}
		}
	}
	return nil
}

// values are those of the facet that an entry has.
func (f *facet) values(e *models.Entry) (values []string) {
	switch f.of {
	case FacetActor:
		for _, of := range subjectsOf(e) {
			if of.ActorID != "" {
				values = append(values, of.ActorID)
			}
		}
		return values
	case FacetOutcome:
		return []string{string(e.Outcome)}
	default:
		return f.ofKind(entries.Kind{EntityType: e.EntityType, Action: e.Action})
	}
}

func (f *facet) ofKind(kind entries.Kind) []string {
	if f.of == FacetEntityType {
		return []string{kind.EntityType}
	}
	entity, _, _ := strings.Cut(kind.Action, ":")
	return []string{kind.Action, entity + entries.AnyVerb}
}

// byCounts adds up counts, as the tally's does; known is false where these do not tell.
func (f *facet) byCounts(ctx context.Context) (known bool, err error) {
	of, known, err := f.asked(ctx)
	if !known || err != nil || of.actorID != "" || f.of == FacetActor && of.actions[0] != "" {
		return false, err
	}
	first, behind, edges, err := f.quarters(ctx)
	if first >= behind || err != nil {
		return false, err
	}
	by := f.subjects(of)
	subjects := slices.Collect(maps.Keys(by))
	if len(subjects) > mostSubjects {
		return false, nil
	}
	var counted []Number
	unread, known, err := f.atOnePlace(ctx, func() (err error) {
		counted, err = f.sums(ctx, of, subjects, first, behind)
		return err
	})
	if !known || err != nil {
		return false, err
	}
	beside := slices.DeleteFunc(unread, func(e models.Entry) bool {
		quarter, lets := models.QuarterOf(e.OccurredAt), of.failed
		if succeeded(&e) {
			lets = of.succeeded
		}
		return quarter < first || quarter >= behind || !lets || !of.of(&e)
	})
	for _, edge := range edges {
		found, all, err := f.log.First(ctx, f.org, edge, Most)
		if !all || err != nil {
			return false, err
		}
		beside = append(beside, found...)
	}
	for i, s := range subjects {
		for _, value := range by[s] {
			sum, begun := f.numbers[value]
			f.numbers[value] = Number{sum.Count + counted[i].Count, (sum.All || !begun) && counted[i].All}
		}
	}
	for i := range beside {
		for _, s := range subjectsOf(&beside[i]) {
			for _, value := range by[s] {
				sum := f.numbers[value]
				f.numbers[value] = Number{sum.Count + 1, sum.All}
			}
		}
	}
	return true, nil
}

// subjects are those whose counts add up to the number of a value, each with its values. A type of which an action has
// entries that others have too has none: what the counts know of the action is not of that type alone.
func (f *facet) subjects(of asked) map[subject][]string {
	by := map[subject][]string{}
	if f.of == FacetActor {
		for _, id := range f.actors {
			by[subject{ActorID: id}] = []string{id}
		}
		return by
	}
	var shared []string
	for _, kind := range f.query.Kinds {
		if of.actions[0] != "" && !slices.Contains(of.actions, kind.Action) {
			continue
		}
		s := subject{Action: kind.Action}
		if f.of == FacetEntityType {
			if len(by[s]) > 0 {
				shared = append(shared, kind.EntityType, by[s][0])
			}
		}
		by[s] = f.ofKind(kind)
	}
	maps.DeleteFunc(by, func(_ subject, values []string) bool { return slices.Contains(shared, values[0]) })
	return by
}

// sums adds up the counts of each subject, the newest first, as far as its part of what is read goes.
func (f *facet) sums(ctx context.Context, of asked, subjects []subject, first, behind models.Quarter) (sums []Number, err error) {
	limit := mostRows / max(len(subjects), 1)
	for some := range slices.Chunk(subjects, subjectsAtATime) {
		var each []string
		var args []any
		for i, s := range some {
			each = append(each, fmt.Sprintf(`SELECT %d AS place, COUNT(*) AS quarters, CAST(COALESCE(SUM(succeeded), 0) AS bigint) AS succeeded, CAST(COALESCE(SUM(failed), 0) AS bigint) AS failed
FROM (SELECT succeeded, failed FROM audit_counts WHERE org_id = ? AND action = ? AND actor_id = ? AND quarter >= ? AND quarter < ?
	ORDER BY quarter DESC LIMIT ?) AS newest`, i))
			args = append(args, f.org.ID, s.Action, s.ActorID, first, behind, limit)
		}
		var found []struct{ Place, Quarters, Succeeded, Failed int }
		err := f.log.Reader(ctx).Raw(strings.Join(each, "\nUNION ALL "), args...).Scan(&found).Error
		if err != nil {
			return nil, err
		}
		numbers := make([]Number, len(some))
		for _, row := range found {
			number := Number{All: row.Quarters < limit}
			if of.succeeded {
				number.Count += row.Succeeded
			}
			if of.failed {
				number.Count += row.Failed
			}
			numbers[row.Place] = number
		}
		sums = append(sums, numbers...)
	}
	return sums, nil
}
