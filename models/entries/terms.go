package entries

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/metadata"
)

// Term is a condition that the query language can say and the other fields of Query cannot.
type Term struct {
	Field Field
	Path  []string // of FieldMetadata: the keys that lead to the value; nil for any value in the metadata
	// Values are those of which one must match. In each * stands for any text, also for none; \* is an asterisk and \\
	// a backslash (see Literal). What an entry has not got matches nothing: "*" is that it has any.
	Values []string
	Not    bool // lets those entries through of which it does not hold
}

// Field is what a Term looks at. A value must match all of it, except where it says "anywhere".
type Field string

const (
	// FieldText: anywhere in the ID or the name of one of its resources, the action or the native action, as a word of
	// Query.Search; but it may hold spaces.
	FieldText     Field = ""
	FieldAction   Field = "action"  // the action or the native action
	FieldActor    Field = "actor"   // ID, folded name or folded e-mail of the actor, or on whose behalf it acted
	FieldBy       Field = "by"      // the type of the actor: user, service, agent, system or anonymous
	FieldType     Field = "type"    // of one of its resources: its entity and those it is related to
	FieldID       Field = "id"      // of one of its resources
	FieldName     Field = "name"    // of one of its resources, folded
	FieldIP       Field = "ip"      // or a range: 10.0.0.0/8, 2001:db8::/32
	FieldRequest  Field = "request" // its ID
	FieldSource   Field = "source"
	FieldKey      Field = "key" // ID or name of the API key
	FieldOutcome  Field = "outcome"
	FieldHours    Field = "hours" // when it occurred, by parts of the week: see ParseHours
	FieldMetadata Field = "meta"  // folded: at Path, in arrays any element; without a Path anywhere in any value, keys are none
)

