package models

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"

	"gorm.io/gorm"
)

// entryWalk reads the entries of a plan in order, some at a time.
type entryWalk struct {
	store *Store
	plan  *entryPlan
	// columns are read of each entry.
	columns string

	resumeIn string  // the group the walk goes on in
	resumeAt EntryID // the entry of it that was read last; zero at the beginning of a group
	started  bool    // resumeIn is set
	chunk    int     // how many groups are read together next
	done     bool
}

// walk begins at the query's cursor.
func (s *Store) walk(p *entryPlan, columns string) *entryWalk {
	w := &entryWalk{store: s, plan: p, columns: columns, chunk: 1, done: len(p.selections) == 0}
	if cursor := p.query.Cursor; cursor != nil {
		w.resumeIn, w.resumeAt, w.started = cursor.Value, cursor.ID, true
	}
	return w
}

// next reads up to n entries that the streams of the plan yield; fewer only at the end.
func (w *entryWalk) next(ctx context.Context, n int) ([]Entry, error) {
	var entries []Entry
	for !w.done && len(entries) < n {
		groups, err := w.nextGroups(ctx)
		if err != nil {
			return nil, err
		}
		if len(groups) == 0 && !w.resumeAt.IsZero() {
			w.resumeAt = EntryID{} // the group is gone: on behind it
			continue
		}
		if len(groups) == 0 {
			w.done = true
			break
		}
		wanted := n - len(entries)
		read, err := w.read(ctx, groups, wanted)
		if err != nil {
			return nil, err
		}
		entries = append(entries, read...)
		if len(read) == wanted {
			last := &read[len(read)-1]
			w.resumeIn, w.resumeAt, w.started = w.plan.query.Sort.value(last), last.ID, true
			break
		}
		w.resumeIn, w.resumeAt, w.started = groups[len(groups)-1].value, EntryID{}, true
		w.chunk = min(w.chunk*4, 64)
		if w.plan.query.Sort == SortTimestamp {
			w.done = true
		}
	}
	return entries, nil
}

// nextGroups are the groups to be read together: the one the walk stopped within alone, or a
// number of those behind it.
func (w *entryWalk) nextGroups(ctx context.Context) ([]group, error) {
	q, within := w.plan.query, w.started && !w.resumeAt.IsZero()
	switch q.Sort {
	case SortTimestamp:
		actors, err := w.store.namesOf(ctx, w.plan)
		return []group{{actors: actors}}, err
	case SortUser:
		return w.store.userGroups(ctx, w.plan, w.resumeIn, w.started, within, w.chunk)
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
		group := group{value: value}
		for _, id := range w.plan.query.Actors {
			group.actors = append(group.actors, actorKey{ActorID: id})
		}
		groups = append(groups, group)
	}
	return groups, nil
}

// read reads the first n entries of some groups, in the order of the query.
func (w *entryWalk) read(ctx context.Context, groups []group, n int) ([]Entry, error) {
	q := w.plan.query
	bounds := idBounds{from: w.plan.from, to: w.plan.to}
	if !w.resumeAt.IsZero() {
		bounds.pass(w.resumeAt, q.newestFirst())
	}
	var found []groupedEntry
	for _, selection := range w.plan.selections {
		set := selection.streamSet(q.Sort, groups, w.plan.kinds)
		entries, err := w.store.readStreams(ctx, streamQuery{
			orgID: w.plan.org.ID, set: set, bounds: bounds, newestFirst: q.newestFirst(), limit: n, columns: w.columns,
		})
		if err != nil {
			return nil, fmt.Errorf("read entries of %s: %w", w.plan.org.Slug, err)
		}
		found = append(found, entries...)
	}
	if len(w.plan.selections) > 1 {
		found = sortGrouped(found, q.newestFirst())
	}
	entries := make([]Entry, 0, min(n, len(found)))
	for i := range found[:min(n, len(found))] {
		entries = append(entries, found[i].Entry)
	}
	return entries, nil
}

// groupedEntry is an entry and the number of its group among those read together.
type groupedEntry struct {
	Entry `gorm:"embedded"`
	Grp   int
}

// sortGrouped puts what several reads found in order; an entry that two of them found stays once.
func sortGrouped(entries []groupedEntry, newestFirst bool) []groupedEntry {
	slices.SortFunc(entries, func(a, b groupedEntry) int {
		byID := bytes.Compare(a.ID[:], b.ID[:])
		if newestFirst {
			byID = -byID
		}
		return cmp.Or(cmp.Compare(a.Grp, b.Grp), byID)
	})
	return slices.CompactFunc(entries, func(a, b groupedEntry) bool { return a.ID == b.ID })
}

// idBounds is a range of entry IDs: from <= id < to, or after < id; zero values do not restrict.
type idBounds struct {
	from, to, after EntryID
}

