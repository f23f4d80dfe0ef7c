package entries

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/auditlogs/auditlogs/models"
)

// A search is dense or sparse. A dense one, which many entries match, is answered soonest by reading
// entry after entry in the order of the query until the page is full: a scan. A sparse one is asked
// of the distinct kinds and of the distinct entities, which have an index of substrings, and what is
// found there is read through the indexes of the entries: a seek. Which one it is, a first short scan
// tells.

// searchEffort says how far each way is gone before the other one is tried.
type searchEffort struct {
	probe    int // entries that are read to begin with
	look     int // entries that are looked through at least where hardly any of those matched
	patience int // entries that are read at a time where seeking does not help
	few      int // entities of an organization that may be compared one by one
	sparse   int // matching entities that are sought one by one; no more than a page may begin runs
	gathered int // matching entries that are sorted together, where the order is not that of time
}

// Reading one more entry takes half a microsecond, and two where those of an organization lie far apart;
// seeking those of one more entity takes ten.
// How far to look differs: see dialect.look.
var usualEffort = searchEffort{probe: 250, patience: 40_000, few: 500, sparse: 2000, gathered: 10_000}

// seekingTakes is how many entries are scanned in the time that seeking takes in a log of that many, for a
// search that both find as soon. Asking for what is sought takes as long as scanning a thousand. The rest
// grows with what matches, which is what scanning is divided by: so they meet at a square root.
func seekingTakes(entries float64) int { return 1000 + int(8*math.Sqrt(entries)) }

// effort is what scanning may take. Where it follows an index other than that of time, every entry takes
// three times as long.
func (w *entryWalk) effort() searchEffort {
	effort := w.store.effort
	if len(w.plan.base.indexColumns(w.plan.query.Sort)) > 0 {
		effort.probe, effort.look, effort.patience = (effort.probe+2)/3, (effort.look+2)/3, (effort.patience+2)/3
	}
	return effort
}

// search reads n entries that match the words, or a few more; fewer only at the end, or where the walk is
// spent.
func (w *entryWalk) search(ctx context.Context, n int) ([]models.Entry, error) {
	var found []models.Entry
	for len(found) < n && !w.done && !w.spent {
		var more []models.Entry
		var err error
		need := n - len(found)
		switch {
		case w.gathered != nil:
			more, err = w.takeGathered(ctx, w.nextBatch(need))
			more = w.matching(more)
		case w.selections != nil:
			more, err = w.stream(ctx, w.nextBatch(need))
			more = w.matching(more)
		default:
			more, err = w.scanOrSeek(ctx, need)
		}
		if err != nil {
			return nil, err
		}
		found = joined(found, more)
	}
	return found, nil
}

// matching leaves out those that do not match the words. SQL is generous.
func (w *entryWalk) matching(entries []models.Entry) []models.Entry {
	return slices.DeleteFunc(entries, func(e models.Entry) bool { return !matchesAll(w.plan.words, &e) })
}

// nextBatch is how many of the entries that were sought are read next where need are still wanted: more
// each time, since an entity that matches may have been called otherwise for most of its entries.
func (w *entryWalk) nextBatch(need int) int {
	w.batch = max(need, min(w.batch*4, exportBatch))
	return w.batch
}

// fewMatches are too few to tell from how long scanning will take.
const fewMatches = 4

// scanOrSeek goes on towards the next n entries that match, in the way that is the quickest as far as what
// was scanned tells.
func (w *entryWalk) scanOrSeek(ctx context.Context, n int) ([]models.Entry, error) {
	effort := w.effort()
	if w.scanned == 0 {
		return w.scan(ctx, effort.probe, n)
	}
	// As many as are to be expected or, where that cannot be told, if all goes well.
	expected := n * w.scanned / max(w.matched, 1)
	if w.matched < fewMatches {
		expected = n * w.scanned / (w.matched + 2)
	}
	worthwhile, err := w.worthScanning(ctx, expected)
	switch {
	case err != nil:
		return nil, err
	case worthwhile && w.matched >= fewMatches:
		// Where there are suddenly none any more, in steps that grow: it ends with the last one wanted.
		return w.scan(ctx, max(effort.probe, expected*5/4, w.scanned/2), n)
	case worthwhile && w.plan.query.Sort == SortTimestamp:
		look := 4 * w.scanned
		if w.worthwhile > 0 {
			// No more than tell that it is not worth while, should none of them match.
			look = min(look, (w.matched+2)*(w.worthwhile+1)/n+1-w.scanned)
		}
		return w.scan(ctx, max(effort.look, look), n)
	case !w.sought:
		return nil, w.seek(ctx)
	default:
		return w.scan(ctx, effort.patience, n)
	}
}

