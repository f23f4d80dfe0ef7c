package entries

import (
	"context"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/metadata"
)

// Terms on metadata are looked for in an index of it (package metadata), which answers with entries that may pass. Each of
// these is read and held against the whole question.

// indexed are the values of the terms that the index of metadata can tell something of.
func (p *plan) indexed() (terms [][][]string) {
	for _, m := range p.terms {
		var values [][]string
		for _, folded := range m.folded {
			values = append(values, folded)
		}
		if m.Field == FieldMetadata && !m.Not && metadata.Indexable(values) {
			terms = append(terms, values)
		}
	}
	return terms
}

// shouldAsk reports whether the next n entries are found sooner by asking the index of metadata.
func (w *walk) shouldAsk(n int) bool {
	return !w.asked && w.looked > 0 && !w.selection.none() && w.plan.looksAt(FieldMetadata) &&
		n*w.looked*wideRows/(w.matched+1) > w.log.Limits.Worthwhile
}

// ask asks the index of metadata. In other orders than that of time what it answers is gathered, where that is few.
func (w *walk) ask(ctx context.Context) error {
	p := w.plan
	w.asked = true
	q := metadata.Question{Terms: p.indexed(), From: p.span.from, To: p.span.to, NewestFirst: p.query.newestFirst(), Most: w.log.Limits.Gathered}
	if len(q.Terms) == 0 {
		return nil
	}
	byTime := p.query.Sort == SortTimestamp
	if byTime {
		ahead := w.ahead()
		q.From, q.To, q.Most = ahead.from, ahead.to, max(w.leftRows, w.most())
	}
	found, worthwhile, err := metadata.Find(ctx, w.log.Store, p.org, q)
	switch {
	case err != nil || !worthwhile || !byTime && !found.All:
		return err
	case byTime:
		w.candidates = &found
		return nil
	}
	w.gathered = gathered{}
	for len(found.IDs) > 0 {
		some, err := w.readCandidates(ctx, &found, sortColumns)
		if err != nil {
			return err
		}
		for _, e := range some {
			value := p.query.Sort.value(&e.Entry)
			w.gathered[value] = append(w.gathered[value], e.ID)
		}
	}
	w.selection, w.found, w.sought = selection{kinds: []Kind{}, byActor: p.base.byActor, matched: true}, nil, true
	return nil
}

// readCandidates reads the next of some candidates that SQL lets through, in their order.
func (w *walk) readCandidates(ctx context.Context, left *metadata.Candidates, columns string) ([]groupedEntry, error) {
	p := w.plan
	n := min(len(left.IDs), w.most())
	some := left.IDs[:n]
	left.IDs = left.IDs[n:]
	found, err := w.log.query(ctx, columns, w.log.dialect.among(p.org.ID, some, columns, p.unless(nil).and(w.log.wordsMatch(p))))
	return reading{newestFirst: p.query.newestFirst()}.sorted(found), err
}

// stepThrough reads candidates as step does the log as it lies.
func (w *walk) stepThrough(ctx context.Context, n int) ([]models.Entry, error) {
	c := w.candidates
	if len(c.IDs) == 0 {
		if w.done = c.All; !w.done {
			w.at = place{id: next(c.Until), started: true}
			if !w.plan.query.newestFirst() {
				w.at.id = previous(c.Until)
			}
			w.candidates, w.asked = nil, false // which are found next
			w.leftRows -= w.most()
			w.spent = w.leftRows < 0
		}
		return nil, nil
	}
	before := c.IDs
	found, err := w.readCandidates(ctx, c, w.columns)
	if err != nil {
		return nil, err
	}
	read := before[:len(before)-len(c.IDs)]
	w.leftRows -= len(read) - len(found)
	if err := w.readRelated(ctx, found); err != nil {
		return nil, err
	}
	matching := w.take(found, []group{{}}, &groupedEntry{Entry: models.Entry{ID: read[len(read)-1]}}, n)
	if last := len(matching); last == n {
		c.IDs = before // those behind it are still to be read
		for len(c.IDs) > 0 && c.IDs[0] != matching[last-1].ID {
			c.IDs = c.IDs[1:]
		}
		c.IDs = c.IDs[1:]
	}
	return matching, nil
}
