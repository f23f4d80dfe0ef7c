package entries

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/auditlogs/auditlogs/models"
	"gorm.io/gorm"
)

// entryWalk reads the entries that answer a query in order, some at a time.
type entryWalk struct {
	store *Log
	plan  *entryPlan
	// columns are read of each entry.
	columns columnSet
	// selections are what is read, several of them merged; nil while a search scans.
	selections []selection
	users      []group // those that were asked for last, where the order is that of users, and what was asked
	usersAt    userPlace

	resumeIn string         // the group the walk goes on in
	resumeAt models.EntryID // the entry of it that was read last; zero at the beginning of a group
	started  bool           // resumeIn is set
	chunk    int            // how many groups are read together next
	done     bool

	// Where bounded, the walk takes no more than a page may: left is what is left of that, and spent says
	// that it stopped for it.
	bounded bool
	left    workBound
	spent   bool

	// For a search: how many entries were scanned, how many of them matched, whether seeking was
	// tried; how many it is worth while to scan, zero before that was measured, and where a second look
	// ends, nil where it does not; how many of those that were sought are read at once; and what is left
	// of those that were gathered, nil where none were.
	scanned, matched int
	sought           bool
	worthwhile       int
	lookEnds         *groupedEntry
	batch            int
	gathered         []models.Entry
}

// walkPage walks as far as one page may. spent then says that it was not far enough.
func (s *Log) walkPage(p *entryPlan, columns columnSet) *entryWalk {
	w := s.walk(p, columns)
	w.bounded, w.left = true, s.bound
	return w
}

// walk begins at the query's cursor.
func (s *Log) walk(p *entryPlan, columns columnSet) *entryWalk {
	w := &entryWalk{store: s, plan: p, columns: columns, chunk: 1, done: p.base.empty()}
	if len(p.words) == 0 {
		w.selections = []selection{p.base}
	}
	if cursor := p.query.Cursor; cursor != nil {
		w.resumeIn, w.resumeAt, w.started = cursor.Value, cursor.ID, true
	}
	return w
}

// next reads n entries, in a search perhaps some more; fewer only at the end, or where the walk is spent.
func (w *entryWalk) next(ctx context.Context, n int) ([]models.Entry, error) {
	if len(w.plan.words) > 0 {
		return w.search(ctx, n)
	}
	return w.stream(ctx, n)
}

// stream reads up to n entries that the selections let through; fewer only at the end, or where the walk is
// spent.
func (w *entryWalk) stream(ctx context.Context, n int) ([]models.Entry, error) {
	var entries []models.Entry
	for !w.done && !w.spent && len(entries) < n {
		groups, err := w.nextGroups(ctx)
		if err != nil {
			return nil, err
		}
		if len(groups) == 0 {
			w.passGroups(nil)
			continue
		}
		wanted := n - len(entries)
		groups = w.affordable(groups, wanted)
		var read []models.Entry
		if len(groups) == 0 {
			// Of a search, only what matches: it asks again for the rest.
			read, err = w.scan(ctx, max(firstSift, 3*w.scanned), wanted)
		} else if read, err = w.read(ctx, groups, wanted); len(read) == wanted {
			last := &read[len(read)-1]
			w.resumeIn, w.resumeAt, w.started = w.plan.query.Sort.value(last), last.ID, true
		} else {
			w.passGroups(groups)
		}
		if err != nil {
			return nil, err
		}
		entries = joined(entries, read)
	}
	return entries, nil
}

// passGroups goes on behind groups, or behind the group the walk stopped within where none of it is
// left.
func (w *entryWalk) passGroups(groups []group) {
	switch {
	case len(groups) > 0:
		w.resumeIn, w.resumeAt, w.started = groups[len(groups)-1].value, models.EntryID{}, true
		w.chunk = min(w.chunk*4, 64)
		w.done = w.plan.query.Sort == SortTimestamp
	case !w.resumeAt.IsZero():
		w.resumeAt = models.EntryID{}
	default:
		w.done = true
	}
}

// nextGroups are the groups to be read together: the one the walk stopped within alone, or a
// number of those behind it.
func (w *entryWalk) nextGroups(ctx context.Context) ([]group, error) {
	q, within := w.plan.query, w.started && !w.resumeAt.IsZero()
	switch q.Sort {
	case SortTimestamp:
		actors, many, err := w.store.namesOf(ctx, w.plan, w.plan.base)
		return []group{{actors: actors, many: many}}, err
	case SortUser:
		return w.nextUsers(ctx, userPlace{name: w.resumeIn, started: w.started, within: within, count: w.chunk})
	}
	values := w.plan.groups
	if within {
		values = []string{w.resumeIn}
	} else if w.started {
		values = slices.DeleteFunc(slices.Clone(values), func(value string) bool {
			if q.groupsAscend() {
				return value <= w.resumeIn
			}
			return value >= w.resumeIn
		})
	}
	groups := make([]group, 0, w.chunk)
	for _, value := range values[:min(len(values), w.chunk)] {
		groups = append(groups, group{value: value, actors: q.actors()})
	}
	return groups, nil
}

