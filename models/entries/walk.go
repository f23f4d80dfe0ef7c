package entries

import (
	"context"
	"fmt"
	"slices"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/metadata"
)

// walk reads the entries that answer a query in its order, some at a time: group after group, and in each of
// them the first entries of its runs.
type walk struct {
	log     *Log
	plan    *plan
	columns string

	// What is read, merged: the runs of a selection in each group; runs that were found instead or besides, where
	// sorted by time; and what of them was gathered, where sorted otherwise.
	selection selection
	found     []runSet
	gathered  gathered

	at    place
	begun bool
	chunk int // how many groups are read together next
	done  bool

	// What is left of what a page may take; spent reports that the walk stopped for it.
	leftRuns, leftRows int
	spent              bool

	// Where not every entry of the runs answers: how many were looked through and how many of them did, how
	// many of those that SQL let through last did not; whether fewer runs were sought.
	looked, matched, dropped int
	sought                   bool

	// Whether the index of metadata was asked, and what it told: where sorted by time only these are read.
	asked      bool
	candidates *metadata.Candidates
}

// place is how far the walk is: behind the entry id of the group, or behind the whole group where id is zero. At
// the beginning nothing is set; at a cursor the group is but a value.
type place struct {
	group   group
	id      models.EntryID
	started bool
}

// walk begins at the cursor of the plan's query.
func (l *Log) walk(p *plan, columns string) *walk {
	w := &walk{log: l, plan: p, columns: columns, selection: p.base, chunk: 1}
	if cursor := p.query.Cursor; cursor != nil {
		w.at = place{group{value: cursor.Value}, cursor.ID, true}
	}
	return w
}

// next reads n entries, and takes no more than a page may; fewer only at the end, or where that is spent.
func (w *walk) next(ctx context.Context, n int) (entries []models.Entry, err error) {
	w.leftRuns, w.leftRows, w.spent = w.log.Limits.Runs, w.log.Limits.Rows, false
	if w.plan.looksAt(FieldMetadata) {
		w.leftRows /= wideRows
	}
	for err == nil && !w.done && !w.spent && len(entries) < n {
		var more []models.Entry
		switch {
		case !w.begun:
			err = w.beginOnBehalf(ctx)
		case w.candidates != nil:
			more, err = w.stepThrough(ctx, n-len(entries))
		case w.shouldAsk(n - len(entries)):
			err = w.ask(ctx)
		case w.shouldSeek(n - len(entries)):
			err = w.seek(ctx)
		default:
			more, err = w.step(ctx, n-len(entries))
		}
		entries = append(entries, more...)
	}
	if err == nil {
		err = w.readParts(ctx, entries)
	}
	for i := range entries {
		w.plan.org.Hidden.Strip(&entries[i])
	}
	if err != nil {
		return nil, fmt.Errorf("read entries of %s: %w", w.plan.org.Slug, err)
	}
	return entries, nil
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
	if len(groups) == 0 {
		w.spent = true
		return nil, nil
	}
	if w.plan.looksAt(FieldMetadata) { // of which no more is in memory at once
		n = min(n, w.most())
	}
	r := reading{
		orgID: w.plan.org.ID, span: w.ahead(), newestFirst: w.plan.query.newestFirst(), columns: w.columns,
		limit: max(n, min(4*w.dropped, w.most())),
	}
	var end *groupedEntry // up to where is read; nil for all
	if slices.ContainsFunc(sets, func(s runSet) bool { return !s.exact() }) {
		if end, err = w.look(ctx, r, sets); err != nil || w.spent {
			return nil, err
		}
	}
	switch {
	case end == nil:
	case end.group == 0:
		groups, r.span = groups[:1], r.span.through(end.ID, r.newestFirst)
	default: // the groups before its own are whole
		groups, end = groups[:end.group], nil
	}
	for i := range sets {
		sets[i] = sets[i].upTo(len(groups))
	}
	found, err := w.read(ctx, r, sets)
	if err != nil {
		return nil, err
	}
	if w.gathered != nil {
		gathered, err := w.readGathered(ctx, r, groups)
		if err != nil {
			return nil, err
		}
		found = r.sorted(append(found, gathered...))
	}
	if len(found) >= r.limit {
		found = found[:r.limit]
		end = &found[r.limit-1]
	}
	if err := w.readRelated(ctx, found); err != nil {
		return nil, err
	}
	return w.take(found, groups, end, n), nil
}

// wideRows is how many entries take as long to look through as one whose metadata is read.
const wideRows = 5

