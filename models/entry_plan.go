package models

import (
	"context"
	"fmt"
	"slices"
)

// entryPlan is how a query is answered.
type entryPlan struct {
	query EntryQuery
	org   Organization
	from  EntryID // the first ID that may answer
	to    EntryID // the first ID that may not any more; zero for none

	// selections are the sources of entries; several are merged, and may overlap.
	selections []selection
	// kinds is every kind of the log, when sorting by one of its columns.
	kinds []Kind
	// groups are the values of the sorted column, in order, when sorting by action or entity type.
	groups []string
	// names are those of the query's actors, once namesOf has asked for them.
	names []actorKey
	// words are checked on every row that was read; nil where the streams are exact.
	words []searchWord
}

// plan decides how to answer q.
func (s *Store) plan(ctx context.Context, org Organization, q EntryQuery) (*entryPlan, error) {
	p := &entryPlan{query: q, org: org, from: FirstEntryID(max(org.KeptSince(s.Now()), q.From))}
	if q.To != 0 {
		p.to = FirstEntryID(q.To)
	}
	base := selection{}
	if len(q.Actors) > 0 {
		base.actors = slices.Compact(slices.Sorted(slices.Values(q.Actors)))
	}
	entityType := q.EntityType
	if q.EntityID != "" {
		entityType = "" // the entity says it
		base.entities = []entityKey{{q.EntityType, q.EntityID}}
	}
	words := searchWords(q.Search)
	sortsByKind := q.Sort == SortAction || q.Sort == SortEntityType
	if len(q.Actions) == 0 && entityType == "" && len(words) == 0 && !sortsByKind {
		p.selections = []selection{base}
		return p, nil
	}

	kinds := q.Kinds
	if kinds == nil {
		var err error
		if kinds, err = s.Kinds(ctx, org); err != nil {
			return nil, err
		}
	}
	restricted := slices.DeleteFunc(slices.Clone(kinds), func(k Kind) bool {
		return len(q.Actions) > 0 && !slices.Contains(q.Actions, k.Action) ||
			entityType != "" && k.EntityType != entityType
	})
	if len(q.Actions) > 0 || entityType != "" {
		base.kinds = restricted
		base.anyType = entityType == ""
	}
	if len(words) == 0 {
		p.selections = []selection{base}
	} else if err := s.planSearch(ctx, p, base, restricted, words); err != nil {
		return nil, err
	}
	if sortsByKind {
		p.kinds = kinds
		p.groups = groupValues(q, p.selections, kinds)
	}
	return p, nil
}

// fromBeginning is the plan of the first page, of which p is any.
func (p entryPlan) fromBeginning() *entryPlan {
	if p.query.backward() {
		p.groups = slices.Clone(p.groups)
		slices.Reverse(p.groups)
	}
	p.query.Cursor = nil
	return &p
}

// groupValues lists the values of the sorted column that can occur, in the order of the query.
func groupValues(q EntryQuery, selections []selection, all []Kind) []string {
	var values []string
	for _, selection := range selections {
		kinds := selection.kinds
		if kinds == nil {
			kinds = all
		}
		for _, kind := range kinds {
			values = append(values, q.Sort.value(&Entry{Action: kind.Action, EntityType: kind.EntityType}))
		}
	}
	slices.Sort(values)
	values = slices.Compact(values)
	if !q.groupsAscend() {
		slices.Reverse(values)
	}
	return values
}

// groupsAscend says in which order the page's query reads groups: that of the sort, turned round
// for a page that ends at its cursor.
func (q EntryQuery) groupsAscend() bool { return q.Ascending != q.backward() }

// newestFirst says in which order the page's query reads the entries of a group.
func (q EntryQuery) newestFirst() bool {
	if q.Sort == SortTimestamp {
		return q.Ascending == q.backward()
	}
	return !q.backward()
}

func (q EntryQuery) backward() bool { return q.Cursor != nil && q.Cursor.Before }

// maxSparse is up to how many matching entities (one a month it was seen in) a search reads
// through the index of each. Where more match, entries that match are frequent enough to walk to.
const maxSparse = 1000

// planSearch finds the entries that all words match without reading entries: through the distinct
// kinds (a hundred or so) and the distinct entities (which have a trigram index).
//
// Kinds that match all words by themselves are taken whole. For the others, the words that the
// kind leaves open must match the entity.
func (s *Store) planSearch(ctx context.Context, p *entryPlan, base selection, kinds []Kind, words []searchWord) error {
	p.words = words
	open := map[uint64][]Kind{} // by the words they leave open
	for _, kind := range kinds {
		mask := unmatchedBy(words, kind)
		open[mask] = append(open[mask], kind)
	}
	if whole := open[0]; len(whole) > 0 {
		taken := base
		taken.kinds, taken.anyType = whole, false
		p.selections = append(p.selections, taken)
		delete(open, 0)
	}
	for mask, kinds := range open {
		found := base
		found.kinds, found.anyType = kinds, false
		if base.entities == nil {
			entities, sparse, err := s.matchEntities(ctx, p, wordsOf(words, mask), kinds)
			if err != nil {
				return err
			}
			if sparse {
				found.entities = entities
			}
		}
		if found.entities == nil && len(open) == 1 && len(kinds) > 1 && base.kinds == nil && len(p.selections) == 0 {
			found.kinds = nil // every kind: one walk along the newest entries
		}
		p.selections = append(p.selections, found)
	}
	p.selections = slices.DeleteFunc(p.selections, selection.empty)
	return nil
}

// wordsOf are the words of a mask of unmatchedBy.
func wordsOf(words []searchWord, mask uint64) []searchWord {
	var chosen []searchWord
	for i, word := range words {
		if mask&(1<<i) != 0 { // never for the words a mask has no room for
			chosen = append(chosen, word)
		}
	}
	return chosen
}

// matchEntities lists the resources of the types of kinds that match all words. It stops, and says
// that they are not sparse, where there are more than maxSparse.
func (s *Store) matchEntities(ctx context.Context, p *entryPlan, words []searchWord, kinds []Kind) (found []entityKey, sparse bool, err error) {
	var long []string
	for _, word := range words {
		if !word.short {
			long = append(long, word.text)
		}
	}
	matching := s.dialect.entitiesContaining(p.org.ID, long)
	// Without DISTINCT: it would have to find every match before it gives the first.
	sql := "SELECT entity_type, entity_id FROM " + matching.sql + " AND month >= ? AND entity_type IN ?"
	args := append(matching.args, MonthOf(MicrosOf(p.from.Occurred())), project(kinds, Kind.entityType))
	if !p.to.IsZero() {
		sql += " AND month <= ?"
		args = append(args, MonthOf(MicrosOf(p.to.Occurred())))
	}
	for _, word := range words {
		if word.short {
			// Every text that begins with the word lies between it and the word with the last code
			// point behind it.
			beyond := word.text + "\U0010FFFF"
			sql += " AND (id_key >= ? AND id_key < ? OR name_key >= ? AND name_key < ?)"
			args = append(args, word.text, beyond, word.text, beyond)
		}
	}
	found = []entityKey{} // not nil: nothing found is a restriction
	if err := s.Reader(ctx).Raw(sql+" LIMIT ?", append(args, maxSparse+1)...).Scan(&found).Error; err != nil {
		return nil, false, fmt.Errorf("search the entities of %s: %w", p.org.Slug, err)
	}
	return found, len(found) <= maxSparse, nil
}
