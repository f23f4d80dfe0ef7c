package entries

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"gorm.io/gorm"
)

// namesOf lists the names under which the actors of a plan are known.
func (l *Log) namesOf(ctx context.Context, p *plan) (group, error) {
	most := l.bound.runs * monthsKept // an actor has a row for each month and name
	var names []actorKey
	err := l.LogReader(ctx).Raw("SELECT actor_key, actor_id FROM audit_actors WHERE org_id = ? AND actor_id IN ? LIMIT ?",
		p.org.ID, p.query.Actors, most+1).Scan(&names).Error
	if err != nil {
		return group{}, fmt.Errorf("find the names of actors: %w", err)
	}
	many := len(names) > most
	slices.SortFunc(names, func(a, b actorKey) int {
		return cmp.Or(cmp.Compare(a.ActorKey, b.ActorKey), cmp.Compare(a.ActorID, b.ActorID))
	})
	return group{actors: slices.Compact(names), many: many}, nil
}

// users lists the next names in the order of the query, and who had them: count of those behind the place, or
// its own where it is within a name.
func (l *Log) users(ctx context.Context, p *plan, at place, count int) ([]group, error) {
	names := func() *gorm.DB {
		db := l.LogReader(ctx).Table("audit_actors").Where("org_id = ?", p.org.ID)
		if len(p.query.Actors) > 0 {
			db = db.Where("actor_id IN ?", p.query.Actors)
		}
		return db
	}
	order, beyond := "actor_key", "actor_key > ?"
	if !p.query.groupsAscend() {
		order, beyond = "actor_key DESC", "actor_key < ?"
	}
	next := names().Distinct("actor_key").Order(order).Limit(count)
	switch {
	case !at.id.IsZero():
		next = next.Where("actor_key = ?", at.value)
	case at.started:
		next = next.Where(beyond, at.value)
	}
	most := max(l.bound.runs, count)
	var pairs []actorKey
	err := names().Distinct("actor_key", "actor_id").Where("actor_key IN (?)", next).Order(order).Limit(most + 1).Scan(&pairs).Error
	if err != nil {
		return nil, fmt.Errorf("list the users: %w", err)
	}
	var groups []group
	for _, pair := range pairs {
		if len(groups) == 0 || groups[len(groups)-1].value != pair.ActorKey {
			groups = append(groups, group{value: pair.ActorKey})
		}
		last := &groups[len(groups)-1]
		last.actors = append(last.actors, pair)
	}
	if len(pairs) > most { // not all of those who had the last name
		if len(groups) > 1 {
			groups = groups[:len(groups)-1]
		} else {
			groups[0].many = true
		}
	}
	return groups, nil
}
