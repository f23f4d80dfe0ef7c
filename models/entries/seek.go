package entries

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/auditlogs/auditlogs/models"
)

// shouldSeek reports whether the next n entries are found sooner by asking where they are: where the page would
// not be full within what is worth while to look through, going by what was looked through already. One
// resource's history is by time what an index has.
func (w *walk) shouldSeek(n int) bool {
	p := w.plan
	switch {
	case w.sought, w.selection.none():
		return false
	case p.query.oneResource():
		return true
	case p.narrow == nil && len(gramsOf(p.words)) == 0:
		return false
	default:
		return w.looked > 0 && n*w.looked/(w.matched+1) > w.log.Limits.Worthwhile
	}
}

// seek finds fewer runs that hold all entries that answer, once, and has the walk read those: the runs of what the
// query is narrowed to or, of a search, of the resources and the kinds that match the words. In other orders than
// that of time the walk goes on as before where there are too many.
func (w *walk) seek(ctx context.Context) (err error) {
	w.sought = true
	p := w.plan
	found := p.narrow
	instead := selection{kinds: []Kind{}, matched: true}
	if found == nil {
		var few bool
		if instead, found, few, err = w.log.matching(ctx, p, w.leftRuns/2); err != nil || !few { // half: they are begun twice
			return err
		}
		if len(p.behalf.runs) > 0 {
			found = append(found, p.behalf)
		}
	}
	if len(found) > 0 && p.query.Sort != SortTimestamp {
		if few, err := w.gather(ctx, found...); err != nil || !few {
			return err
		}
		found = nil
	}
	instead.byActor = p.base.byActor
	w.selection, w.found = instead, found
	return nil
}

// matching finds where the entries are that the words match without reading any: in some kinds and in the runs of some
// resources. few is false where there are more than atMost of these, or of native actions.
//
// A kind is read whose action holds all words, or leaves open only what the entities have no index for; so is one of
// which a native action does, where each entry has to match by itself. For the others the words that they leave open
// must match the resource.
func (l *Log) matching(ctx context.Context, p *plan, atMost int) (
	kinds selection, resources []runSet, few bool, err error,
) {
	if p.kinds == nil {
		if p.kinds, err = l.Kinds(ctx, p.org); err != nil {
			return kinds, nil, false, err
		}
	}
	natives, err := l.nativesWith(ctx, p, atMost)
	if err != nil || len(natives) > atMost {
		return kinds, nil, false, err
	}
	kinds = selection{kinds: []Kind{}, matched: true} // not nil: that would be all
	open := map[string][]string{}                     // types of the other kinds, by the words they leave open
	for _, kind := range p.asked() {
		for _, native := range append([]nativeAction{{Action: kind.Action}}, natives...) {
			if native.Action != kind.Action {
				continue
			}
			left := wordsLeft(p.words, kind.Action, native.NativeKey)
			if words := strings.Join(left, " "); len(gramsOf(left)) > 0 {
				open[words] = append(open[words], kind.EntityType)
				continue
			}
			if kinds.kinds = append(kinds.kinds, kind); native.NativeKey != "" {
				kinds.where = l.wordsMatch(p)
			}
			break
		}
	}
	var own, related [][]string
	for words, types := range open {
		types = slices.Compact(types) // they come in order
		found, err := l.resourcesWith(ctx, p, strings.Fields(words), types, atMost-len(own)-len(related)+1)
		if err != nil {
			return kinds, nil, false, err
		}
		for _, r := range found {
			resource := []string{r.EntityType, r.EntityID}
			if slices.Contains(types, r.EntityType) {
				own = append(own, resource)
			}
			if r.Related {
				related = append(related, resource)
			}
		}
		if len(own)+len(related) > atMost {
			return kinds, nil, false, nil
		}
	}
	for _, set := range []runSet{
		byEntity.runs(p.unless(byEntity.columns), distinct(own)...), byRelated.runs(p.unless(nil), distinct(related)...),
	} {
		if len(set.runs) > 0 {
			resources = append(resources, set)
		}
	}
	return kinds, resources, true, nil
}

func distinct(values [][]string) [][]string {
	slices.SortFunc(values, slices.Compare[[]string])
	return slices.CompactFunc(values, slices.Equal[[]string])
}

// foundResource is one that words match. Entries may be its own and, where it is Related to any, others.
type foundResource struct {
	EntityType, EntityID string
	Related              bool
}

// resourcesWith lists up to limit resources that all words match, each once for every month it was seen in: those of
// some types, and those that entries are related to. It is without DISTINCT, which would have to find every match
// before it gives the first.
func (l *Log) resourcesWith(ctx context.Context, p *plan, words, types []string, limit int) (found []foundResource, err error) {
	where := l.dialect.holding(p.org.ID, gramsOf(words)).and(p.seen())
	for _, word := range words {
		where = where.and(contains(word, "id_key", "name_key"))
	}
	// Whether anything is related at all is asked once.
	err = l.LogReader(ctx).Raw(`SELECT * FROM (SELECT entity_type, entity_id,
	CASE WHEN (SELECT true FROM audit_related WHERE org_id = ? ORDER BY entry_id LIMIT 1) THEN (SELECT true FROM audit_related AS part
		WHERE part.org_id = ? AND part.entity_type = found.entity_type AND part.entity_id = found.entity_id LIMIT 1)
	END IS NOT NULL AS related
FROM `+where.sql+`) AS resources WHERE entity_type IN ? OR related LIMIT ?`,
		slices.Concat([]any{p.org.ID, p.org.ID}, where.args, []any{types, limit})...).Scan(&found).Error
	if err != nil {
		return nil, fmt.Errorf("search the entities: %w", err)
	}
	return found, nil
}

// gathered are entries in the order in which the walk reads them, by their value in the sorted column.
type gathered map[string][]models.EntryID

// gather finds which entries of some runs answer, as far as filters tell, and their values in the sorted column.
// It does so only where the runs have few enough to be sorted together, with those that do not answer.
func (w *walk) gather(ctx context.Context, sets ...runSet) (few bool, err error) {
	p, most := w.plan, w.log.Limits.Gathered
	r := reading{
		orgID: p.org.ID, span: p.span, newestFirst: p.query.newestFirst(), limit: most + 1, anyOrder: true, columns: idColumn,
	}
	for _, set := range sets {
		if set.exact() {
			continue
		}
		if all, err := w.log.read(ctx, r, set.alone()); err != nil || len(all) > most {
			return false, err
		}
	}
	r.columns = sortColumns
	found, err := w.read(ctx, r, sets)
	if err != nil || len(found) > most {
		return false, err
	}
	w.gathered = gathered{}
	for _, e := range r.sorted(found) {
		value := p.query.Sort.value(&e.Entry)
		w.gathered[value] = append(w.gathered[value], e.ID)
	}
	return true, nil
}

// readGathered reads what was gathered in some groups, as a reading of runs does.
func (w *walk) readGathered(ctx context.Context, r reading, groups []group) (found []groupedEntry, err error) {
	var ids []models.EntryID
	number := map[models.EntryID]int{}
	for i, g := range groups {
		for _, id := range w.gathered[g.value] {
			if r.span.contains(id) && len(ids) < r.limit {
				ids, number[id] = append(ids, id), i
			}
		}
	}
	found, err = w.log.readByID(ctx, r.orgID, ids, r.columns)
	for i := range found {
		found[i].group = number[found[i].ID]
	}
	return found, err
}
