package models

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
)

// A search is dense or sparse. A dense one, which many entries match, is answered soonest by reading
// entry after entry in the order of the query until the page is full: a scan. A sparse one is asked
// of the distinct kinds and of the distinct entities, which have an index of substrings, and what is
// found there is read through the indexes of the entries: a seek. Which one it is, a first short scan
// tells.

// searchEffort says how far each way is gone before the other one is tried.
type searchEffort struct {
	probe    int // entries that are read to begin with
	little   int // where no more than this many are left, reading them all is the quickest
	patience int // entries that are read at a time where seeking does not help
	sparse   int // matching entities that are sought one by one
	gathered int // matching entries that are sorted together, where the order is not that of time
}

// Reading one more entry takes half a microsecond, and two where those of an organization lie far apart;
// seeking those of one more entity takes ten.
var usualEffort = searchEffort{probe: 250, little: 1000, patience: 40_000, sparse: 2000, gathered: 2000}

// worthScanning is how many entries are read sooner than the index of entities in a log of that many:
// looking into that takes about as long as reading some thousands, and the longer the log, the longer its
// lists are.
func worthScanning(entries int) int { return 2000 + entries/500 }

// effort is what scanning may take. Where it follows an index other than that of time, every entry takes
// three times as long.
func (w *entryWalk) effort() searchEffort {
	effort := w.store.effort
	if len(w.plan.base.indexColumns(w.plan.query.Sort)) > 0 {
		effort.probe, effort.little, effort.patience = (effort.probe+2)/3, (effort.little+2)/3, (effort.patience+2)/3
	}
	return effort
}

// mostSeekAttempts is how often seeking is tried, with ten times the effort each time: where most of
// what matches is far away, scanning is not the quickest even for a search that is not sparse.
const mostSeekAttempts = 2

// search reads n entries that match the words, or a few more; fewer only at the end.
func (w *entryWalk) search(ctx context.Context, n int) ([]Entry, error) {
	var found []Entry
	for len(found) < n && !w.done {
		var more []Entry
		var err error
		need := n - len(found)
		switch {
		case w.gathered != nil:
			more, err = w.takeGathered(ctx, w.nextBatch(need))
		case w.selections != nil:
			more, err = w.stream(ctx, w.nextBatch(need))
		case w.scanned > 0 && !w.measured:
			err = w.measure(ctx)
		default:
			if atMost := w.scanStep(need); atMost > 0 {
				more, err = w.scan(ctx, atMost, need)
			} else {
				err = w.seek(ctx)
			}
		}
		if err != nil {
			return nil, err
		}
		found = append(found, slices.DeleteFunc(more, func(e Entry) bool { return !matchesAll(w.plan.words, &e) })...)
	}
	return found, nil
}

// nextBatch is how many of the entries that were sought are read next where need are still wanted: more
// each time, since an entity that matches may have been called otherwise for most of its entries.
func (w *entryWalk) nextBatch(need int) int {
	w.batch = max(need, min(w.batch*4, exportBatch))
	return w.batch
}

// scanStep is how many entries are read next where need are still wanted; zero where seeking should
// be tried first.
func (w *entryWalk) scanStep(need int) int {
	effort := w.effort()
	switch {
	case w.scanned == 0:
		return effort.probe
	case w.little:
		return effort.little
	case w.matched > 0:
		if expected := need * w.scanned / w.matched; expected <= w.worthwhile {
			return max(effort.probe, expected*5/4)
		}
	case w.plan.query.Sort == SortTimestamp && 2*w.scanned < w.worthwhile/8:
		return w.worthwhile / 8 // a long log is worth a second look
	}
	if w.attempts < mostSeekAttempts && w.scanned >= w.attempts*effort.patience {
		return 0
	}
	return effort.patience
}

// scan reads the next atMost entries in the order of the query, and answers at most n that match, as
// far as SQL can tell. The first scan goes on from where it began unless it finds n: there may be a
// better way than scanning.
func (w *entryWalk) scan(ctx context.Context, atMost, n int) ([]Entry, error) {
	groups, err := w.nextGroups(ctx)
	if err != nil || len(groups) == 0 {
		w.passGroups(groups)
		return nil, err
	}
	first := w.scanned == 0
	q := w.streamQuery(w.plan.base, groups)
	q.limit, q.scanned, q.placeless = n, atMost, first || w.little
	q.matching = w.store.wordsMatch(w.plan.words)
	found, end, err := w.store.scanStreams(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("search the entries of %s: %w", w.plan.org.Slug, err)
	}
	w.scanned += atMost
	w.matched += len(found)
	switch {
	case end != nil:
		w.resumeIn, w.resumeAt, w.started, w.chunk = groups[end.Grp].value, end.ID, true, 1
	case first:
		return nil, nil
	default:
		w.passGroups(groups)
	}
	return ungrouped(found), nil
}

