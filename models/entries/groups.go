package entries

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/auditlogs/auditlogs/models"
)

// group is the entries of one value of the sorted column; sorted by time there is only one.
type group struct {
	value  string
	kinds  []Kind     // that are read of it; of all where the selection does not restrict them
	actors []actorKey // who had this name (SortUser), or those asked for
}

// actorKey is an actor under one of the names it had.
type actorKey struct{ ActorKey, ActorID string }

// nextGroups are the groups to be read together: the one the walk stopped within alone, or a number of those
// behind it.
func (w *walk) nextGroups(ctx context.Context) ([]group, error) {
	p := w.plan
	switch sort := p.query.Sort; {
	case sort == SortTimestamp:
		return []group{{kinds: w.selection.kinds, actors: p.actors}}, nil
	case sort == SortUser && !w.selection.none():
		return w.nextUsers(ctx)
	}
	kinds := w.selection.kinds
	if kinds == nil {
		kinds = p.kinds
	}
	of := map[string][]Kind{}
	for _, kind := range kinds {
		value := p.query.Sort.value(&models.Entry{Action: kind.Action, EntityType: kind.EntityType})
		of[value] = append(of[value], kind)
	}
	var groups []group
	for value, kinds := range of {
		if w.isAhead(value) {
			groups = append(groups, group{value, kinds, p.actors})
		}
	}
	return w.withGathered(groups, true), nil
}

// isAhead reports whether a group is still to be read: the one that the walk stopped within, or those behind.
func (w *walk) isAhead(value string) bool {
	if w.at.started && w.at.id.IsZero() {
		return w.plan.query.compare(value, w.at.group.value) > 0
	}
	return !w.at.started || value == w.at.group.value
}

// compare puts values of the sorted column in the order in which they are read.
func (q Query) compare(a, b string) int {
	if q.groupsAscend() {
		return cmp.Compare(a, b)
	}
	return cmp.Compare(b, a)
}

// nextUsers are nextGroups where sorted by user: of audit_actors, which has the names.
func (w *walk) nextUsers(ctx context.Context) (users []group, err error) {
	p, names := w.plan, w.plan.ofActors()
	order, behind := "actor_key", "actor_key > ?"
	if !p.query.groupsAscend() {
		order, behind = "actor_key DESC", "actor_key < ?"
	}
	switch {
	case !w.at.id.IsZero() && len(w.at.group.actors) > 0:
		w.at.group.kinds = w.selection.kinds
		return []group{w.at.group}, nil
	case !w.at.id.IsZero(): // the cursor's
		names = names.and(condition{"actor_key = ?", []any{w.at.group.value}})
	case w.at.started:
		names = names.and(condition{behind, []any{w.at.group.value}})
	}
	actors, err := w.log.actorKeys(ctx, p, condition{
		"actor_key IN (SELECT DISTINCT actor_key FROM audit_actors WHERE " + names.sql + " ORDER BY " + order + " LIMIT ?)",
		append(names.args, w.chunk)})
	if err != nil {
		return nil, err
	}
	for _, actor := range actors {
		if n := len(users); n == 0 || users[n-1].value != actor.ActorKey {
			users = append(users, group{value: actor.ActorKey, kinds: w.selection.kinds})
		}
		last := &users[len(users)-1]
		last.actors = append(last.actors, actor)
	}
	if n := len(users); n > 1 && len(actors) > w.log.Limits.Runs { // not all of those who had the last name
		users = users[:n-1]
	}
	return w.withGathered(users, len(actors) == 0), nil
}

// withGathered puts the first of the groups that are ahead in order: of those given, which may not be all, and of
// others of which something was gathered.
func (w *walk) withGathered(given []group, all bool) []group {
	compare := func(a, b group) int { return w.plan.query.compare(a.value, b.value) }
	slices.SortFunc(given, compare)
	groups := slices.Clone(given)
	for value := range w.gathered {
		g := group{value: value}
		place, known := slices.BinarySearchFunc(given, g, compare)
		if !known && w.isAhead(value) && (all || place < len(given)) {
			groups = append(groups, g)
		}
	}
	slices.SortFunc(groups, compare)
	return groups[:min(len(groups), w.chunk)]
}

// ofActors is the condition that a row of audit_actors is of the organization and, where theirs are read, of an actor asked for.
func (p *plan) ofActors() condition {
	of := condition{"org_id = ?", []any{p.org.ID}}
	if p.base.byActor {
		of = of.and(condition{"actor_id IN ?", []any{p.query.Actors}})
	}
	return of
}

// actorKeys lists names and who had them: one more than runs may be begun where there are more.
func (l *Log) actorKeys(ctx context.Context, p *plan, within condition) (actors []actorKey, err error) {
	where, order := p.ofActors().and(within), "actor_key"
	if !p.query.groupsAscend() {
		order = "actor_key DESC"
	}
	err = l.LogReader(ctx).Raw("SELECT DISTINCT actor_key, actor_id FROM audit_actors WHERE "+where.sql+
		" ORDER BY "+order+" LIMIT ?", append(where.args, l.Limits.Runs+1)...).Scan(&actors).Error
	if err != nil {
		return nil, fmt.Errorf("list the users: %w", err)
	}
	return actors, nil
}
