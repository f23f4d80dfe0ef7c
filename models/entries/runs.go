package entries

import "slices"

// index is one of the indexes of audit_entries, by its columns between org_id and id; or of a table beside it, between
// org_id and the ID of the entry.
type index struct {
	name, table string
	columns     []string
}

// id is the column of the table that has the entry's ID.
func (i *index) id() string {
	if i.table == "audit_entries" {
		return "id"
	}
	return "entry_id"
}

var (
	byTime        = &index{table: "audit_entries"} // the primary key
	byAction      = &index{"audit_entries_by_action", "audit_entries", []string{"action"}}
	byType        = &index{"audit_entries_by_type", "audit_entries", []string{"entity_type", "action"}}
	byEntity      = &index{"audit_entries_by_entity", "audit_entries", []string{"entity_type", "entity_id"}}
	byActorAction = &index{"audit_entries_by_actor_action", "audit_entries", []string{"actor_id", "action"}}
	byPrincipal   = &index{"audit_on_behalf_of_by_actor", "audit_on_behalf_of", []string{"actor_id"}}
	byRelated     = &index{"audit_related_by_entity", "audit_related", []string{"entity_type", "entity_id"}}
	byUser        = &index{"audit_entries_by_user", "audit_entries", []string{"actor_key", "actor_id"}}
)

// run is the entries that have given values in the columns of its set, in the order of time: one seek and what
// lies behind it. group is the number of the group it belongs to among those that are read together.
type run struct {
	group  int
	values []string
}

// runSet is runs of one index, and what their entries must fulfil besides.
type runSet struct {
	index    *index
	operands []string // that the values of the runs are compared with: the index's columns first
	runs     []run
	common   condition // what the entries of all runs have in common, as the index takes it
	where    condition // what no index tells
}

// unindexed is a column as an expression that no index has: so neither database takes another index for it than
// that of the runs that are read.
func unindexed(column string) string { return column + " || ''" }

// exact reports whether all entries of the runs answer.
func (s runSet) exact() bool { return len(s.operands) == len(s.index.columns) && s.where.sql == "" }

// repeats reports whether an entry may be in several runs, or several times in one.
func (s runSet) repeats() bool { return s.index == byRelated }

// alone is the runs as the index has them, with all that does not answer.
func (s runSet) alone() runSet {
	s.operands, s.where = s.index.columns, condition{}
	return s
}

// upTo leaves out the runs of all groups but the first few.
func (s runSet) upTo(groups int) runSet {
	s.runs = slices.DeleteFunc(s.runs, func(r run) bool { return r.group >= groups })
	return s
}

// runs are those that have some values in the index's columns.
func (i *index) runs(where condition, values ...[]string) runSet {
	set := runSet{index: i, operands: i.columns, where: where}
	for _, v := range values {
		set.runs = append(set.runs, run{0, v})
	}
	return set
}

// selection says which runs of the indexes by action, type and user are read.
type selection struct {
	kinds   []Kind    // nil does not restrict, empty lets nothing through; with an empty EntityType: of any type
	byActor bool      // those of the actors asked for only
	matched bool      // the kinds are those that the words were found to match,
	where   condition // where their entries fulfil this
}

// none reports whether the selection lets nothing through.
func (s selection) none() bool { return s.kinds != nil && len(s.kinds) == 0 }

// index chooses the one whose runs hold what the selection lets through, of a value of the sorted column each.
func (s selection) index(sort Sort) *index {
	kinds := s.kinds != nil || sort == SortAction || sort == SortEntityType
	actors := s.byActor || sort == SortUser
	switch {
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

// runsOf are the runs of a group, as values of the index's columns and, where the index has not got it, of the
// sorted column. few is false where they are more than most.
func (p *plan) runsOf(index *index, g group, most int) (runs [][]string, few bool) {
	actions := project(g.kinds, func(k Kind) string { return k.Action })
	switch index {
	case byTime:
		runs = [][]string{{}}
	case byUser:
		for _, a := range g.actors {
			runs = append(runs, []string{a.ActorKey, a.ActorID})
		}
	case byAction:
		for _, action := range actions {
			runs = append(runs, []string{action})
		}
	case byType:
		for _, kind := range g.kinds {
			runs = append(runs, []string{kind.EntityType, kind.Action})
		}
	case byActorAction:
		actors := project(g.actors, func(a actorKey) string { return a.ActorID })
		if len(actors)*len(actions) > most {
			return nil, false
		}
		for _, actor := range actors {
			for _, action := range actions {
				runs = append(runs, []string{actor, action})
			}
		}
	}
	if p.sortedBeside(index) != "" {
		for i := range runs {
			runs[i] = append(runs[i], g.value)
		}
	}
	return runs, len(runs) <= most
}

// sortedBeside is the sorted column where an index has not got it.
func (p *plan) sortedBeside(index *index) string {
	column := sortedColumn[p.query.Sort]
	if slices.Contains(index.columns, column) {
		return ""
	}
	return column
}

// project lists the distinct values of a field.
func project[T any](list []T, field func(T) string) []string {
	values := make([]string, len(list))
	for i, item := range list {
		values[i] = field(item)
	}
	slices.Sort(values)
	return slices.Compact(values)
}