// seek goes on by seeking where the search is sparse.
func (w *entryWalk) seek(ctx context.Context) error {
	effort := w.effort()
	sparse, gathered := effort.sparse, effort.gathered
	for range w.attempts {
		sparse, gathered = sparse*10, gathered*10
	}
	w.attempts++
	selections, found, err := w.store.seekSelections(ctx, w.plan, sparse)
	if err != nil || !found {
		return err
	}
	w.selections, w.done = selections, len(selections) == 0
	onlyEntities := !slices.ContainsFunc(selections, func(s selection) bool { return s.entities == nil })
	if w.plan.query.Sort == SortTimestamp || !onlyEntities || w.done {
		return nil
	}
	return w.gather(ctx, gathered)
}

// measure finds out how much there is to scan: little, or about how much.
func (w *entryWalk) measure(ctx context.Context) error {
	w.measured = true
	effort, plan := w.effort(), w.plan
	w.worthwhile = effort.patience
	if plan.query.Sort != SortTimestamp {
		return nil
	}
	groups, err := w.nextGroups(ctx)
	if err != nil {
		return err
	}
	q := w.streamQuery(plan.base, groups)
	w.little = true
	for part := range q.parts() {
		beyond, err := w.store.placeOf(ctx, q, part, effort.little+1)
		if err != nil {
			return err
		}
		if beyond == nil {
			continue
		}
		w.little = false
		// Those up to there take so much of the time that is asked for; the rest is taken to be alike.
		first, last := plan.from.Occurred(), w.store.Now()
		if !plan.to.IsZero() {
			last = plan.to.Occurred()
		}
		begin := last
		if !w.resumeAt.IsZero() {
			begin = w.resumeAt.Occurred()
		} else if !q.newestFirst {
			begin = first
		}
		share := float64(begin.Sub(beyond.ID.Occurred()).Abs()) / float64(max(1, last.Sub(first)))
		w.worthwhile = min(effort.patience, worthScanning(int(float64(effort.little)/max(share, 1e-6))))
	}
	return nil
}

// gather reads all that the selections let through, each of which is of single entities, as far as
// sorting needs it, and sorts it. Where there are more than atMost it leaves that to the streams.
func (w *entryWalk) gather(ctx context.Context, atMost int) error {
	plan := w.plan
	everyone := []group{{actors: plan.query.actors()}}
	all := []Entry{} // not nil: that nothing matches is known as well
	for _, selection := range w.selections {
		found, err := w.store.readStreams(ctx, streamQuery{
			orgID: plan.org.ID, set: selection.streamSet(SortTimestamp, everyone, nil),
			bounds: idBounds{from: plan.from, to: plan.to}, newestFirst: true, limit: atMost + 1, columns: sortColumns,
		})
		if err != nil {
			return fmt.Errorf("search the entries of %s: %w", plan.org.Slug, err)
		}
		if all = append(all, ungrouped(found)...); len(all) > atMost {
			return nil
		}
	}
	slices.SortFunc(all, w.compare)
	all = slices.CompactFunc(all, func(a, b Entry) bool { return a.ID == b.ID })
	w.gathered = slices.DeleteFunc(all, w.passed)
	return nil
}

// compare puts entries in the order in which the walk reads them.
func (w *entryWalk) compare(a, b Entry) int {
	q := w.plan.query
	byValue, byID := cmp.Compare(q.Sort.value(&a), q.Sort.value(&b)), bytes.Compare(a.ID[:], b.ID[:])
	if !q.groupsAscend() {
		byValue = -byValue
	}
	if q.newestFirst() {
		byID = -byID
	}
	return cmp.Or(byValue, byID)
}

// passed says that the walk is behind the entry already.
func (w *entryWalk) passed(e Entry) bool {
	if !w.started {
		return false
	}
	q := w.plan.query
	if byValue := cmp.Compare(q.Sort.value(&e), w.resumeIn); byValue != 0 {
		return byValue < 0 == q.groupsAscend()
	}
	if w.resumeAt.IsZero() {
		return true
	}
	byID := bytes.Compare(e.ID[:], w.resumeAt[:])
	return byID == 0 || byID > 0 == q.newestFirst()
}

// takeGathered reads the next n of the gathered entries.
func (w *entryWalk) takeGathered(ctx context.Context, n int) ([]Entry, error) {
	next := w.gathered[:min(n, len(w.gathered))]
	w.gathered = w.gathered[len(next):]
	w.done = len(w.gathered) == 0
	if len(next) == 0 {
		return nil, nil
	}
	ids := make([]EntryID, len(next))
	for i := range next {
		ids[i] = next[i].ID
	}
	among := w.store.dialect.idAmong(ids)
	entries, err := w.store.queryEntries(ctx, w.columns, condition{
		sql:  "SELECT 0, " + w.columns.sql + " FROM audit_entries WHERE org_id = ? AND " + among.sql,
		args: append([]any{w.plan.org.ID}, among.args...),
	})
	if err != nil {
		return nil, fmt.Errorf("read entries of %s: %w", w.plan.org.Slug, err)
	}
	found := ungrouped(entries)
	slices.SortFunc(found, w.compare)
	return found, nil
}

// soughtSelections is what findSelections answered.
type soughtSelections struct {
	atMost     int
	selections []selection
	found      bool
}

