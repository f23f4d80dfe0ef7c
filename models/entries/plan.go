package entries

import (
	"context"
	"slices"
	"strings"

	"github.com/auditlogs/auditlogs/models"
)

// plan is how a query is answered.
type plan struct {
	query Query
	org   models.Organization
	span  span     // of IDs that may answer
	words []string // of the search, folded
	// kinds is every kind of the log, where the query cannot be answered without: the values of a sorted column,
	// and what "deployment:*" stands for.
	kinds   []Kind
	actions []string  // those asked for, entity types made single actions
	base    selection // what the filters let through that an index knows
	names   *group    // of the actors asked for, once asked for themselves
}

// plan decides how to answer q.
func (l *Log) plan(ctx context.Context, org models.Organization, q Query) (*plan, error) {
	p := &plan{
		query: q, org: org, kinds: q.Kinds, words: searchWords(q.Search), actions: q.Actions,
		span: span{models.FirstEntryID(max(org.KeptSince(l.Now()), q.From)), lastID},
	}
	if q.To != 0 {
		p.span.to = models.FirstEntryID(q.To)
	}
	whole := slices.ContainsFunc(q.Actions, func(action string) bool { return strings.HasSuffix(action, AnyVerb) })
	typed := q.EntityType != "" || q.Sort == SortEntityType
	if whole || typed || q.Sort == SortAction && len(q.Actions) == 0 {
		if err := l.kindsOf(ctx, p); err != nil {
			return nil, err
		}
	}
	if whole {
		p.actions = expand(q.Actions, p.kinds)
	}
	if len(q.Actors) > 0 {
		p.base.actors = slices.Compact(slices.Sorted(slices.Values(q.Actors)))
	}
	switch {
	case q.EntityID != "" && q.Sort == SortTimestamp:
		p.base.entities = []entityKey{{q.EntityType, q.EntityID}}
	case typed && (len(q.Actions) > 0 || q.EntityType != ""):
		p.base.kinds = p.letThrough(p.kinds)
	case len(q.Actions) > 0:
		p.base.kinds = []Kind{} // not nil: none of them may be recorded
		for _, action := range p.actions {
			p.base.kinds = append(p.base.kinds, Kind{Action: action})
		}
	}
	p.divide()
	return p, nil
}

// Filters and the values of a sorted column multiply. Where they come to more runs than are worth beginning, one
// of the filters is a condition on the entries of fewer runs instead.
const (
	mostMultiplied = 1000
	supposedUsers  = 60 // that a page goes through, where it is not known how many there are
)

func (p *plan) divide() {
	kinds, actors := len(p.base.kinds), len(p.base.actors)
	switch p.query.Sort {
	case SortUser:
		if kinds > 0 && kinds*max(actors, supposedUsers) > mostMultiplied {
			p.base.kinds = nil
		}
	case SortAction, SortEntityType:
		if p.base.kinds == nil {
			kinds = len(p.kinds)
		}
		if kinds*actors > mostMultiplied {
			p.base.actors = nil
		}
	}
}

// kindsOf makes sure that the plan knows every kind of the log. There may be some of which every entry has
// expired: looking for them costs more than they do.
func (l *Log) kindsOf(ctx context.Context, p *plan) (err error) {
	if p.kinds == nil {
		p.kinds, err = l.listKinds(ctx, p.org, recordedKindsSQL)
	}
	return err
}

// expand makes the entity types among actions the actions that the log holds of them.
func expand(actions []string, kinds []Kind) []string {
	var single []string
	for _, asked := range actions {
		prefix, all := strings.CutSuffix(asked, AnyVerb)
		if !all {
			single = append(single, asked)
			continue
		}
		for _, kind := range kinds {
			if of, _, _ := strings.Cut(kind.Action, ":"); of == prefix {
				single = append(single, kind.Action)
			}
		}
	}
	slices.Sort(single)
	return slices.Compact(single)
}

// letThrough are those of some kinds that the filters let through.
func (p *plan) letThrough(kinds []Kind) []Kind {
	q := p.query
	return slices.DeleteFunc(slices.Clone(kinds), func(k Kind) bool {
		return len(q.Actions) > 0 && !slices.Contains(p.actions, k.Action) || q.EntityType != "" && k.EntityType != q.EntityType
	})
}

// values are those of the sorted column among some kinds, in the order of the query.
func (p *plan) values(kinds []Kind) []string {
	values := project(kinds, func(k Kind) string {
		return p.query.Sort.value(&models.Entry{Action: k.Action, EntityType: k.EntityType})
	})
	if !p.query.groupsAscend() {
		slices.Reverse(values)
	}
	return values
}

// filters are what the query asks for besides words and times, by column. As SQL they are expressions that
// no index has: so neither database takes another index for them than that of the runs that are read.
func (p *plan) filters() []filter {
	q := p.query
	all := []filter{
		{"action", p.actions, len(q.Actions) > 0}, {"actor_id", q.Actors, len(q.Actors) > 0},
		{"entity_type", []string{q.EntityType}, q.EntityType != ""}, {"entity_id", []string{q.EntityID}, q.EntityID != ""},
		{"ip", []string{q.IP}, q.IP != ""}, {"request_id", []string{q.RequestID}, q.RequestID != ""},
		{"api_key_id", []string{q.APIKey}, q.APIKey != ""}, {"source", []string{q.Source}, q.Source != ""},
	}
	return slices.DeleteFunc(all, func(f filter) bool { return !f.on })
}

// filter lets entries through that have one of some values in a column.
type filter struct {
	column string
	values []string
	on     bool
}

func (f filter) where() condition {
	if len(f.values) == 1 {
		return condition{unindexed(f.column) + " = ?", []any{f.values[0]}}
	}
	return condition{unindexed(f.column) + " IN ?", []any{f.values}}
}

func unindexed(column string) string { return column + " || ''" }

// project lists the distinct values of a field.
func project[T any](list []T, field func(T) string) []string {
	values := make([]string, len(list))
	for i, item := range list {
		values[i] = field(item)
	}
	slices.Sort(values)
	return slices.Compact(values)
}

func (k Kind) action() string     { return k.Action }
func (k Kind) entityType() string { return k.EntityType }