// scan reads the next atMost entries in the order of the query, and answers at most n that match. The
// first of the whole log may go on from where it began unless it finds n: there may be a better way than
// scanning.
func (w *entryWalk) scan(ctx context.Context, atMost, n int) ([]models.Entry, error) {
	groups, err := w.nextGroups(ctx)
	if err != nil || len(groups) == 0 {
		w.passGroups(groups)
		return nil, err
	}
	q, groups, err := w.scanQuery(ctx, groups)
	if err != nil {
		return nil, err
	}
	ends := w.lookEnds
	if atMost != w.effort().look {
		ends = nil
	}
	w.lookEnds = nil
	// Each of the streams may have to be read as far as all of them.
	streams := max(1, len(q.set.streams))
	atMost = max(1, min(atMost, w.store.bound.rows/streams))
	if w.bounded {
		if w.left.rows < streams {
			w.spent = true
			return nil, nil
		}
		atMost = min(atMost, w.left.rows/streams)
		w.left.rows -= atMost * streams
	}
	q.limit, q.scanned = n, atMost
	q.placeless = w.scanned == 0 && q.whole() && !w.store.dialect.endsFirst() && (!w.bounded || w.left.rows >= atMost)
	if ends != nil {
		q.scanned = 0
		q.bounds.endAt(ends.ID, q.newestFirst)
	}
	found, end, err := w.store.scanStreams(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("search the entries of %s: %w", w.plan.org.Slug, err)
	}
	if end == nil {
		end = ends
	}
	entries := w.matching(ungrouped(found))
	w.scanned += atMost
	w.matched += len(entries)
	switch {
	case end != nil:
		w.resumeIn, w.resumeAt, w.started, w.chunk = groups[end.Grp].value, end.ID, true, 1
	case q.placeless:
		return nil, nil
	default:
		w.passGroups(groups)
	}
	return entries, nil
}

// seek goes on by seeking where the search is sparse.
func (w *entryWalk) seek(ctx context.Context) error {
	w.sought = true
	effort := w.effort()
	selections, found, err := w.store.seekSelections(ctx, w.plan, effort.sparse)
	if err != nil || !found {
		return err
	}
	onlyEntities := !slices.ContainsFunc(selections, func(s selection) bool { return s.entities == nil })
	if len(selections) == 0 {
		w.selections, w.done = selections, true
		return nil
	}
	if w.plan.query.Sort != SortTimestamp && onlyEntities {
		if err := w.gather(ctx, selections, effort.gathered); err != nil || w.gathered != nil {
			return err
		}
	}
	groups, err := w.nextGroups(ctx)
	if err != nil || len(groups) == 0 {
		return err
	}
	most := w.store.bound.runs
	if w.bounded {
		most = w.left.runs
	}
	if w.plan.query.Sort != SortTimestamp {
		most = min(most, scannedTogether) // again for each of the values of the sorted column
	}
	if w.runs(selections, groups[0]) <= most {
		w.selections = selections
	}
	return nil
}

// worthScanning says that scanning so many entries is quicker than to seek.
func (w *entryWalk) worthScanning(ctx context.Context, entries int) (bool, error) {
	if w.worthwhile == 0 && entries > seekingTakes(0) {
		if err := w.measure(ctx); err != nil {
			return false, err
		}
	}
	return entries <= max(w.worthwhile, min(seekingTakes(0), w.effort().patience)), nil
}

// measure finds out about how much there is to scan.
func (w *entryWalk) measure(ctx context.Context) error {
	effort, plan := w.effort(), w.plan
	w.worthwhile = effort.patience
	if plan.query.Sort != SortTimestamp {
		return nil
	}
	groups, err := w.nextGroups(ctx)
	if err != nil {
		return err
	}
	q, _, err := w.scanQuery(ctx, groups)
	if err != nil {
		return err
	}
	entries := 0.0
	for part := range q.parts() {
		place, err := w.store.placeOf(ctx, q, part, effort.look)
		if err != nil {
			return err
		}
		if q.whole() {
			w.lookEnds = place
		}
		entries += w.restBeyond(place, effort.look)
	}
	w.worthwhile = min(effort.patience, seekingTakes(entries))
	return nil
}

