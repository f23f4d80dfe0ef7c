package entries

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/models"
)

// mayPass are conditions in SQL that every entry fulfils which the terms let through, and others: fewer are read to be
// held against them.
func (l *Log) mayPass(p *plan) (all []filter) {
	for _, m := range p.terms {
		switch {
		case m.Field == FieldOutcome:
			all = append(all, among("outcome", m.outcomes()...))
		case m.Field == FieldBy:
			all = append(all, among("actor_type", m.actorTypes()...))
		case m.Field == FieldHours: // no SQL knows the clocks of a zone on both databases
		case m.Field == FieldAction && m.Not:
			all = append(all, noneOf("action", p.excluded))
		case m.Field == FieldAction:
			all = append(all, filter{"action", l.mayMatch(p, m)})
		case m.Field == FieldActor && m.Not:
			all = append(all, noneOf("actor_id", m.literals()))
		case !m.Not:
			all = append(all, filter{"", l.mayMatch(p, m)})
		}
	}
	return slices.DeleteFunc(all, func(f filter) bool { return f.is.sql == "" })
}

// outcomes are those that the term lets through, as they are stored.
func (m matcher) outcomes() (stored []string) {
	for _, outcome := range []event.Outcome{"", event.OutcomeFailure, event.OutcomeDenied} {
		if m.holds(&models.Entry{Outcome: outcome}, nil) {
			stored = append(stored, string(outcome))
		}
	}
	return stored
}

// actorTypes are those that the term may let through, as they are stored: users' and the system's are empty.
func (m matcher) actorTypes() (stored []string) {
	for _, kind := range []event.ActorType{"", event.ActorService, event.ActorAgent, event.ActorAnonymous} {
		if m.holds(&models.Entry{ActorType: kind}, nil) || kind == "" && m.holds(&models.Entry{ActorID: models.SystemActorID}, nil) {
			stored = append(stored, string(kind))
		}
	}
	return stored
}

// literals are the values without asterisks.
func (m matcher) literals() (values []string) {
	for _, p := range m.exact {
		if len(p) == 1 {
			values = append(values, p[0])
		}
	}
	return values
}

// noneOf lets entries through that have none of some values in a column; without values it is no condition.
func noneOf(column string, values []string) filter {
	if len(values) == 0 {
		return filter{}
	}
	return filter{column, condition{unindexed(column) + " NOT IN ?", []any{values}}}
}

// mayMatch is the condition that an entry may match a term, whether that is to let it through or not; SQL folds only the
// letters of ASCII, and reads no JSON.
func (l *Log) mayMatch(p *plan, m matcher) (may condition) {
	or := func(c condition) {
		if may.sql == "" {
			may = condition{"(" + c.sql + ")", c.args}
		} else {
			may = may.or(c)
		}
	}
	exact := func(p pattern, columns ...string) {
		for _, column := range columns {
			or(condition{unindexed(column) + likePattern, []any{p.like()}})
		}
	}
	for i := range m.Values {
		is, folded := m.exact[i], m.folded[i]
		switch m.Field {
		case FieldText:
			or(l.mayBe(folded, "entity_id", "entity_name", "native_action"))
			exact(folded, "action")
			or(p.beside("audit_related", l.mayBe(folded, "part.entity_id", "part.entity_name")))
		case FieldAction:
			exact(is, "action", "native_action")
		case FieldActor:
			exact(is, "actor_id")
			exact(folded, "actor_key")
			or(l.mayBe(folded, "actor_email"))
			or(p.beside("audit_on_behalf_of", condition{"part.actor_id" + likePattern, []any{is.like()}}.
				or(l.mayBe(folded, "part.actor_name", "part.actor_email"))))
		case FieldType:
			exact(is, "entity_type")
			or(p.beside("audit_related", condition{unindexed("part.entity_type") + likePattern, []any{is.like()}}))
		case FieldID:
			exact(is, "entity_id")
			or(p.beside("audit_related", condition{unindexed("part.entity_id") + likePattern, []any{is.like()}}))
		case FieldName:
			or(l.mayBe(folded, "entity_name"))
			or(p.beside("audit_related", l.mayBe(folded, "part.entity_name")))
		case FieldIP:
			exact(is, "ip")
		case FieldRequest:
			exact(is, "request_id")
		case FieldSource:
			exact(is, "source")
		case FieldKey:
			exact(is, "api_key_id", "api_key_name")
		case FieldMetadata:
			or(l.mayHave(m.Path, folded))
		}
	}
	for _, network := range m.networks {
		// What the whole bytes of the range have in common, in IPv4; and all that is written as IPv6.
		or(condition{sql: "ip LIKE '%:%'"})
		if network.Addr().Is4() {
			bytes := strings.SplitAfter(network.Masked().Addr().String(), ".")[:network.Bits()/8]
			or(condition{"ip LIKE ?", []any{strings.Join(bytes, "") + "%"}})
		}
	}
	if may.sql == "" {
		return condition{sql: "1 = 0"}
	}
	return may
}

