package entries

import (
	"cmp"
	"slices"

	"github.com/auditlogs/auditlogs/models"
)

// A page of the log is put together from streams. A stream is a run of entries that one index
// yields in the order of time: all that have given values in given columns, such as one actor's
// entries of one action. Every filter becomes a set of streams, merged by ID; every sort becomes a
// row of groups, one a value of the sorted column, read one after the other. So a page reads a
// bounded number of rows wherever it lies. Where there would be too many streams, the log is read as it
// lies instead: see entry_bound.go.

// streamSet is a number of streams over the same columns.
type streamSet struct {
	columns    []string
	indexed    int // how many of the columns, from the first on, are those of the index
	streams    []stream
	conditions []condition // what rows must fulfil besides
}

// operands are the columns as they are compared. Those that are not of the index, and those of the
// conditions, are compared as an expression, so that neither database takes another index for them: one
// that has many more entries in each of its runs.
func (s streamSet) operands() []string {
	operands := slices.Clone(s.columns)
	for i := s.indexed; i < len(operands); i++ {
		operands[i] = unindexed(operands[i])
	}
	return operands
}

func unindexed(column string) string { return column + " || ''" }

// stream is one run of entries: its values for the columns of its set, and which of the groups
// that are read together it belongs to.
type stream struct {
	group  int
	values []string
}

// condition restricts rows beyond what their stream does.
type condition struct {
	sql  string
	args []any
}

// group is the entries of one value of the sorted column; sorted by time there is only one.
type group struct {
	value  string
	actors []actorKey // who had this name (SortUser), or all that are asked for
	many   bool       // there are more actors, or more names of them, than may be read as streams
}

// actorKey is an actor under one of the names it had.
type actorKey struct {
	ActorKey string
	ActorID  string
}

// entityKey names one resource.
type entityKey struct {
	EntityType string
	EntityID   string
}

// selection says which entries may answer: those of any of the kinds, by any of the actors, about
// any of the entities. Nil does not restrict; empty lets nothing through.
type selection struct {
	kinds    []Kind
	actors   []string
	entities []entityKey
	// anyType says that kinds holds every type there is with these actions, so that the action
	// alone decides.
	anyType bool
}

// empty says that nothing can answer.
func (s selection) empty() bool {
	return s.kinds != nil && len(s.kinds) == 0 || s.actors != nil && len(s.actors) == 0 ||
		s.entities != nil && len(s.entities) == 0
}

// byKind and byActor say whether streams must tell kinds, or actors, apart.
func (s selection) byKind(sort Sort) bool {
	return s.kinds != nil || sort == SortAction || sort == SortEntityType
}

func (s selection) byActor(sort Sort) bool { return s.actors != nil || sort == SortUser }

// indexColumns chooses the index whose runs the streams are: one of those in the schema, by its
// columns between org_id and id.
func (s selection) indexColumns(sort Sort) []string {
	switch byKind, byActor := s.byKind(sort), s.byActor(sort); {
	case s.entities != nil:
		return []string{"entity_type", "entity_id"}
	case byActor && byKind:
		return []string{"actor_id", "action"}
	case byActor:
		return []string{"actor_key", "actor_id"}
	case byKind && sort != SortEntityType && (s.kinds == nil || s.anyType):
		return []string{"action"}
	case byKind:
		return []string{"entity_type", "action"}
	default:
		return nil
	}
}

// columns are those of the index and, where it has not got it, the sorted one.
func (s selection) columns(sort Sort) []string {
	columns := s.indexColumns(sort)
	if sort != SortTimestamp && !slices.Contains(columns, sort.column()) {
		columns = append(columns, sort.column())
	}
	return columns
}