// most is how many entries are read at a time to be held against the words and the terms.
func (w *walk) most() int {
	if w.plan.looksAt(FieldMetadata) || slices.Contains(w.plan.query.Also, FieldMetadata) {
		return 100
	}
	return 1000
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
		if !w.plan.matches(&found[i].Entry) {
			continue
		}
		if matching = append(matching, found[i].Entry); len(matching) == n {
			end = &found[i]
			break
		}
	}
	if w.columns != exportColumns {
		w.plan.forget(matching)
	}
	w.matched += len(matching)
	w.dropped = len(found) - len(matching)
	w.leftRows -= len(found)
	w.spent = w.leftRows < 0 && len(matching) < n
	if end != nil {
		w.at, w.chunk = place{groups[end.group], end.ID, true}, 1
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
		w.at = place{group: groups[len(groups)-1], started: true}
		w.chunk = min(w.chunk*4, 64)
		w.done = w.plan.query.Sort == SortTimestamp
	case !w.at.id.IsZero():
		w.at.id = models.EntryID{}
	default:
		w.done = true
	}
}

// runSets are the runs of as many of the groups, from the first on, as may be begun. Those of a group with more
// than any page may begin are those of the log as it lies instead, and its filters conditions.
func (w *walk) runSets(groups []group) (sets []runSet, used []group) {
	p, most, began := w.plan, w.log.Limits.Runs, 0
	if len(p.words) > 0 && !w.selection.matched {
		// Each has to be looked through for the words: reading the log as it lies takes no longer than many.
		most = min(most, 64)
	}
	for _, set := range w.found {
		sets, began = append(sets, set), began+len(set.runs)
	}
	set := w.selected()
	for number, g := range groups {
		runs, few := p.runsOf(set.index, g, most)
		if number == 0 && (!few || began+len(runs) > most) {
			return []runSet{w.asItLies(g)}, groups[:1]
		}
		if began += len(runs); !few || began > min(most, w.leftRuns) {
			groups, began = groups[:number], began-len(runs)
			break
		}
		for _, values := range runs {
			set.runs = append(set.runs, run{number, values})
		}
	}
	w.leftRuns -= began
	if len(set.runs) > 0 {
		sets = append(sets, set)
	}
	return sets, groups
}

// selected is the runs of the selection, of no group yet.
func (w *walk) selected() runSet {
	index := w.selection.index(w.plan.query.Sort)
	set := runSet{index: index, operands: index.columns, where: w.plan.unless(index.columns)}
	if column := w.plan.sortedBeside(index); column != "" {
		set.operands = append(slices.Clone(index.columns), unindexed(column))
	}
	if w.selection.matched {
		set.where = set.where.and(w.selection.where)
	} else {
		set.where = set.where.and(w.log.wordsMatch(w.plan))
	}
	return set
}

// asItLies is the log in the order of time, of which a group is chosen by conditions.
func (w *walk) asItLies(g group) runSet {
	p := w.plan
	set := runSet{index: byTime, runs: []run{{}}, where: p.unless(nil).and(w.log.wordsMatch(p))}
	if column := p.sortedBeside(byTime); column != "" {
		set.where = set.where.and(condition{unindexed(column) + " = ?", []any{g.value}})
	}
	return set
}

// look finds out how far to read where only some of the entries answer, so that a statement never looks through
// more than it may: to where the first of the runs has given as many as each of them may, or to the end where
// none of them has.
func (w *walk) look(ctx context.Context, r reading, sets []runSet) (end *groupedEntry, err error) {
	runs := 0
	for _, set := range sets {
		runs += len(set.runs)
	}
	if w.spent = w.leftRows < runs; w.spent || runs == 0 {
		return nil, nil
	}
	first := w.log.Limits.FirstLook
	each := max(1, min(max(first, 2*w.looked, first/10*runs), w.leftRows)/runs)
	w.looked += each * runs
	w.leftRows -= each * runs
	w.leftRuns = max(0, w.leftRuns-runs)
	alone := make([]runSet, len(sets))
	for i, set := range sets {
		alone[i] = set.alone()
	}
	r.skip, r.limit, r.columns = each-1, 1, idColumn
	found, err := w.read(ctx, r, alone)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// read reads the first entries of some sets, in order.
func (w *walk) read(ctx context.Context, r reading, sets []runSet) (found []groupedEntry, err error) {
	for _, set := range sets {
		entries, err := w.log.read(ctx, r, set)
		if err != nil {
			return nil, err
		}
		found = append(found, entries...)
	}
	if len(sets) > 1 {
		found = r.sorted(found)
	}
	return found, nil
}
