package entries

import (
	"math"
	"slices"

	"github.com/auditlogs/auditlogs/models"
)

// selection says which entries may answer: those of any of the kinds, by any of the actors, about any of the
// entities. Nil does not restrict; empty lets nothing through.
type selection struct {
	kinds    []Kind // with an empty EntityType: of any type
	actors   []string
	entities []entityKey
}

// entityKey names one resource.
type entityKey struct{ EntityType, EntityID string }

// actorKey is an actor under one of the names it had.
type actorKey struct{ ActorKey, ActorID string }

// group is the entries of one value of the sorted column; sorted by time there is only one.
type group struct {
	value  string
	actors []actorKey // who had this name (SortUser), or the names of those asked for
	many   bool       // there are more than may be read
}

// The indexes of the entries, by their columns between org_id and id.
var (
	byTime        []string
	byAction      = []string{"action"}
	byType        = []string{"entity_type", "action"}
	byEntity      = []string{"entity_type", "entity_id"}
	byActorAction = []string{"actor_id", "action"}
	byUser        = []string{"actor_key", "actor_id"}
)

// index chooses the one whose runs hold what the selection lets through, a value of the sorted column each.
func (s selection) index(sort Sort) []string {
	kinds := s.kinds != nil || sort == SortAction || sort == SortEntityType
	actors := s.actors != nil || sort == SortUser
	switch {
	case s.entities != nil:
		return byEntity
	case actors && kinds:
		return byActorAction
	case actors:
		return byUser
	case sort == SortEntityType || len(s.kinds) > 0 && s.kinds[0].EntityType != "":
		return byType
	case kinds:
		return byAction
	default:
		return byTime
	}
}

// runSet is runs of one index, and what their entries must fulfil besides.
type runSet struct {
	columns []string
	indexed int // how many of the columns, from the first on, are those of the index
	runs    []run
	of      condition // what the index's entries must have besides, for all runs alike
	where   condition
}

// run is the entries that have given values in the columns of the set, in the order of time: one seek and what
// lies behind it. group is the number of the group it belongs to among those that are read together.
type run struct {
	group  int
	values []string
}

// exact reports whether all entries of the runs are let through.
func (s runSet) exact() bool { return len(s.columns) == s.indexed && s.where.sql == "" }

// operands are the columns as they are compared.
func (s runSet) operands() []string {
	operands := slices.Clone(s.columns)
	for i := s.indexed; i < len(operands); i++ {
		operands[i] = unindexed(operands[i])
	}
	return operands
}

// kindsIn are the kinds that the selection lets through in a group.
func (s selection) kindsIn(sort Sort, g group, all []Kind) []Kind {
	kinds := s.kinds
	if kinds == nil && sort == SortAction {
		return []Kind{{Action: g.value}}
	} else if kinds == nil {
		kinds = all
	}
	switch sort {
	case SortAction:
		return slices.DeleteFunc(slices.Clone(kinds), func(k Kind) bool { return k.Action != g.value })
	case SortEntityType:
		return slices.DeleteFunc(slices.Clone(kinds), func(k Kind) bool { return k.EntityType != g.value })
	default:
		return kinds
	}
}

// count is how many runs a group has, without making them.
func (s selection) count(sort Sort, g group, all []Kind) int {
	if g.many {
		return math.MaxInt32
	}
	switch columns := s.index(sort); {
	case s.entities != nil:
		return len(s.entities)
	case slices.Equal(columns, byTime):
		return 1
	case slices.Equal(columns, byUser):
		return len(g.actors)
	case slices.Equal(columns, byActorAction):
		return len(g.actors) * len(s.kindsIn(sort, g, all))
	default:
		return len(s.kindsIn(sort, g, all))
	}
}

// runsOf are the runs of a group, as values of the index's columns and, where the index has not got it, of the
// sorted column.
func (s selection) runsOf(sort Sort, g group, all []Kind) (runs [][]string) {
	switch columns := s.index(sort); {
	case s.entities != nil:
		for _, e := range s.entities {
			runs = append(runs, []string{e.EntityType, e.EntityID})
		}
	case slices.Equal(columns, byTime):
		return [][]string{{}}
	case slices.Equal(columns, byUser):
		for _, a := range g.actors {
			runs = append(runs, []string{a.ActorKey, a.ActorID})
		}
	case slices.Equal(columns, byActorAction):
		for _, actor := range project(g.actors, func(a actorKey) string { return a.ActorID }) {
			for _, action := range project(s.kindsIn(sort, g, all), Kind.action) {
				values := []string{actor, action}
				if sort == SortUser || sort == SortEntityType {
					values = append(values, g.value)
				}
				runs = append(runs, values)
			}
		}
	case slices.Equal(columns, byAction):
		for _, action := range project(s.kindsIn(sort, g, all), Kind.action) {
			runs = append(runs, []string{action})
		}
	default:
		for _, kind := range s.kindsIn(sort, g, all) {
			runs = append(runs, []string{kind.EntityType, kind.Action})
		}
	}
	return runs
}

// runSet makes the runs of the selection in some groups, and the conditions for what they do not tell apart.
func (p *plan) runSet(s selection, groups []group) runSet {
	sort := p.query.Sort
	set := runSet{columns: slices.Clone(s.index(sort))}
	if set.indexed = len(set.columns); slices.Equal(set.columns, byActorAction) && (sort == SortUser || sort == SortEntityType) {
		set.columns = append(set.columns, sort.column())
	}
	for number, g := range groups {
		for _, values := range s.runsOf(sort, g, p.kinds) {
			set.runs = append(set.runs, run{number, values})
		}
	}
	set.where = p.unless(set.columns)
	return set
}

// unless are the conditions of the query's filters on other columns than these.
func (p *plan) unless(columns []string) (all condition) {
	for _, f := range p.filters() {
		if !slices.Contains(columns, f.column) {
			all = all.and(f.where())
		}
	}
	return all
}

// column is the sorted column.
func (sort Sort) column() string {
	switch sort {
	case SortAction:
		return "action"
	case SortEntityType:
		return "entity_type"
	case SortUser:
		return "actor_key"
	default:
		return "id"
	}
}

// lets reports whether the filters and the words let an entry through.
func (p *plan) lets(e *models.Entry) bool {
	value := map[string]string{
		"action": e.Action, "actor_id": e.ActorID, "entity_type": e.EntityType, "entity_id": e.EntityID,
		"ip": e.IP, "request_id": e.RequestID, "api_key_id": e.APIKeyID, "source": e.Source,
	}
	for _, f := range p.filters() {
		if !slices.Contains(f.values, value[f.column]) {
			return false
		}
	}
	return matchesAll(p.words, e)
}
