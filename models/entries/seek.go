package entries

import (
	"cmp"
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
		most, resources, few := min(w.log.Limits.Resources, w.leftRuns/2), []entityKey(nil), false
		if instead, resources, few, err = w.log.matching(ctx, p, most); err != nil || !few {
			return err
		}
		if len(resources) > 0 {
			set := resourceRuns(byEntity, resources...)
			set.where = p.unless(byEntity.columns)
			if found = []runSet{set}; p.related {
				found = p.resourceSets(p.unless(nil), resources...)
			}
		}
		if p.behalf != nil && p.base.byActor {
			found = append(found, *p.behalf)
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

// matching finds the entries that the words match without reading any: those of some kinds, which may, and
// those of some resources. few is false where more than atMost resources or native actions match.
//
// A kind whose action holds all words is taken whole, and one that leaves open only what the entities have no
// index for; where it takes a native action to hold them, that native action of it. For the others the words that
// they leave open must match the entity.
func (l *Log) matching(ctx context.Context, p *plan, atMost int) (
	whole selection, resources []entityKey, few bool, err error,
) {
	if p.kinds == nil {
		if p.kinds, err = l.Kinds(ctx, p.org); err != nil {
			return whole, nil, false, err
		}
	}
	natives, err := l.nativesWith(ctx, p, atMost)
	if err != nil || len(natives) > atMost {
		return whole, nil, false, err
	}
	whole = selection{kinds: []Kind{}, matched: true} // not nil: that would be all
	var actions, named []string                       // of which all entries are taken; native ones of others
	open := map[string][]Kind{}                       // by the words they leave open
	for _, kind := range p.asked() {
		for _, native := range append([]nativeAction{{Action: kind.Action}}, natives...) {
			if native.Action != kind.Action {
				continue
			}
			words := slices.DeleteFunc(slices.Clone(p.words), func(word string) bool {
				return strings.Contains(kind.Action, word) || strings.Contains(native.NativeKey, word)
			})
			if len(gramsOf(words)) > 0 {
				open[strings.Join(words, " ")] = append(open[strings.Join(words, " ")], kind)
				continue
			}
			whole.kinds = append(whole.kinds, kind)
			if native.NativeAction == "" {
				actions = append(actions, kind.Action)
				break
			}
			named = append(named, native.NativeAction)
		}
	}
	whole.kinds = slices.Compact(whole.kinds)
	if len(named) > 0 {
		whole.where = condition{"(" + unindexed("action") + " IN ? OR native_action IN ?)", []any{actions, named}}
	}
	for words, kinds := range open {
		where := l.finder.holding(p.org.ID, gramsOf(strings.Fields(words))).and(p.seen())
		if !p.related { // those may be of any type
			where = where.and(condition{"entity_type IN ?", []any{project(kinds, func(k Kind) string { return k.EntityType })}})
		}
		for word := range strings.FieldsSeq(words) {
			where = where.and(contains(word, "id_key", "name_key"))
		}
		// Without DISTINCT: it would have to find every match before it gives the first. An entity has a row for each
		// month it was seen in.
		var more []entityKey
		err := l.LogReader(ctx).Raw("SELECT entity_type, entity_id FROM "+where.sql+" LIMIT ?",
			append(where.args, atMost-len(resources)+1)...).Scan(&more).Error
		if err != nil {
			return whole, nil, false, fmt.Errorf("search the entities: %w", err)
		}
		if resources = append(resources, more...); len(resources) > atMost {
			return whole, nil, false, nil
		}
	}
	slices.SortFunc(resources, func(a, b entityKey) int {
		return cmp.Or(cmp.Compare(a.EntityType, b.EntityType), cmp.Compare(a.EntityID, b.EntityID))
	})
	return whole, slices.Compact(resources), true, nil
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
