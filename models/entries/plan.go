package entries

import (
	"context"
	"slices"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/models"
)

// plan is how a query is answered.
type plan struct {
	query Query
	org   models.Organization
	span  span     // of IDs that may answer
	words []string // of the search, folded
	terms []matcher
	// excluded are actions that terms let nothing through of.
	excluded []string
	filters  []filter
	// kinds is every kind of the log, once something has needed them: the values of a sorted column, what
	// "deployment:*" stands for, words that actions hold.
	kinds   []Kind
	actions []string   // those asked for, one by one
	native  condition  // that entries are of the native actions asked for, where those stand under other actions
	base    selection  // what the filters let through that the indexes of the sorts know
	narrow  []runSet   // all entries of the resource or the provenance asked for; nil without
	behalf  runSet     // those done on behalf of the actors asked for; without runs once it turns out that there are none
	actors  []actorKey // those asked for; with the names they had where runs of the index by user are read
}

// plan decides how to answer q.
func (l *Log) plan(ctx context.Context, org models.Organization, q Query) (*plan, error) {
	if err := Allowed(org, q); err != nil {
		return nil, err
	}
	p := &plan{
		query: q, org: org, kinds: q.Kinds, words: searchWords(q.Search), actions: q.Actions,
		span: span{models.FirstEntryID(max(org.KeptSince(l.Now()), q.From)), lastID},
	}
	for _, term := range q.Terms {
		p.terms = append(p.terms, term.matcher())
	}
	if q.To != 0 {
		p.span.to = models.FirstEntryID(q.To)
	}
	if err := l.findByTerms(ctx, p); err != nil {
		return nil, err
	}
	q = p.query
	if err := l.askActions(ctx, p); err != nil {
		return nil, err
	}
	p.base.byActor = len(q.Actors) > 0
	p.divide()
	p.filters = append(p.listFilters(), l.mayPass(p)...)
	p.narrow = l.narrowed(p)
	if p.base.byActor && !p.base.none() && !q.oneResource() {
		p.behalf = byPrincipal.runs(p.unless(byPrincipal.columns).and(l.wordsMatch(p)))
		for _, actor := range q.Actors {
			p.behalf.runs = append(p.behalf.runs, run{0, []string{actor}})
		}
	}
	if q.Sort == SortTimestamp && !q.oneResource() && p.base.index(q.Sort) == byUser {
		actors, err := l.actorKeys(ctx, p, condition{})
		p.actors = actors
		return p, err
	}
	for _, id := range q.Actors {
		p.actors = append(p.actors, actorKey{ActorID: id})
	}
	return p, nil
}

// askActions finds out which kinds the filters on actions and types let through.
func (l *Log) askActions(ctx context.Context, p *plan) (err error) {
	q := p.query
	anyVerb := slices.ContainsFunc(q.Actions, func(action string) bool { return strings.HasSuffix(action, AnyVerb) })
	typed := q.Sort == SortEntityType || q.EntityType != "" && q.EntityID == ""
	if p.kinds == nil && (anyVerb || typed || p.looksAt(FieldAction) || q.Sort == SortAction && len(q.Actions) == 0) {
		if p.kinds, err = l.Kinds(ctx, p.org); err != nil {
			return err
		}
	}
	if err := l.askTerms(ctx, p); err != nil {
		return err
	}
	if err := l.askNatives(ctx, p); err != nil {
		return err
	}
	switch {
	case anyVerb, p.restricts(), typed && (len(q.Actions) > 0 || q.EntityType != ""):
		if p.base.kinds = p.asked(); len(q.Actions) > 0 {
			p.actions = project(p.base.kinds, func(k Kind) string { return k.Action })
		}
	case len(q.Actions) > 0:
		p.base.kinds = []Kind{} // not nil: that would be all
		for _, action := range p.actions {
			p.base.kinds = append(p.base.kinds, Kind{Action: action})
		}
	}
	return nil
}

// oneResource reports whether the answer is a part of one resource's history, in its order.
func (q Query) oneResource() bool { return q.EntityID != "" && q.Sort == SortTimestamp }