// seekSelections is findSelections, without asking again for what the plan knows.
func (s *Store) seekSelections(ctx context.Context, p *entryPlan, atMost int) (selections []selection, found bool, err error) {
	if p.sought == nil || p.sought.atMost != atMost {
		if selections, found, err = s.findSelections(ctx, p, atMost); err != nil {
			return nil, false, err
		}
		p.sought = &soughtSelections{atMost, selections, found}
	}
	return p.sought.selections, p.sought.found, nil
}

// findSelections finds which entries all words match without reading entries, or says that more than
// atMost entities match.
//
// Kinds that match all words by themselves are taken whole. For the others, the words that the kind
// leaves open must match the entity.
func (s *Store) findSelections(ctx context.Context, p *entryPlan, atMost int) (selections []selection, found bool, err error) {
	if p.base.entities != nil {
		return nil, false, nil
	}
	if err := s.kindsOf(ctx, p); err != nil {
		return nil, false, err
	}
	open := map[uint64][]Kind{} // by the words they leave open
	for _, kind := range p.restrictedKinds() {
		mask := unmatchedBy(p.words, kind)
		open[mask] = append(open[mask], kind)
	}
	selections = []selection{} // not nil: nothing found is an answer
	for mask, kinds := range open {
		sought := selection{kinds: kinds, actors: p.base.actors}
		if len(kinds) == len(p.kinds) {
			sought.kinds = nil
		}
		if mask != 0 {
			sought.entities, err = s.matchEntities(ctx, p, wordsOf(p.words, mask), kinds, atMost)
			if err != nil || len(sought.entities) > atMost {
				return nil, false, err
			}
		}
		if mask == 0 || len(sought.entities) > 0 {
			selections = append(selections, sought)
		}
	}
	return selections, true, nil
}

// wordsOf are the words of a mask of unmatchedBy.
func wordsOf(words []searchWord, mask uint64) []searchWord {
	var chosen []searchWord
	for i, word := range words {
		if mask&(1<<i) != 0 { // never for the words a mask has no room for
			chosen = append(chosen, word)
		}
	}
	return chosen
}

// matchEntities lists the resources of the types of kinds that match all words; more than atMost
// where there are more.
func (s *Store) matchEntities(ctx context.Context, p *entryPlan, words []searchWord, kinds []Kind, atMost int) ([]entityKey, error) {
	var long, short []string
	for _, word := range words {
		if word.short {
			short = append(short, word.text)
		} else {
			long = append(long, word.text)
		}
	}
	matching := s.dialect.entitiesContaining(p.org.ID, long)
	if len(long) == 0 {
		matching = entitiesBeginning(p.org.ID, short[0])
	}
	// Without DISTINCT: it would have to find every match before it gives the first.
	sql := "SELECT entity_type, entity_id FROM " + matching.sql + " AND month >= ? AND entity_type IN ?"
	args := append(matching.args, MonthOf(MicrosOf(p.from.Occurred())), project(kinds, Kind.entityType))
	if !p.to.IsZero() {
		sql += " AND month <= ?"
		args = append(args, MonthOf(MicrosOf(p.to.Occurred())))
	}
	for _, word := range short {
		sql += " AND (id_key >= ? AND id_key < ? OR name_key >= ? AND name_key < ?)"
		args = append(args, word, beyond(word), word, beyond(word))
	}
	// An entity has a row for each month it was seen in.
	rows, err := s.queryEntities(ctx, condition{sql + " LIMIT ?", append(args, atMost+1)})
	if err != nil {
		return nil, fmt.Errorf("search the entities of %s: %w", p.org.Slug, err)
	}
	if len(rows) > atMost {
		return rows, nil
	}
	slices.SortFunc(rows, func(a, b entityKey) int {
		return cmp.Or(cmp.Compare(a.EntityType, b.EntityType), cmp.Compare(a.EntityID, b.EntityID))
	})
	return slices.Compact(rows), nil
}

// queryEntities runs a statement that answers with entities.
func (s *Store) queryEntities(ctx context.Context, statement condition) ([]entityKey, error) {
	rows, err := s.LogReader(ctx).Raw(statement.sql, statement.args...).Rows()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var entities []entityKey
	for rows.Next() {
		var entity entityKey
		if err := rows.Scan(&entity.EntityType, &entity.EntityID); err != nil {
			return nil, err
		}
		entities = append(entities, entity)
	}
	return entities, rows.Err()
}

// entitiesBeginning is the table of the entities whose ID or name begins with text, as entitiesContaining
// is. Those of which both do are in it twice: with OR instead, either database may look through all.
func entitiesBeginning(orgID int64, text string) condition {
	const one = "SELECT * FROM audit_entities WHERE org_id = ? AND "
	return condition{
		sql:  "(" + one + "id_key >= ? AND id_key < ? UNION ALL " + one + "name_key >= ? AND name_key < ?) AS found WHERE org_id = ?",
		args: []any{orgID, text, beyond(text), orgID, text, beyond(text), orgID},
	}
}

// beyond is behind every text that begins with text, by code point.
func beyond(text string) string { return text + "\U0010FFFF" }
