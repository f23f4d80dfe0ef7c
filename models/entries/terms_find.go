package entries

import (
	"context"
	"fmt"
	"strings"

	"github.com/auditlogs/auditlogs/models"
)

// Some terms tell where the entries are that they let through: with users, and with the IDs and names of resources. Those
// are asked for by a filter or by words, too, that let through all of them and others.

// findByTerms gives the plan the filter on actors and the words that follow from its terms, where the query has none.
func (l *Log) findByTerms(ctx context.Context, p *plan) error {
	searched := len(p.words) > 0
	for _, m := range p.terms {
		if m.Not {
			continue
		}
		if (m.Field == FieldActor || m.Field == FieldBy) && len(p.query.Actors) == 0 {
			if err := l.findActors(ctx, p, m); err != nil {
				return err
			}
		}
		// All words must be those of one resource; what two terms look at may be two.
		if words := m.words(); !searched && len(gramsOf(words)) > len(gramsOf(p.words)) {
			p.words = words
		}
	}
	return nil
}

// findActors asks for those that a term may let something through of, unless they are many.
func (l *Log) findActors(ctx context.Context, p *plan, m matcher) error {
	const most = 60
	where := condition{"org_id = ?", []any{p.org.ID}}.and(p.seen())
	if m.Field == FieldBy {
		where = where.and(among("actor_type", m.actorTypes()...).is)
	} else {
		var some []string
		var args []any
		for i, is := range m.folded {
			some = append(some, "search_key"+likePattern, "actor_id"+likePattern) // an ID is compared as it is
			args = append(args, "%"+is.like()+"%", m.exact[i].like())
		}
		where = where.and(condition{"(" + strings.Join(some, " OR ") + ")", args})
	}
	var actors []string
	err := l.LogReader(ctx).Raw("SELECT DISTINCT actor_id FROM audit_actors WHERE "+where.sql+" LIMIT ?", append(where.args, most+1)...).Scan(&actors).Error
	switch {
	case err != nil:
		return fmt.Errorf("find actors by a term: %w", err)
	case len(actors) == 0:
		p.span.to = p.span.from // nobody did anything
	case len(actors) <= most:
		p.query.Actors = actors
	}
	return nil
}

// words are folded texts without white space that the ID, the name or the action of an entry holds that the term lets
// through; nil where there may be none.
func (m matcher) words() (words []string) {
	if len(m.Values) != 1 {
		return nil
	}
	switch m.Field {
	case FieldText, FieldName:
		for _, part := range m.folded[0] {
			words = append(words, strings.Fields(part)...)
		}
	case FieldID:
		parts := m.exact[0]
		for i, part := range parts {
			// Marks on either side of an asterisk may be composed with others that it stands for, and so may the letter before it.
			switch last := len(parts) - 1; {
			case last > 0 && !pattern{part}.isASCII():
				continue
			case i < last:
				part = part[:max(0, len(part)-1)]
			}
			words = append(words, strings.Fields(models.Fold(part))...)
		}
	}
	return words
}