// divide makes one of the filters a condition on the entries of fewer runs, where filters and the values of the
// sorted column multiply to more runs than are worth beginning.
func (p *plan) divide() {
	const most, users = 1000, 60 // users that a page goes through, where it is not known how many there are
	kinds, actors := len(p.base.kinds), len(p.query.Actors)
	if p.base.kinds == nil {
		kinds = len(p.kinds)
	}
	switch p.query.Sort {
	case SortUser:
		if kinds*max(actors, users) > most {
			p.base.kinds = nil
		}
	case SortAction, SortEntityType:
		p.base.byActor = p.base.byActor && kinds*actors <= most
	}
}

// asked are the kinds that the filters let through. They are not nil, which would be all.
func (p *plan) asked() []Kind {
	q := p.query
	return slices.DeleteFunc(append([]Kind{}, p.kinds...), func(k Kind) bool {
		return q.EntityType != "" && q.EntityID == "" && k.EntityType != q.EntityType ||
			len(q.Actions) > 0 && !p.asks(k.Action)
	})
}

// asks reports whether an action is among those asked for.
func (p *plan) asks(action string) bool {
	return slices.ContainsFunc(p.actions, func(asked string) bool {
		entity, any := strings.CutSuffix(asked, AnyVerb)
		return asked == action || any && strings.HasPrefix(action, entity+":")
	})
}

// filter lets entries through that fulfil a condition on a column.
type filter struct {
	column string
	is     condition
}

// among lets entries through that have one of some values in a column.
func among(column string, values ...string) filter {
	return filter{column, condition{unindexed(column) + " IN ?", []any{values}}}
}

// Allowed returns a *models.HiddenError where a question names what its asker may not see.
func Allowed(org models.Organization, q Query) error {
	for _, action := range q.Actions {
		if org.Hidden.HidesAction(action) {
			return &models.HiddenError{What: action}
		}
	}
	if slices.Contains(q.Also, FieldMetadata) && org.Hidden.HidesMetadata() {
		return &models.HiddenError{What: "metadata"}
	}
	for _, term := range q.Terms {
		switch term.Field {
		case FieldMetadata:
			if org.Hidden.HidesMetadata() { // whether it holds would tell what is in it
				return &models.HiddenError{What: "metadata"}
			}
		case FieldAction:
			for _, action := range term.Values {
				if org.Hidden.HidesAction(action) {
					return &models.HiddenError{What: action}
				}
			}
		}
	}
	return nil
}

// listFilters are what the query asks for besides words and times.
func (p *plan) listFilters() (all []filter) {
	q := p.query
	if shows, args := p.org.Hidden.Shows("audit_entries"); shows != "" {
		all = append(all, filter{is: condition{strings.TrimPrefix(shows, " AND "), args}})
	}
	if len(p.actions) > 0 {
		all = append(all, among("action", p.actions...))
	}
	if len(q.Actors) > 0 {
		all = append(all, among("actor_id", q.Actors...).or(
			p.beside("audit_on_behalf_of", condition{unindexed("part.actor_id") + " IN ?", []any{q.Actors}})))
	}
	if len(q.Outcomes) > 0 {
		var stored []string
		for _, outcome := range q.Outcomes {
			if outcome == event.OutcomeSuccess {
				outcome = ""
			}
			stored = append(stored, string(outcome))
		}
		all = append(all, among("outcome", stored...))
	}
	if q.EntityID != "" {
		of := []any{q.EntityType, q.EntityID}
		own := filter{"entity_id", condition{unindexed("entity_type") + " = ? AND " + unindexed("entity_id") + " = ?", of}}
		all = append(all, own.or(p.beside("audit_related",
			condition{unindexed("part.entity_type") + " = ? AND " + unindexed("part.entity_id") + " = ?", of})))
	} else if q.EntityType != "" {
		all = append(all, among("entity_type", q.EntityType))
	}
	for _, by := range byProvenance {
		if value := by.value(q); value != "" {
			all = append(all, among(by.column, value))
		}
	}
	return all
}

// or lets entries through that fulfil another condition, too.
func (f filter) or(other condition) filter {
	return filter{f.column, f.is.or(other)}
}

// unless are the conditions of the filters on other columns than these, of which runs have values asked for; in those
// of everybody the filter on actors is one, too.
func (p *plan) unless(columns []string) condition {
	all := p.native
	for _, f := range p.filters {
		if !slices.Contains(columns, f.column) || f.column == "actor_id" && !p.base.byActor {
			all = all.and(f.is)
		}
	}
	return all
}