// restBeyond is about how many entries the walk has before it, of which the n-th is at place; nil where
// there are fewer.
func (w *entryWalk) restBeyond(place *groupedEntry, n int) float64 {
	if place == nil {
		return float64(n)
	}
	// Those up to there take so much of the time that is asked for; the rest is taken to be alike.
	first, last := w.plan.from.Occurred(), w.store.Now()
	if !w.plan.to.IsZero() {
		last = w.plan.to.Occurred()
	}
	begin := last
	switch {
	case !w.resumeAt.IsZero():
		begin = w.resumeAt.Occurred()
	case !w.plan.query.newestFirst():
		begin = first
	}
	share := float64(begin.Sub(place.ID.Occurred()).Abs()) / float64(max(1, last.Sub(first)))
	return float64(n) / max(share, 1e-6)
}

// gather reads all that the selections let through, each of which is of single entities, as far as
// sorting needs it, and sorts it. Where there are more than atMost it gathers none.
func (w *entryWalk) gather(ctx context.Context, selections []selection, atMost int) error {
	plan := w.plan
	everyone := []group{{actors: plan.query.actors()}}
	all := []models.Entry{} // not nil: that nothing matches is known as well
	for _, selection := range selections {
		found, err := w.store.readStreams(ctx, streamQuery{
			orgID: plan.org.ID, set: selection.streamSet(SortTimestamp, everyone, nil),
			bounds: idBounds{from: plan.from, to: plan.to}, newestFirst: true, limit: atMost + 1, anyOrder: true, columns: sortColumns,
		})
		if err != nil {
			return fmt.Errorf("search the entries of %s: %w", plan.org.Slug, err)
		}
		if all = append(all, ungrouped(found)...); len(all) > atMost {
			return nil
		}
	}
	slices.SortFunc(all, w.compare)
	all = slices.CompactFunc(all, func(a, b models.Entry) bool { return a.ID == b.ID })
	w.gathered = slices.DeleteFunc(all, w.passed)
	return nil
}

// compare puts entries in the order in which the walk reads them.
func (w *entryWalk) compare(a, b models.Entry) int {
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
func (w *entryWalk) passed(e models.Entry) bool {
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
func (w *entryWalk) takeGathered(ctx context.Context, n int) ([]models.Entry, error) {
	next := w.gathered[:min(n, len(w.gathered))]
	w.gathered = w.gathered[len(next):]
	w.done = len(w.gathered) == 0
	if len(next) == 0 {
		return nil, nil
	}
	ids := make([]models.EntryID, len(next))
	for i := range next {
		ids[i] = next[i].ID
	}
	among := w.store.dialect.idAmong(ids)
	entries, err := w.store.queryEntries(ctx, w.columns, len(ids), condition{
		sql:  "SELECT 0, FALSE, " + w.columns.sql + " FROM audit_entries WHERE org_id = ? AND " + among.sql,
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
func (s *Log) seekSelections(ctx context.Context, p *entryPlan, atMost int) (selections []selection, found bool, err error) {
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
func (s *Log) findSelections(ctx context.Context, p *entryPlan, atMost int) (selections []selection, found bool, err error) {
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
func (s *Log) matchEntities(ctx context.Context, p *entryPlan, words []searchWord, kinds []Kind, atMost int) ([]entityKey, error) {
	var long, short []string
	for _, word := range words {
		if word.short {
			short = append(short, word.text)
		} else {
			long = append(long, word.text)
		}
	}
	matching := s.dialect.entitiesContaining(p.org.ID, long, s.effort.few)
	if len(long) == 0 {
		matching = entitiesBeginning(p.org.ID, short[0])
	}
	// Without DISTINCT: it would have to find every match before it gives the first.
	sql := "SELECT entity_type, entity_id FROM " + matching.sql + " AND month >= ? AND entity_type IN ?"
	args := append(matching.args, models.MonthOf(models.MicrosOf(p.from.Occurred())), project(kinds, Kind.entityType))
	if !p.to.IsZero() {
		sql += " AND month <= ?"
		args = append(args, models.MonthOf(models.MicrosOf(p.to.Occurred())))
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
func (s *Log) queryEntities(ctx context.Context, statement condition) ([]entityKey, error) {
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
