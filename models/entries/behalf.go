package entries

import (
	"context"
	"fmt"
	"slices"
)

// Who asks for an actor is answered with what others did on their behalf, too. Those entries are in the index of
// audit_on_behalf_of, whose runs are merged with the actor's own by time. In other orders they are gathered beside
// those or, where they are too many, the entries of everybody are looked through.

// onBehalf is the runs of the entries that were done on behalf of the actors asked for; nil where there are none.
func (l *Log) onBehalf(ctx context.Context, p *plan) (*runSet, error) {
	set := runSet{index: byPrincipal, operands: byPrincipal.columns}
	for _, actor := range p.query.Actors {
		set.runs = append(set.runs, run{0, []string{actor}})
	}
	any, err := l.read(ctx, reading{orgID: p.org.ID, span: p.span, limit: 1, anyOrder: true, columns: idColumn}, set)
	if err != nil {
		return nil, fmt.Errorf("look for what was done on behalf of others: %w", err)
	}
	if len(any) == 0 {
		return nil, nil
	}
	return &set, nil
}

// beginOnBehalf has the walk read what was done on behalf of the actors asked for beside what they did.
func (w *walk) beginOnBehalf(ctx context.Context) error {
	p := w.plan
	w.begun = true
	if p.behalf == nil || !p.base.byActor {
		return nil
	}
	if p.query.Sort == SortTimestamp {
		w.found = []runSet{*p.behalf}
		return nil
	}
	if few, err := w.gather(ctx, *p.behalf); few || err != nil {
		return err
	}
	p.base.byActor = false
	i := slices.IndexFunc(p.filters, func(f filter) bool { return f.column == "actor_id" })
	p.filters[i].column = "" // the index by user does not tell
	w.selection = p.base
	return nil
}