const likePattern = ` LIKE ? ESCAPE '\'`

// like is the pattern for LIKE, which ignores the case of ASCII on SQLite.
func (p pattern) like() string {
	parts := make([]string, len(p))
	for i := range p {
		parts[i] = models.EscapeLike(p[i])
	}
	return strings.Join(parts, "%")
}

// mayBe is the condition that one of some columns may be, folded, as a folded pattern says: where there are letters
// beyond ASCII that is left open.
func (l *Log) mayBe(p pattern, columns ...string) condition {
	var some []string
	var args []any
	for _, column := range columns {
		some = append(some, "octet_length("+column+") <> length("+column+")")
		if p.isASCII() {
			some, args = append(some, l.dialect.asciiLower(column)+likePattern), append(args, p.like())
		}
	}
	return condition{"(" + strings.Join(some, " OR ") + ")", args}
}

// mayHave is the condition that metadata may have such a value behind some keys: it stands there as it is, unless there
// are letters beyond ASCII or something is escaped; and what nobody sees is left open, too.
func (l *Log) mayHave(path []string, value pattern) condition {
	in := pattern{""}
	for _, key := range path {
		in = append(in, strings.ToLower(`"`+key+`"`))
	}
	in = append(append(in, value...), "")
	may := l.mayBe(in, "metadata")
	return condition{may.sql, may.args}.or(condition{"metadata LIKE ? OR metadata" + likePattern, []any{"%\x7f%", `%\\%`}})
}

func (p pattern) isASCII() bool {
	return !slices.ContainsFunc(p, func(part string) bool {
		return strings.ContainsFunc(part, func(r rune) bool { return r >= utf8.RuneSelf })
	})
}

// restricts reports whether terms say which kinds are read: of which actions or, where the log is sorted by kind, not of
// which.
func (p *plan) restricts() bool {
	return slices.ContainsFunc(p.terms, func(m matcher) bool {
		return m.Field == FieldAction && (!m.Not || p.query.Sort == SortAction || p.query.Sort == SortEntityType)
	})
}

// askTerms leaves of the kinds those that terms on actions may let something through of.
func (l *Log) askTerms(ctx context.Context, p *plan) error {
	for _, m := range p.terms {
		if m.Field != FieldAction {
			continue
		}
		var under []string // actions of which native ones match
		if !m.Not {
			var natives condition
			for _, is := range m.exact {
				one := condition{"native_action" + likePattern, []any{is.like()}}
				if natives.sql == "" {
					natives = condition{"(" + one.sql + ")", one.args}
				} else {
					natives = natives.or(one)
				}
			}
			if natives.sql != "" {
				if err := l.knownNatives(ctx, p, "action", natives, &under); err != nil {
					return err
				}
			}
		}
		p.kinds = slices.DeleteFunc(slices.Clone(p.kinds), func(k Kind) bool {
			out := m.is(k.Action) == m.Not && !slices.Contains(under, k.Action)
			if out && m.Not {
				p.excluded = append(p.excluded, k.Action)
			}
			return out
		})
	}
	return nil
}