// Literal is the value of a Term that stands for text itself.
func Literal(text string) string { return strings.NewReplacer(`\`, `\\`, `*`, `\*`).Replace(text) }

// Holds reports whether an entry that was read whole, with what stands beside it, passes the term.
func (t Term) Holds(e *models.Entry) bool { return t.matcher().holds(e, metadataOf(e)) }

// matcher is a term made ready to be compared.
type matcher struct {
	Term
	exact    []pattern
	folded   []pattern // FieldText, FieldMetadata without a path: with anything around
	networks []netip.Prefix
	hours    []Hours
}

// anywhere reports whether a value need not match all of what the term looks at.
func (t Term) anywhere() bool {
	return t.Field == FieldText || t.Field == FieldMetadata && len(t.Path) == 0
}

func (t Term) matcher() matcher {
	m := matcher{Term: t}
	for _, value := range t.Values {
		p := patternOf(value)
		m.exact = append(m.exact, p)
		if p = p.folded(); t.anywhere() {
			p = p.anywhere()
		}
		m.folded = append(m.folded, p)
		if network, err := netip.ParsePrefix(value); err == nil {
			m.networks = append(m.networks, plainNetwork(network))
		}
		if hours, ok := ParseHours(value, time.Local); ok && t.Field == FieldHours {
			m.hours = append(m.hours, hours)
		}
	}
	return m
}

// holds is the meaning of a term, which all SQL here only finds faster. value is metadataOf the entry; a term that does
// not look at it needs none.
func (m matcher) holds(e *models.Entry, value func() any) bool {
	return m.matches(e, value) != m.Not
}

func (m matcher) matches(e *models.Entry, value func() any) bool {
	switch m.Field {
	case FieldText:
		return m.isFolded(e.Action, e.NativeAction) || m.ofResource(e, func(r event.Resource) bool { return m.isFolded(r.ID, r.Name) })
	case FieldAction:
		return m.is(e.Action, e.NativeAction)
	case FieldActor:
		p := e.OnBehalfOf
		return m.is(e.ActorID) || m.isFolded(e.ActorName, e.ActorEmail) || p != nil && (m.is(p.ID) || m.isFolded(p.Name, p.Email))
	case FieldBy:
		kind := cmp.Or(e.ActorType, event.ActorUser)
		if e.BySystem() {
			kind = event.ActorSystem
		}
		return m.is(string(kind))
	case FieldType:
		return m.ofResource(e, func(r event.Resource) bool { return m.is(r.Type) })
	case FieldID:
		return m.ofResource(e, func(r event.Resource) bool { return m.is(r.ID) })
	case FieldName:
		return m.ofResource(e, func(r event.Resource) bool { return m.isFolded(r.Name) })
	case FieldIP:
		return m.is(e.IP) || m.inNetwork(e.IP)
	case FieldRequest:
		return m.is(e.RequestID)
	case FieldSource:
		return m.is(e.Source)
	case FieldKey:
		return m.is(e.APIKeyID, e.APIKeyName)
	case FieldOutcome:
		return m.is(string(cmp.Or(e.Outcome, event.OutcomeSuccess)))
	case FieldHours:
		return slices.ContainsFunc(m.hours, func(h Hours) bool { return h.Contain(e.OccurredAt.Time()) })
	case FieldMetadata:
		return metadata.AnyLeaf(value(), m.Path, func(text string) bool { return matchesAny(m.folded, models.Fold(text)) })
	}
	return false
}

// ofResource reports whether something is true of the entity or of something that the entry is related to.
func (m matcher) ofResource(e *models.Entry, is func(event.Resource) bool) bool {
	return is(event.Resource{Type: e.EntityType, ID: e.EntityID, Name: e.EntityName}) || slices.ContainsFunc(e.Related, is)
}

// is reports whether one of some texts matches.
func (m matcher) is(texts ...string) bool {
	return slices.ContainsFunc(texts, func(text string) bool { return text != "" && matchesAny(m.exact, text) })
}

func (m matcher) isFolded(texts ...string) bool {
	return slices.ContainsFunc(texts, func(text string) bool { return text != "" && matchesAny(m.folded, models.Fold(text)) })
}

func (m matcher) inNetwork(ip string) bool {
	if len(m.networks) == 0 {
		return false
	}
	address, err := netip.ParseAddr(ip)
	address = address.Unmap().WithZone("")
	return err == nil && slices.ContainsFunc(m.networks, func(n netip.Prefix) bool { return n.Contains(address) })
}

// plainNetwork is a range of IPv4 that is written as one of IPv6 as what it is.
func plainNetwork(n netip.Prefix) netip.Prefix {
	if n.Addr().Is4In6() && n.Bits() >= 96 {
		return netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-96)
	}
	return n
}

// metadataOf reads an entry's metadata once, however many terms look at it.
func metadataOf(e *models.Entry) func() any {
	return sync.OnceValue(func() any { return metadata.Value(e.Metadata) })
}

// EachValue calls fn with each value of an entry's metadata, or with those at a path, as FieldMetadata sees them.
func EachValue(e *models.Entry, path []string, fn func(text string)) {
	metadata.AnyLeaf(metadata.Value(e.Metadata), path, func(text string) bool {
		fn(text)
		return false
	})
}

// MetadataAt lists the values of an entry's metadata behind some keys, as a Term with that path looks at them.
func MetadataAt(e *models.Entry, path []string) (values []string) {
	EachValue(e, path, func(text string) { values = append(values, text) })
	return values
}

// matches reports whether an entry, with what stands beside it as far as readRelated reads that, matches the words and
// passes the terms.
func (p *plan) matches(e *models.Entry) bool {
	value := metadataOf(e)
	return matchesAll(p.words, e) && !slices.ContainsFunc(p.terms, func(m matcher) bool { return !m.holds(e, value) })
}

// looksBeside reports whether a term looks at what stands beside entries.
func (p *plan) looksBeside() bool {
	return p.looksAt(FieldText, FieldActor, FieldType, FieldID, FieldName)
}

func (p *plan) looksAt(fields ...Field) bool {
	return slices.ContainsFunc(p.terms, func(m matcher) bool { return slices.Contains(fields, m.Field) })
}

// unlisted are the columns that terms look at and lists do not show.
var unlisted = []struct {
	field  Field
	column string
	value  func(e *models.Entry) *string
}{
	{FieldIP, "ip", func(e *models.Entry) *string { return &e.IP }},
	{FieldRequest, "request_id", func(e *models.Entry) *string { return &e.RequestID }},
	{FieldMetadata, "metadata", func(e *models.Entry) *string { return &e.Metadata }},
}

// listed is listColumns with what the terms look at besides.
func (p *plan) listed() string {
	columns := listColumns
	for _, also := range unlisted {
		if p.looksAt(also.field) || slices.Contains(p.query.Also, also.field) {
			columns += ", " + also.column
		}
	}
	return columns
}

// forget leaves of entries what lists show, and what is asked for besides.
func (p *plan) forget(entries []models.Entry) {
	for _, also := range unlisted {
		if p.looksAt(also.field) && !slices.Contains(p.query.Also, also.field) {
			for i := range entries {
				*also.value(&entries[i]) = ""
			}
		}
	}
}
