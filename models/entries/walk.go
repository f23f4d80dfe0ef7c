package entries

import (
	"context"
	"fmt"
	"slices"

	"github.com/auditlogs/auditlogs/models"
)

// walk reads the entries that answer a query in its order, some at a time: group after group, and in each of
// them the first entries of its runs.
type walk struct {
	log        *Log
	plan       *plan
	columns    columns
	selections []selection // what is read, merged
	gathered   gathered    // what is read besides, of a search or resource that is not sorted by time

	at    place
	chunk int     // how many groups are read together next
	users []group // those that were read last, where sorted by user
	done  bool

	// Where bounded, the walk takes no more than a page may: left is what is left of that, and spent reports
	// that it stopped for it.
	bounded bool
	left    bound
	spent   bool

	// Where not every entry of the runs answers: how many were looked through and how many of them did, how
	// many of those that SQL let through last did not; whether the entities were asked, and whether the selections
	// are what they told.
	looked, matched, dropped int
	sought, found            bool
	byOrigin                 bool // the runs of an origin are read in place of the selections
}

// place is how far the walk is: behind the entry id of the group value, or behind the whole group where id is
// zero. At the beginning nothing is set.
type place struct {
	value   string
	id      models.EntryID
	started bool
}

// walk begins at the query's cursor.
func (l *Log) walk(ctx context.Context, org models.Organization, q Query, columns columns) (*walk, error) {
	p, err := l.plan(ctx, org, q)
	if err != nil {
		return nil, err
	}
	w := &walk{log: l, plan: p, columns: columns, chunk: 1, bounded: true, left: l.bound, selections: []selection{p.base}}
	w.done = p.base.kinds != nil && len(p.base.kinds) == 0
	if cursor := q.Cursor; cursor != nil {
		w.at = place{cursor.Value, cursor.ID, true}
	}
	return w, nil
}

// next reads n entries; fewer only at the end, or where the walk is spent.
func (w *walk) next(ctx context.Context, n int) (found []models.Entry, err error) {
	for !w.done && !w.spent && len(found) < n {
		var more []models.Entry
		if w.shouldSeek(n - len(found)) {
			err = w.seek(ctx)
		} else {
			more, err = w.step(ctx, n-len(found))
		}
		if err != nil {
			return nil, fmt.Errorf("read entries of %s: %w", w.plan.org.Slug, err)
		}
		found = append(found, more...)
	}
	return found, nil
}

// step reads up to n entries of the next groups, and goes on behind what was read.
func (w *walk) step(ctx context.Context, n int) ([]models.Entry, error) {
	groups, err := w.nextGroups(ctx)
	if err != nil {
		return nil, err
	}
	if len(groups) == 0 {
		w.pass(nil)
		return nil, nil
	}
	sets, groups := w.runSets(groups)
	r := reading{
		orgID: w.plan.org.ID, span: w.ahead(), newestFirst: w.plan.query.newestFirst(), columns: w.columns,
		limit: max(n, min(4*w.dropped, 1000)),
	}
	var end *groupedEntry // up to where is read; nil for all
	if w.spent = len(groups) == 0; !w.spent && slices.ContainsFunc(sets, func(s runSet) bool { return !s.exact() }) {
		sets, groups, end, err = w.lookAhead(ctx, r, sets, groups)
	}
	if err != nil || w.spent {
		return nil, err
	}
	if end != nil {
		r.span = r.span.through(end.ID, r.newestFirst)
	}
	found, err := w.read(ctx, r, sets, groups)
	if err != nil {
		return nil, err
	}
	if len(found) >= r.limit {
		found = found[:r.limit]
		end = &found[r.limit-1]
	}
	return w.take(found, groups, end, n), nil
}

// ahead is what is left of the span, in the group the walk is in.
func (w *walk) ahead() span {
	if w.at.id.IsZero() {
		return w.plan.span
	}
	return w.plan.span.behind(w.at.id, w.plan.query.newestFirst())
}

