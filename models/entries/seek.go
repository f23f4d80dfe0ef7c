package entries

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/auditlogs/auditlogs/models"
)

// effort says how far each way of a search is gone before another one is tried.
type effort struct {
	firstLook  int // entries that are looked through to begin with
	worthwhile int // entries that are looked through for a page rather than to seek
	entities   int // matching entities that are sought one by one
	gathered   int // entries that are sorted together, where the order is not that of time
}

var usualEffort = effort{firstLook: 250, worthwhile: 20_000, entities: 2000, gathered: 10_000}

// shouldSeek reports whether the next n entries are found sooner through the entities: where the page would
// not be full within what is worth while to look through, going by what was looked through already. All
// entries of one resource that are not sorted by time are found that way, too.
func (w *walk) shouldSeek(n int) bool {
	p := w.plan
	if w.sought || p.base.entities != nil {
		return false
	}
	_, byOrigin := p.origin()
	return p.query.EntityID != "" ||
		(byOrigin || len(p.words) > 0 && len(gramsOf(p.words)) > 0) && w.looked > 0 && n*w.looked/(w.matched+1) > w.log.effort.worthwhile
}

// seek asks which kinds and which entities match the words, once, and has the walk read those where they are
// few enough.
func (w *walk) seek(ctx context.Context) error {
	w.sought = true
	p, most := w.plan, w.log.effort.entities
	if w.bounded {
		most = min(most, w.left.runs/2)
	}
	origin, byOrigin := p.origin()
	switch {
	case byOrigin && p.query.Sort == SortTimestamp:
		w.byOrigin = true
		return nil
	case byOrigin:
		_, err := w.gather(ctx, w.log.originRuns(p, origin, p.span))
		return err
	case p.query.EntityID != "":
		_, err := w.gather(ctx, runsOfEntities([]entityKey{{p.query.EntityType, p.query.EntityID}}))
		return err
	}
	kinds, entities, found, err := w.log.matching(ctx, p, most)
	if err != nil || !found {
		return err
	}
	if len(entities) > 0 && p.query.Sort != SortTimestamp {
		if found, err = w.gather(ctx, runsOfEntities(entities)); err != nil || !found {
			return err
		}
		entities = nil
	}
	w.selections, w.found = nil, true
	if len(kinds) > 0 {
		w.selections = append(w.selections, selection{kinds: kinds, actors: p.base.actors})
	}
	if len(entities) > 0 {
		w.selections = append(w.selections, selection{entities: entities})
	}
	w.done = len(w.selections) == 0 && w.gathered == nil
	return nil
}

// matching finds the entries that the words match without reading any: those of some kinds, which may, and
// those of some entities. found is false where more than atMost entities match.
//
// A kind whose action holds all words is taken whole, and one that leaves open only what the entities have no
// index for. For the others the words that they leave open must match the entity.
func (l *Log) matching(ctx context.Context, p *plan, atMost int) (whole []Kind, entities []entityKey, found bool, err error) {
	if err := l.kindsOf(ctx, p); err != nil {
		return nil, nil, false, err
	}
	open := map[string][]Kind{} // by the words they leave open
	for _, kind := range p.letThrough(p.kinds) {
		words := leftOpen(p.words, kind)
		if len(gramsOf(words)) == 0 {
			whole = append(whole, kind)
		} else {
			open[strings.Join(words, " ")] = append(open[strings.Join(words, " ")], kind)
		}
	}
	for words, kinds := range open {
		more, err := l.matchingEntities(ctx, p, strings.Fields(words), kinds, atMost-len(entities))
		if err != nil {
			return nil, nil, false, err
		}
		if entities = append(entities, more...); len(entities) > atMost {
			return nil, nil, false, nil
		}
	}
	slices.SortFunc(entities, compareEntities)
	return whole, slices.Compact(entities), true, nil
}

func compareEntities(a, b entityKey) int {
	return cmp.Or(cmp.Compare(a.EntityType, b.EntityType), cmp.Compare(a.EntityID, b.EntityID))
}

// matchingEntities lists the resources of the types of kinds that match all words; more than atMost where
// there are more.
func (l *Log) matchingEntities(ctx context.Context, p *plan, words []string, kinds []Kind, atMost int) (found []entityKey, err error) {
	// Without DISTINCT: it would have to find every match before it gives the first. An entity has a row for each
	// month it was seen in.
	matching := l.finder.containing(p.org.ID, words).and(condition{"month BETWEEN ? AND ? AND entity_type IN ?", []any{
		models.MonthOf(models.MicrosOf(p.span.from.Occurred())), models.MonthOf(models.MicrosOf(previous(p.span.to).Occurred())), project(kinds, Kind.entityType)}})
	err = l.LogReader(ctx).Raw("SELECT entity_type, entity_id FROM "+matching.sql+" LIMIT ?", append(matching.args, atMost+1)...).Scan(&found).Error
	if err != nil {
		return nil, fmt.Errorf("search the entities: %w", err)
	}
	return found, nil
}

// gathered are entries in the order in which the walk reads them, by their value in the sorted column.
type gathered map[string][]models.Entry

func runsOfEntities(entities []entityKey) runSet {
	set := runSet{columns: byEntity, indexed: len(byEntity)}
	for _, e := range entities {
		set.runs = append(set.runs, run{0, []string{e.EntityType, e.EntityID}})
	}
	return set
}

// gather reads all entries of some runs, as far as filters and sorting need them, and keeps those that
// answer. It does so only where there are no more than can be sorted together.
func (w *walk) gather(ctx context.Context, set runSet) (bool, error) {
	p, most := w.plan, w.log.effort.gathered
	r := reading{orgID: p.org.ID, span: p.span, newestFirst: p.query.newestFirst(), limit: most + 1, anyOrder: true, columns: filterColumns}
	found, err := w.log.read(ctx, r, set)
	if err != nil || len(found) > most {
		return false, err
	}
	all := gathered{}
	for _, e := range r.sorted(found) {
		if p.lets(&e.Entry) {
			value := p.query.Sort.value(&e.Entry)
			all[value] = append(all[value], e.Entry)
		}
	}
	w.gathered, w.selections, w.found = all, nil, true
	return true, nil
}

// values are those of the sorted column among what was gathered and others, in the order of the query.
func (g gathered) values(others []string, q Query) []string {
	for value := range g {
		others = append(others, value)
	}
	slices.Sort(others)
	if others = slices.Compact(others); !q.groupsAscend() {
		slices.Reverse(others)
	}
	return others
}

// readGathered reads what was gathered in some groups, as a reading of runs does.
func (w *walk) readGathered(ctx context.Context, r reading, groups []group) (found []groupedEntry, err error) {
	var ids []models.EntryID
	number := map[models.EntryID]int{}
	for i, g := range groups {
		for _, e := range w.gathered[g.value] {
			if bytes.Compare(e.ID[:], r.span.from[:]) >= 0 && bytes.Compare(e.ID[:], r.span.to[:]) < 0 && len(ids) < r.limit {
				ids, number[e.ID] = append(ids, e.ID), i
			}
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	among := condition{"org_id = ?", []any{r.orgID}}.and(w.log.merge.amongIDs(ids))
	found, err = w.log.query(ctx, r.columns, condition{"SELECT 0, " + r.columns.sql + " FROM audit_entries WHERE " + among.sql, among.args})
	for i := range found {
		found[i].group = number[found[i].ID]
	}
	return r.sorted(found), err
}