// groupKinds are the kinds that the streams of a group tell apart by their columns; one empty kind where they
// tell none apart.
func (s selection) groupKinds(columns []string, sort Sort, g group, allKinds []Kind) []Kind {
	if !slices.Contains(columns, "action") || !s.byKind(sort) {
		return make([]Kind, 1)
	}
	kinds := s.kinds
	if kinds == nil {
		kinds = allKinds
	}
	var told []Kind
	for _, kind := range kinds {
		if sort == SortAction && kind.Action != "" && kind.Action != g.value ||
			sort == SortEntityType && kind.EntityType != "" && kind.EntityType != g.value {
			continue
		}
		if !slices.Contains(columns, "entity_type") {
			kind.EntityType = ""
		}
		told = append(told, kind)
	}
	slices.SortFunc(told, func(a, b Kind) int {
		return cmp.Or(cmp.Compare(a.EntityType, b.EntityType), cmp.Compare(a.Action, b.Action))
	})
	return slices.Compact(told)
}

// runs is how many streams a group has, without making them.
func (s selection) runs(sort Sort, g group, allKinds []Kind) int {
	columns := s.columns(sort)
	runs := len(s.groupKinds(columns, sort, g, allKinds))
	if slices.Contains(columns, "actor_id") {
		runs *= len(g.actors)
	}
	if s.entities != nil {
		runs *= len(s.entities)
	}
	return runs
}

// streamSet makes the streams of the selection for some groups. allKinds is every kind of the log,
// where the selection does not restrict them but streams must tell them apart.
func (s selection) streamSet(sort Sort, groups []group, allKinds []Kind) streamSet {
	set := streamSet{columns: s.columns(sort), indexed: len(s.indexColumns(sort))}
	carries := func(column string) bool { return slices.Contains(set.columns, column) }
	if s.actors != nil && !carries("actor_id") {
		set.conditions = append(set.conditions, condition{unindexed("actor_id") + " IN ?", []any{s.actors}})
	}
	if s.kinds != nil && !carries("action") {
		set.conditions = append(set.conditions, condition{unindexed("action") + " IN ?", []any{project(s.kinds, Kind.action)}})
	}
	if s.kinds != nil && !s.anyType && !carries("entity_type") {
		set.conditions = append(set.conditions, condition{unindexed("entity_type") + " IN ?", []any{project(s.kinds, Kind.entityType)}})
	}

	for number, group := range groups {
		var rows [][]string
		for _, kind := range s.groupKinds(set.columns, sort, group, allKinds) {
			for _, actor := range orOne(group.actors, carries("actor_id")) {
				for _, entity := range orOne(s.entities, s.entities != nil) {
					e := models.Entry{Action: kind.Action, EntityType: kind.EntityType, EntityID: entity.EntityID,
						ActorKey: actor.ActorKey, ActorID: actor.ActorID}
					if s.entities != nil {
						e.EntityType = entity.EntityType
					}
					if row := valuesOf(&e, set.columns, sort, group.value); row != nil {
						rows = append(rows, row)
					}
				}
			}
		}
		slices.SortFunc(rows, slices.Compare)
		for _, row := range slices.CompactFunc(rows, slices.Equal) {
			set.streams = append(set.streams, stream{group: number, values: row})
		}
	}
	return set
}

// values are the entry's values in columns, that of the sorted column being groupValue; nil where
// the entry is known to have another value there.
func valuesOf(e *models.Entry, columns []string, sort Sort, groupValue string) []string {
	values := make([]string, len(columns))
	for i, column := range columns {
		switch column {
		case "action":
			values[i] = e.Action
		case "entity_type":
			values[i] = e.EntityType
		case "entity_id":
			values[i] = e.EntityID
		case "actor_id":
			values[i] = e.ActorID
		case "actor_key":
			values[i] = e.ActorKey
		}
		if column == sort.column() {
			if values[i] != "" && values[i] != groupValue {
				return nil
			}
			values[i] = groupValue
		}
	}
	return values
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

// orOne gives the list where it is used, and otherwise one zero value, so that a loop over it runs
// once.
func orOne[T any](list []T, used bool) []T {
	if used {
		return list
	}
	return make([]T, 1)
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

func (k Kind) action() string     { return k.Action }
func (k Kind) entityType() string { return k.EntityType }