// take answers those of the entries read that match, at most n, and goes on behind the last one, behind end
// where reading ended there, or behind the groups.
func (w *walk) take(found []groupedEntry, groups []group, end *groupedEntry, n int) []models.Entry {
	var matching []models.Entry
	for i := range found {
		if len(w.plan.words) > 0 && !matchesAll(w.plan.words, &found[i].Entry) {
			continue
		}
		if matching = append(matching, found[i].Entry); len(matching) == n {
			end = &found[i]
			break
		}
	}
	w.matched += len(matching)
	w.dropped = len(found) - len(matching)
	if w.bounded {
		if w.left.rows -= len(found); w.left.rows < 0 && len(matching) < n {
			w.spent = true
		}
	}
	if end != nil {
		w.at, w.chunk = place{groups[end.group].value, end.ID, true}, 1
	} else {
		w.pass(groups)
		w.spent = w.spent && !w.done
	}
	return matching
}

// pass goes on behind groups, or behind the group the walk stopped within where none of it is left.
func (w *walk) pass(groups []group) {
	switch {
	case len(groups) > 0:
		w.at = place{value: groups[len(groups)-1].value, started: true}
		w.chunk = min(w.chunk*4, 64)
		w.done = w.plan.query.Sort == SortTimestamp
	case !w.at.id.IsZero():
		w.at.id = models.EntryID{}
	default:
		w.done = true
	}
}

// runSets are the runs of as many of the groups, from the first on, as may be begun. Those of a group with more
// than any page may begin are those of the whole log instead, and its filters conditions.
func (w *walk) runSets(groups []group) (sets []runSet, used []group) {
	if origin, ok := w.plan.origin(); ok && w.byOrigin {
		set := w.log.originRuns(w.plan, origin, w.ahead())
		set.where = w.plan.unless([]string{origin.column}).and(w.log.wordsMatch(w.plan.words))
		w.left.runs -= len(set.runs)
		return []runSet{set}, groups
	}
	most, runs := w.mostRuns(), 0
	if w.bounded {
		most = min(most, w.left.runs)
	}
	for i, g := range groups {
		more := 0
		for _, s := range w.selections {
			more += s.count(w.plan.query.Sort, g, w.plan.kinds)
		}
		if i == 0 && more > w.mostRuns() {
			return []runSet{w.wholeLog(g)}, groups[:1]
		}
		if runs+more > most {
			groups = groups[:i]
			break
		}
		runs += more
	}
	w.left.runs -= runs
	for _, s := range w.selections {
		set := w.plan.runSet(s, groups)
		if !w.found {
			set.where = set.where.and(w.log.wordsMatch(w.plan.words))
		}
		sets = append(sets, set)
	}
	return sets, groups
}

// mostRuns is how many runs are read together. Where each has to be looked through for words, reading the log
// as it lies takes no longer than many.
func (w *walk) mostRuns() int {
	if len(w.plan.words) > 0 && !w.found {
		return min(mostLookedThrough, w.log.bound.runs)
	}
	return w.log.bound.runs
}

const mostLookedThrough = 64

// wholeLog is the log as it lies, of which a group is chosen by conditions.
func (w *walk) wholeLog(g group) runSet {
	p := w.plan
	set := runSet{runs: []run{{}}, where: p.unless(nil)}
	if p.query.Sort != SortTimestamp {
		set.where = set.where.and(condition{unindexed(p.query.Sort.column()) + " = ?", []any{g.value}})
	}
	set.where = set.where.and(w.log.wordsMatch(p.words))
	return set
}

// mostLook is how many entries are looked through at a time at most.
const mostLook = 50_000

