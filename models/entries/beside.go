package entries

import (
	"context"

	"github.com/auditlogs/auditlogs/models"
)

// What few entries have stands in tables beside them: their related resources, and on whose behalf their actors acted.
// An entry is part of the history of each of those resources and found by its ID and name, and who asks for an actor is
// answered with what others did on their behalf. The tables have runs of their own, by resource and by actor.

// beside is the condition that such a table has a row of an entry, called part, that fulfils another.
func (p *plan) beside(table string, fulfils condition) condition {
	return condition{"parts > 0 AND (SELECT true FROM " + table + " AS part WHERE part.org_id = ?" +
		" AND part.entry_id = audit_entries.id AND " + fulfils.sql + " LIMIT 1)", append([]any{p.org.ID}, fulfils.args...)}
}

// beginOnBehalf has the walk read what was done on behalf of the actors asked for beside what they did themselves:
// merged by time, and in other orders gathered or, where that is too many, by looking through everybody's entries.
func (w *walk) beginOnBehalf(ctx context.Context) error {
	p := w.plan
	w.begun = true
	if len(p.behalf.runs) == 0 {
		return nil
	}
	one := reading{orgID: p.org.ID, span: p.span, limit: 1, anyOrder: true, columns: idColumn}
	switch some, err := w.log.read(ctx, one, p.behalf.alone()); {
	case err != nil:
		return err
	case len(some) == 0:
		p.behalf.runs = nil
		return nil
	case p.query.Sort == SortTimestamp:
		w.found = []runSet{p.behalf}
		return nil
	}
	few, err := w.gather(ctx, p.behalf)
	if err == nil && !few {
		p.base.byActor, p.behalf.runs = false, nil
		w.selection = p.base
	}
	return err
}

// readRelated reads what stands beside those entries whose own resource does not match the words or, where terms look at
// it, all of them.
func (w *walk) readRelated(ctx context.Context, found []groupedEntry) error {
	var unmatched []*models.Entry
	for i := range found {
		if e := &found[i].Entry; w.plan.looksBeside() || !matchesAll(w.plan.words, e) {
			unmatched = append(unmatched, e)
		}
	}
	return models.ReadParts(ctx, w.log.LogReader(ctx), w.plan.org.ID, unmatched...)
}

// readParts reads what stands beside entries, where readRelated has not.
func (w *walk) readParts(ctx context.Context, entries []models.Entry) error {
	all := make([]*models.Entry, len(entries))
	for i := range entries {
		all[i] = &entries[i]
	}
	return models.ReadParts(ctx, w.log.LogReader(ctx), w.plan.org.ID, all...)
}
