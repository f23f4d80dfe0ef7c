package entries

import (
	"context"
	"math"
	"slices"

	"github.com/auditlogs/auditlogs/models"
)

// The filters of one question multiply: actions, actors, the names they had, the resources a search finds,
// the values of a sorted column. A page does a bounded amount of work all the same. As long as its streams
// are few it reads them. Where there would be too many, it reads the log as it lies, in the page's order, and
// has SQL apply the filters. And where it has worked enough it ends before it is full, says how far it
// looked, and can be continued from there. An export does the same step by step until its end.

// workBound is how much a page may take.
type workBound struct {
	runs int // of an index that are begun
	rows int // that are looked through
}

// usualBound is tens of milliseconds on either database.
var usualBound = workBound{runs: 2000, rows: 100_000}

// Bounds of one statement.
const (
	// mostMerged is how many entries the streams of a statement may give altogether, before they are merged.
	mostMerged = 400_000
	// scannedTogether is how many streams are scanned for a search: each has to be read as far as all of them.
	scannedTogether = 64
	// firstSift is how many entries are read at first where the filters are applied to the log as it lies.
	firstSift = 1000
)

// runs is how many streams a group has in all selections.
func (w *entryWalk) runs(selections []selection, g group) int {
	if g.many {
		return math.MaxInt
	}
	runs := 0
	for _, selection := range selections {
		runs += selection.runs(w.plan.query.Sort, g, w.plan.kinds)
	}
	return runs
}

// affordable are as many of the groups, from the first on, as may be read together as streams; none where the
// first one alone is too much.
func (w *entryWalk) affordable(groups []group, n int) []group {
	most := w.store.bound.runs
	if w.bounded {
		most = w.left.runs
	}
	if len(w.plan.words) == 0 {
		most = min(most, mostMerged/n)
	}
	runs := 0
	for i, g := range groups {
		more := w.runs(w.selections, g)
		if more > most-runs {
			groups = groups[:i]
			break
		}
		runs += more
	}
	w.left.runs -= runs
	return groups
}

// scanQuery asks for what the filters other than the search let through in the first of some groups, for a
// scan: as streams or, where those would be too many, as wider ones that SQL applies the filters to, or from
// the log as it lies.
func (w *entryWalk) scanQuery(ctx context.Context, groups []group) (q streamQuery, scanned []group, err error) {
	if few := w.fewOf(w.plan.base, groups); len(few) > 0 {
		q = w.streamQuery(w.plan.base, few)
		q.matching = w.plan.wordsMatch
		return q, few, nil
	}
	for _, wider := range w.plan.widerSelections() {
		of := groups
		if w.plan.query.Sort == SortTimestamp {
			actors, many, err := w.store.namesOf(ctx, w.plan, wider)
			if err != nil {
				return q, nil, err
			}
			of = []group{{actors: actors, many: many}}
		}
		if few := w.fewOf(wider, of); len(few) > 0 {
			q = w.streamQuery(wider, few)
			q.matching, q.filtered = allOf(w.plan.filter(), w.plan.wordsMatch), true
			return q, groups[:len(few)], nil
		}
	}
	q = w.streamQuery(selection{}, nil)
	q.set, q.matching = streamSet{}, allOf(w.plan.filter(), w.plan.inGroup(groups[0]), w.plan.wordsMatch)
	return q, groups[:1], nil
}

// fewOf are as many of the groups, from the first on, as may be scanned together.
func (w *entryWalk) fewOf(s selection, groups []group) []group {
	runs, most := 0, min(scannedTogether, w.store.bound.runs, w.store.bound.rows)
	for i, g := range groups {
		more := w.runs([]selection{s}, g)
		if more > most-runs {
			return groups[:i]
		}
		runs += more
	}
	return groups
}

// widerSelections are those that leave out one of the filters that multiply.
func (p *entryPlan) widerSelections() []selection {
	byActor, byKind := selection{actors: p.base.actors}, selection{kinds: p.base.kinds, anyType: p.base.anyType}
	switch sort := p.query.Sort; {
	case p.base.entities != nil:
		return nil
	case sort == SortTimestamp && p.base.kinds != nil && p.base.actors != nil:
		return []selection{byActor, byKind}
	case sort == SortUser && p.base.kinds != nil:
		return []selection{byActor}
	case sort != SortTimestamp && sort != SortUser && p.base.actors != nil:
		return []selection{byKind}
	default:
		return nil
	}
}

// filter is what the query asks for besides words and times, as SQL that leads neither database to another
// index than that of time.
func (p *entryPlan) filter() condition {
	q := p.query
	var all []condition
	if len(q.Actions) > 0 {
		all = append(all, condition{unindexed("action") + " IN ?", []any{p.actions}})
	}
	if len(q.Actors) > 0 {
		all = append(all, condition{unindexed("actor_id") + " IN ?", []any{q.Actors}})
	}
	if q.EntityType != "" {
		all = append(all, isValue("entity_type", q.EntityType))
	}
	if q.EntityID != "" {
		all = append(all, isValue("entity_id", q.EntityID))
	}
	return allOf(all...)
}

// inGroup is that an entry is of a group, in the same way.
func (p *entryPlan) inGroup(g group) condition {
	if p.query.Sort == SortTimestamp {
		return condition{}
	}
	return isValue(p.query.Sort.column(), g.value)
}

func isValue(column, value string) condition {
	return condition{unindexed(column) + " = ?", []any{value}}
}

// allOf are conditions that must all hold; those without SQL always do.
func allOf(conditions ...condition) (all condition) {
	for _, c := range conditions {
		if c.sql == "" {
			continue
		}
		if all.sql != "" {
			all.sql += " AND "
		}
		all.sql, all.args = all.sql+c.sql, slices.Concat(all.args, c.args)
	}
	return all
}

// place is how far the walk has looked.
func (w *entryWalk) place() *Cursor {
	return &Cursor{Before: w.plan.query.backward(), Value: w.resumeIn, ID: w.resumeAt}
}

// turned is the same place for a page on its other side: what c leaves behind is what that page begins or
// ends with, the entry c names included.
func (c Cursor) turned(newestFirst bool) *Cursor {
	if c.ID.IsZero() { // behind the last entry with this value, or ahead of the first
		if c.ID = (models.EntryID{len(models.EntryID{}) - 1: 1}); c.Before {
			for i := range c.ID {
				c.ID[i] = 0xff
			}
		}
	} else if up := c.Before == newestFirst; up {
		c.ID = next(c.ID)
	} else {
		c.ID = previous(c.ID)
	}
	c.Before = !c.Before
	return &c
}

// next is the smallest ID above id, as a number: no entry lies between them.
func next(id models.EntryID) models.EntryID {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]++; id[i] != 0 {
			break
		}
	}
	return id
}

// previous is the greatest ID below id.
func previous(id models.EntryID) models.EntryID {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]--; id[i] != 0xff {
			break
		}
	}
	return id
}