// pass leaves out id and what was read before it.
func (b *idBounds) pass(id EntryID, newestFirst bool) {
	switch {
	case !newestFirst:
		b.after = id
	case b.to.IsZero() || bytes.Compare(id[:], b.to[:]) < 0:
		b.to = id
	}
}

// where is the range as SQL on the column id.
func (b idBounds) where() condition {
	c := condition{sql: "id >= ?", args: []any{b.from}}
	if !b.to.IsZero() {
		c.sql, c.args = c.sql+" AND id < ?", append(c.args, b.to)
	}
	if !b.after.IsZero() {
		c.sql, c.args = c.sql+" AND id > ?", append(c.args, b.after)
	}
	return c
}

// streamQuery asks for the first entries of a set of streams, group by group, by ID inside each.
type streamQuery struct {
	orgID       int64
	set         streamSet
	bounds      idBounds
	newestFirst bool
	limit       int
	columns     string
}

// order is the direction of IDs as SQL.
func (q streamQuery) order() string {
	if q.newestFirst {
		return "DESC"
	}
	return "ASC"
}

// where is what all streams have in common, as SQL on the entries.
func (q streamQuery) where() condition {
	all := condition{sql: "org_id = ?", args: []any{q.orgID}}
	for _, c := range append([]condition{q.bounds.where()}, q.set.conditions...) {
		all.sql, all.args = all.sql+" AND "+c.sql, append(all.args, c.args...)
	}
	return all
}

// SQLite takes 500 parts of a UNION, each of which repeats the values that all streams have in
// common, and 32,766 values in all.
const (
	maxStreams = 400
	maxValues  = 32_000
)

// streamsAtOnce is how many streams one statement reads.
func (q streamQuery) streamsAtOnce() int {
	each := len(q.set.columns) + 1 // the limit
	for _, value := range q.where().args {
		if list, ok := value.([]string); ok {
			each += len(list)
		} else {
			each++
		}
	}
	return max(1, min(maxStreams, maxValues/each))
}

// readStreams reads the first limit entries of a set of streams.
func (s *Store) readStreams(ctx context.Context, q streamQuery) ([]groupedEntry, error) {
	db := s.Reader(ctx)
	if len(q.set.columns) == 0 {
		where := q.where()
		var entries []groupedEntry
		err := db.Raw("SELECT "+q.columns+" FROM audit_entries WHERE "+where.sql+
			" ORDER BY id "+q.order()+" LIMIT ?", append(where.args, q.limit)...).Scan(&entries).Error
		return entries, err
	}
	var found []groupedEntry
	atOnce := q.streamsAtOnce()
	for part := range slices.Chunk(q.set.streams, atOnce) {
		sql, args := s.dialect.streamsSQL(q, part)
		var entries []groupedEntry
		if err := db.Raw(sql, args...).Scan(&entries).Error; err != nil {
			return nil, err
		}
		found = append(found, entries...)
	}
	if len(q.set.streams) > atOnce {
		found = sortGrouped(found, q.newestFirst)
	}
	return found[:min(len(found), q.limit)], nil
}

// namesOf lists the names under which the actors of a plan are known, where its streams need them.
func (s *Store) namesOf(ctx context.Context, p *entryPlan) ([]actorKey, error) {
	if len(p.query.Actors) == 0 || p.names != nil {
		return p.names, nil
	}
	needsNames := slices.ContainsFunc(p.selections, func(sel selection) bool {
		return slices.Contains(sel.indexColumns(p.query.Sort), "actor_key")
	})
	var names []actorKey
	if !needsNames {
		for _, id := range p.query.Actors {
			names = append(names, actorKey{ActorID: id})
		}
		return names, nil
	}
	err := s.Reader(ctx).Raw("SELECT DISTINCT actor_key, actor_id FROM audit_actors WHERE org_id = ? AND actor_id IN ?",
		p.org.ID, p.query.Actors).Scan(&names).Error
	if err != nil {
		return nil, fmt.Errorf("find the names of actors of %s: %w", p.org.Slug, err)
	}
	p.names = names
	return names, nil
}

// userGroups lists the next count names, in the order of the query, and who had them: those behind
// name, or name itself where the walk stopped within it.
func (s *Store) userGroups(ctx context.Context, p *entryPlan, name string, started, within bool, count int) ([]group, error) {
	names := func() *gorm.DB {
		db := s.Reader(ctx).Table("audit_actors").Where("org_id = ?", p.org.ID)
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
	case within:
		next = next.Where("actor_key = ?", name)
	case started:
		next = next.Where(beyond, name)
	}
	var pairs []actorKey
	err := names().Distinct("actor_key", "actor_id").Where("actor_key IN (?)", next).Order(order).Scan(&pairs).Error
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
	return groups, nil
}