// actors are those asked for, whatever their names were.
func (q Query) actors() []actorKey {
	var actors []actorKey
	for _, id := range q.Actors {
		actors = append(actors, actorKey{ActorID: id})
	}
	return actors
}

// read reads the first n entries of some groups, in the order of the query.
func (w *entryWalk) read(ctx context.Context, groups []group, n int) ([]models.Entry, error) {
	var found []groupedEntry
	for _, selection := range w.selections {
		q := w.streamQuery(selection, groups)
		q.limit = n
		entries, err := w.store.readStreams(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("read entries of %s: %w", w.plan.org.Slug, err)
		}
		found = joined(found, entries)
	}
	if len(w.selections) > 1 {
		found = sortGrouped(found, w.plan.query.newestFirst())
	}
	return ungrouped(found[:min(n, len(found))]), nil
}

// streamQuery asks for what a selection lets through in some groups, from where the walk is.
func (w *entryWalk) streamQuery(s selection, groups []group) streamQuery {
	q := w.plan.query
	bounds := idBounds{from: w.plan.from, to: w.plan.to}
	if !w.resumeAt.IsZero() {
		bounds.pass(w.resumeAt, q.newestFirst())
	}
	return streamQuery{
		orgID: w.plan.org.ID, set: s.streamSet(q.Sort, groups, w.plan.kinds), bounds: bounds,
		newestFirst: q.newestFirst(), columns: w.columns,
	}
}

// namesOf lists the names under which the actors of a plan are known, where streams of a selection need them.
// many says that there are more than may be read.
func (s *Log) namesOf(ctx context.Context, p *entryPlan, of selection) (names []actorKey, many bool, err error) {
	switch {
	case of.actors == nil:
		return nil, false, nil
	case !slices.Contains(of.indexColumns(p.query.Sort), "actor_key"):
		return p.query.actors(), false, nil
	case p.names != nil:
		return p.names, p.manyNames, nil
	}
	// An actor has a row for each month and name.
	most := s.bound.runs * monthsKept
	err = s.LogReader(ctx).Raw("SELECT actor_key, actor_id FROM audit_actors WHERE org_id = ? AND actor_id IN ? LIMIT ?",
		p.org.ID, p.query.Actors, most+1).Scan(&names).Error
	if err != nil {
		return nil, false, fmt.Errorf("find the names of actors of %s: %w", p.org.Slug, err)
	}
	p.names, p.manyNames = distinctKeys(names), len(names) > most
	return p.names, p.manyNames, nil
}

// distinctKeys are the keys in order, each once.
func distinctKeys(keys []actorKey) []actorKey {
	slices.SortFunc(keys, func(a, b actorKey) int {
		return cmp.Or(cmp.Compare(a.ActorKey, b.ActorKey), cmp.Compare(a.ActorID, b.ActorID))
	})
	return slices.Compact(keys)
}

// userPlace asks for the next count names: those behind name, or name itself where the walk stopped
// within it.
type userPlace struct {
	name            string
	started, within bool
	count           int
}

// nextUsers is userGroups, without asking again for what is known.
func (w *entryWalk) nextUsers(ctx context.Context, at userPlace) (users []group, err error) {
	same := func(g group) bool { return g.value == at.name }
	switch i := slices.IndexFunc(w.users, same); {
	case at.within && i >= 0:
		return w.users[i : i+1], nil
	case w.users != nil && at == w.usersAt:
		return w.users, nil
	}
	w.users, err = w.store.userGroups(ctx, w.plan, at)
	w.usersAt = at
	return w.users, err
}

// userGroups lists names, in the order of the query, and who had them.
func (s *Log) userGroups(ctx context.Context, p *entryPlan, at userPlace) ([]group, error) {
	names := func() *gorm.DB {
		db := s.LogReader(ctx).Table("audit_actors").Where("org_id = ?", p.org.ID)
		if len(p.query.Actors) > 0 {
			db = db.Where("actor_id IN ?", p.query.Actors)
		}
		return db
	}
	order, beyond := "actor_key", "actor_key > ?"
	if !p.query.groupsAscend() {
		order, beyond = "actor_key DESC", "actor_key < ?"
	}
	next := names().Distinct("actor_key").Order(order).Limit(at.count)
	switch {
	case at.within:
		next = next.Where("actor_key = ?", at.name)
	case at.started:
		next = next.Where(beyond, at.name)
	}
	most := max(s.bound.runs, at.count)
	var pairs []actorKey
	err := names().Distinct("actor_key", "actor_id").Where("actor_key IN (?)", next).Order(order).Limit(most + 1).Scan(&pairs).Error
	if err != nil {
		return nil, fmt.Errorf("list the users of %s: %w", p.org.Slug, err)
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