// lookAhead finds out how far to read where only some of the entries answer, so that a statement never looks
// through more than it may: to where the first of the runs has given as many as each of them may. That is end,
// within the first group; or the groups before that one whole.
func (w *walk) lookAhead(ctx context.Context, r reading, sets []runSet, groups []group) ([]runSet, []group, *groupedEntry, error) {
	runs := 0
	for _, set := range sets {
		runs += len(set.runs)
	}
	if runs == 0 {
		return sets, groups, nil, nil
	}
	look := min(max(w.log.effort.firstLook, 2*w.looked, w.log.effort.firstLook/10*runs), mostLook)
	if w.bounded {
		look = min(look, w.left.rows)
	}
	each := look / runs
	if each == 0 {
		w.spent = w.left.rows < runs && w.bounded
		each = 1
	}
	if w.spent {
		return sets, groups, nil, nil
	}
	var end *groupedEntry
	for _, set := range sets {
		ahead := r
		ahead.skip, ahead.limit, ahead.columns = each-1, 1, idColumn
		set.where = condition{}
		set.columns = set.columns[:set.indexed]
		found, err := w.log.read(ctx, ahead, set)
		if err != nil {
			return nil, nil, nil, err
		}
		if len(found) > 0 && (end == nil || r.compare(found[0], *end) < 0) {
			end = &found[0]
		}
	}
	w.looked += each * runs
	w.left.rows -= each * runs
	w.left.runs = max(0, w.left.runs-runs)
	if end != nil {
		groups = groups[:max(1, end.group)]
		for i := range sets {
			sets[i].runs = slices.DeleteFunc(sets[i].runs, func(r run) bool { return r.group >= len(groups) })
		}
		if end.group > 0 {
			end = nil
		}
	}
	return sets, groups, end, nil
}

// read reads the first entries of some groups, in order.
func (w *walk) read(ctx context.Context, r reading, sets []runSet, groups []group) (found []groupedEntry, err error) {
	for _, set := range sets {
		entries, err := w.log.read(ctx, r, set)
		if err != nil {
			return nil, err
		}
		found = append(found, entries...)
	}
	if w.gathered != nil {
		entries, err := w.readGathered(ctx, r, groups)
		if err != nil {
			return nil, err
		}
		found = append(found, entries...)
	}
	if len(sets) != 1 || w.gathered != nil {
		found = r.sorted(found)
	}
	return found, nil
}

// nextGroups are the groups to be read together: the one the walk stopped within alone, or a number of those
// behind it.
func (w *walk) nextGroups(ctx context.Context) ([]group, error) {
	p, within := w.plan, w.at.started && !w.at.id.IsZero()
	switch {
	case p.query.Sort == SortTimestamp:
		return w.oneGroup(ctx)
	case w.gathered == nil || len(w.selections) > 0:
		if p.query.Sort == SortUser {
			return w.nextUsers(ctx)
		}
	}
	values := w.values()
	if within {
		values = []string{w.at.value}
	} else if w.at.started {
		values = slices.DeleteFunc(values, func(value string) bool {
			return value == w.at.value || value < w.at.value == p.query.groupsAscend()
		})
	}
	var groups []group
	for _, value := range values[:min(len(values), w.chunk)] {
		groups = append(groups, group{value: value, actors: p.actors()})
	}
	return groups, nil
}

// nextUsers are nextGroups where sorted by user. The one the walk stopped within is known already, but for the
// first page's.
func (w *walk) nextUsers(ctx context.Context) (users []group, err error) {
	if !w.at.id.IsZero() {
		if i := slices.IndexFunc(w.users, func(g group) bool { return g.value == w.at.value }); i >= 0 {
			return w.users[i : i+1], nil
		}
	}
	w.users, err = w.log.users(ctx, w.plan, w.at, w.chunk)
	return w.users, err
}

// oneGroup is all entries, by time. The names of its actors are asked for where runs of the index need them.
func (w *walk) oneGroup(ctx context.Context) ([]group, error) {
	p := w.plan
	named := func(s selection) bool { return slices.Equal(s.index(SortTimestamp), byUser) }
	if !slices.ContainsFunc(w.selections, named) {
		return []group{{actors: p.actors()}}, nil
	}
	if p.names == nil {
		names, err := w.log.namesOf(ctx, p)
		if err != nil {
			return nil, err
		}
		p.names = &names
	}
	return []group{*p.names}, nil
}

// values are those of the sorted column that can occur, in order.
func (w *walk) values() (values []string) {
	var kinds []Kind
	for _, s := range w.selections {
		if kinds = append(kinds, s.kinds...); s.kinds == nil {
			kinds = append(kinds, w.plan.kinds...)
		}
	}
	values = w.plan.values(kinds)
	if w.gathered != nil {
		values = w.gathered.values(values, w.plan.query)
	}
	return values
}

// actors are those asked for, whatever their names were.
func (p *plan) actors() []actorKey {
	var actors []actorKey
	for _, id := range p.query.Actors {
		actors = append(actors, actorKey{ActorID: id})
	}
	return actors
}
