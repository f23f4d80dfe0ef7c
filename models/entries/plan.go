package entries

import (
	"context"
	"slices"
	"strings"

	"github.com/auditlogs/auditlogs/models"
)

// entryPlan is how a query is answered.
type entryPlan struct {
	query Query
	org   models.Organization
	from  models.EntryID // the first ID that may answer
	to    models.EntryID // the first ID that may not any more; zero for none

	// base is what the filters other than the search let through.
	base selection
	// kinds is every kind of the log, where the query cannot be answered without; see kindsOf.
	kinds []Kind
	// groups are the values of the sorted column, in order, when sorting by action or entity type.
	groups []string
	// actions are those asked for, whole entity types made single actions.
	actions []string
	// names are those of the query's actors, once namesOf has asked for them; manyNames says that there are
	// more than may be read as streams.
	names     []actorKey
	manyNames bool
	// words must all match an entry; nil for no search. wordsMatch is the same in SQL, as far as that can.
	words      []searchWord
	wordsMatch condition
	// sought is what seeking found last.
	sought *soughtSelections
}

// plan decides how to answer q.
func (s *Log) plan(ctx context.Context, org models.Organization, q Query) (*entryPlan, error) {
	p := &entryPlan{
		query: q, org: org, from: models.FirstEntryID(max(org.KeptSince(s.Now()), q.From)),
		kinds: q.Kinds, words: searchWords(q.Search),
	}
	p.wordsMatch = s.wordsMatch(p.words)
	if q.To != 0 {
		p.to = models.FirstEntryID(q.To)
	}
	if len(q.Actors) > 0 {
		p.base.actors = slices.Compact(slices.Sorted(slices.Values(q.Actors)))
	}
	if q.EntityID != "" {
		p.base.entities = []entityKey{{q.EntityType, q.EntityID}}
	}
	if err := s.actionsOf(ctx, p); err != nil {
		return nil, err
	}
	byType := q.EntityType != "" && q.EntityID == "" || q.Sort == SortEntityType
	switch {
	case byType || q.Sort == SortAction && len(q.Actions) == 0:
		if err := s.kindsOf(ctx, p); err != nil {
			return nil, err
		}
		if kinds := p.restrictedKinds(); len(kinds) < len(p.kinds) {
			p.base.kinds = kinds
			p.base.anyType = q.EntityType == "" || q.EntityID != ""
		}
	case len(q.Actions) > 0:
		if len(p.actions)*max(1, len(p.base.actors)) > scannedTogether {
			if err := s.recordedActions(ctx, p); err != nil {
				return nil, err
			}
		}
		p.base.anyType, p.base.kinds = true, []Kind{} // not nil: none of them may be recorded
		for _, action := range p.actions {
			p.base.kinds = append(p.base.kinds, Kind{Action: action})
		}
	}
	if q.Sort == SortAction || q.Sort == SortEntityType {
		p.groups = groupValues(q, p.base.kinds, p.kinds)
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

// kindsOf makes sure that the plan knows every kind of the log. There may be some of which every entry
// has expired: looking for them costs more than they do.
func (s *Log) kindsOf(ctx context.Context, p *entryPlan) (err error) {
	if p.kinds == nil {
		p.kinds, err = s.kinds(ctx, p.org, recordedKindsSQL)
	}
	return err
}

// actionsOf makes the entity types among the actions asked for the actions that the log holds of them.
func (s *Log) actionsOf(ctx context.Context, p *entryPlan) error {
	p.actions = p.query.Actions
	entity := func(action string) (string, bool) { return strings.CutSuffix(action, AnyVerb) }
	if !slices.ContainsFunc(p.actions, func(action string) bool { _, ok := entity(action); return ok }) {
		return nil
	}
	if err := s.kindsOf(ctx, p); err != nil {
		return err
	}
	p.actions = nil
	for _, asked := range p.query.Actions {
		prefix, all := entity(asked)
		if !all {
			p.actions = append(p.actions, asked)
			continue
		}
		for _, kind := range p.kinds {
			if of, _, _ := strings.Cut(kind.Action, ":"); of == prefix {
				p.actions = append(p.actions, kind.Action)
			}
		}
	}
	slices.Sort(p.actions)
	p.actions = slices.Compact(p.actions)
	return nil
}

// recordedActions leaves out the actions asked for that the log does not hold.
func (s *Log) recordedActions(ctx context.Context, p *entryPlan) error {
	if err := s.kindsOf(ctx, p); err != nil {
		return err
	}
	recorded := project(p.kinds, Kind.action)
	p.actions = slices.DeleteFunc(slices.Clone(p.actions), func(action string) bool {
		_, found := slices.BinarySearch(recorded, action)
		return !found
	})
	return nil
}

// restrictedKinds are those of the log's kinds that the filters other than the search let through.
func (p *entryPlan) restrictedKinds() []Kind {
	q := p.query
	return slices.DeleteFunc(slices.Clone(p.kinds), func(k Kind) bool {
		return len(q.Actions) > 0 && !slices.Contains(p.actions, k.Action) ||
			q.EntityType != "" && k.EntityType != q.EntityType
	})
}

// groupValues lists the values of the sorted column that can occur, in the order of the query: those
// of kinds or, where they are nil, of all.
func groupValues(q Query, kinds, all []Kind) []string {
	if kinds == nil {
		kinds = all
	}
	values := project(kinds, func(k Kind) string {
		return q.Sort.value(&models.Entry{Action: k.Action, EntityType: k.EntityType})
	})
	if !q.groupsAscend() {
		slices.Reverse(values)
	}
	return values
}

// groupsAscend says in which order the page's query reads groups: that of the sort, turned round
// for a page that ends at its cursor.
func (q Query) groupsAscend() bool { return q.Ascending != q.backward() }

// newestFirst says in which order the page's query reads the entries of a group.
func (q Query) newestFirst() bool {
	if q.Sort == SortTimestamp {
		return q.Ascending == q.backward()
	}
	return !q.backward()
}

func (q Query) backward() bool { return q.Cursor != nil && q.Cursor.Before }
