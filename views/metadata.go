package views

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event"
)

// Metadata comes from applications and, through them, from anyone: it is shown as text only, kinds
// of values are told apart without relying on colour, and one entry cannot fill the page.

const (
	// mostValuesShown is how many values of one entry's metadata the page shows; the JSON under
	// them has all.
	mostValuesShown = 1000
	// deepestShown is the nesting the page shows as a tree. Package audit accepts 32 levels.
	deepestShown = 40
)

// Metadata is an entry's metadata as people read it.
type Metadata struct {
	Changes []Change // what "changes" tells, by field, in the order stored
	Rest    *Value   // all else, an object; nil when there is nothing else
	JSON    string   // everything, indented, numbers as they were stored; empty when there is none
}

// Value is a JSON value. Kind is one of object, list, string, quoted (a string that would be
// taken for something else without its quotes), number, boolean, null, absent, masked (a value that
// was kept out of the log), json (an object or list as text) and more (a note that values were left
// out).
type Value struct {
	Kind    string
	Text    string   // what to show, for kinds without members
	Members []Member // of an object or list that has any

	// Path are the keys that lead to it, and Stored its text as questions have it: of a string, a number, true, false or
	// null. Of anything else Path is nil.
	Path   []string
	Stored string
	Way    *Way // what it offers; nil for nothing
}

// Way is what a value of an entry offers: the log of what has it, the log without that, and its text.
type Way struct {
	ID   string // of its menu on the page
	Name string // what the value is, such as "IP"
	Text string // to be copied
	// Only and Except are addresses, empty where the log cannot be asked for it.
	Only, Except string
}

// Member is a part of an object; in a list Name is empty.
type Member struct {
	Name  string
	Value Value
}

// List reports whether the value is a list with at least one item.
func (v Value) List() bool { return v.Kind == "list" && len(v.Members) > 0 }

// Object reports whether the value is an object with at least one member.
func (v Value) Object() bool { return v.Kind == "object" && len(v.Members) > 0 }

// Leaves hands over each value that questions can name.
func (m Metadata) Leaves(fn func(*Value)) {
	for i := range m.Changes {
		m.Changes[i].Before.leaves(fn)
		m.Changes[i].After.leaves(fn)
	}
	if m.Rest != nil {
		m.Rest.leaves(fn)
	}
}

func (v *Value) leaves(fn func(*Value)) {
	if v.Path != nil {
		fn(v)
	}
	for i := range v.Members {
		v.Members[i].Value.leaves(fn)
	}
}

// MetadataOf reads stored metadata. What is not a JSON object (nothing this program stores) is
// shown as the text it is.
func MetadataOf(stored string) Metadata {
	if strings.TrimSpace(stored) == "" {
		return Metadata{}
	}
	raw := json.RawMessage(stored)
	members, ok := objectMembers(raw)
	if !ok {
		return Metadata{Rest: &Value{Kind: "json", Text: stored}, JSON: visibleJSON(stored)}
	}
	builder := valueBuilder{left: mostValuesShown}
	view := Metadata{JSON: visibleJSON(indentJSON(raw))}
	rest := Value{Kind: "object"}
	for i, member := range members {
		if builder.left <= 0 {
			rest.Members = append(rest.Members, builder.more(len(members)-i))
			break
		}
		if member.name == "changes" {
			if changes, others := builder.changes(member.raw); changes != nil {
				view.Changes = append(view.Changes, changes...)
				if others != nil {
					rest.Members = append(rest.Members, Member{Name: "changes", Value: *others})
				}
				continue
			}
		}
		rest.Members = append(rest.Members, builder.member(member, nil, 1))
	}
	if len(rest.Members) > 0 {
		view.Rest = &rest
	}
	return view
}

// valueBuilder makes views of values until it has made enough.
type valueBuilder struct{ left int }

// changes reads {"field": {"before": …, "after": …}, …}. Members of another form come back as an
// object of their own. Both are nil when raw is not of the form at all.
func (b *valueBuilder) changes(raw json.RawMessage) (changes []Change, others *Value) {
	fields, ok := objectMembers(raw)
	if !ok {
		return nil, nil
	}
	for i, field := range fields {
		if b.left <= 0 {
			others = withMember(others, b.more(len(fields)-i))
			break
		}
		if before, after, ok := beforeAndAfter(field.raw); ok {
			changes = append(changes, b.change(shownName(field.name), []string{field.name}, before, after)...)
			continue
		}
		others = withMember(others, b.member(field, []string{"changes"}, 2))
	}
	if changes == nil {
		return nil, nil
	}
	return changes, others
}

func withMember(object *Value, member Member) *Value {
	if object == nil {
		object = &Value{Kind: "object"}
	}
	object.Members = append(object.Members, member)
	return object
}

// beforeAndAfter reads an object with one or both of the members "before" and "after" and no
// other. The one it does not have is nil.
func beforeAndAfter(raw json.RawMessage) (before, after json.RawMessage, ok bool) {
	members, ok := objectMembers(raw)
	if !ok || len(members) == 0 || len(members) > 2 {
		return nil, nil, false
	}
	for _, member := range members {
		switch {
		case member.name == "before" && before == nil:
			before = member.raw
		case member.name == "after" && after == nil:
			after = member.raw
		default:
			return nil, nil, false
		}
	}
	return before, after, true
}

// cell is a value in the table of changes: objects and lists as indented JSON.
func cell(raw json.RawMessage, path ...string) Value {
	if raw == nil {
		return Value{Kind: "absent", Text: "absent"}
	}
	if compound(raw) && len(bytes.TrimSpace(raw)) > len("{}") {
		return Value{Kind: "json", Text: indentJSON(raw)}
	}
	return scalar(raw, path)
}

// member shows what stands at a path.
func (b *valueBuilder) member(m jsonMember, path []string, depth int) Member {
	return Member{Name: shownName(m.name), Value: b.value(m.raw, append(slices.Clip(path), m.name), depth)}
}

func (b *valueBuilder) value(raw json.RawMessage, path []string, depth int) Value {
	b.left--
	if !compound(raw) {
		return scalar(raw, path)
	}
	if depth > deepestShown {
		return Value{Kind: "json", Text: string(raw)}
	}
	view := Value{Kind: "object", Text: "{}"}
	members, ok := objectMembers(raw)
	if !ok {
		view = Value{Kind: "list", Text: "[]"}
		members = listItems(raw)
	}
	for i, member := range members {
		if b.left <= 0 {
			more := b.more(len(members) - i)
			if view.Kind == "list" {
				more.Name = ""
			}
			view.Members = append(view.Members, more)
			break
		}
		if view.Kind == "list" {
			view.Members = append(view.Members, Member{Value: b.value(member.raw, path, depth+1)})
		} else {
			view.Members = append(view.Members, b.member(member, path, depth+1))
		}
	}
	return view
}

// more stands for values that were left out.
func (b *valueBuilder) more(count int) Member {
	return Member{Name: "…", Value: Value{Kind: "more", Text: fmt.Sprintf("%d more, see the JSON", count)}}
}

// scalar shows a value without members.
func scalar(raw json.RawMessage, path []string) Value {
	text := string(bytes.TrimSpace(raw))
	switch {
	case text == "null":
		return Value{Kind: "null", Text: text, Path: path, Stored: text}
	case text == "true" || text == "false":
		return Value{Kind: "boolean", Text: text, Path: path, Stored: text}
	case strings.HasPrefix(text, "{"):
		return Value{Kind: "object", Text: "{}"}
	case strings.HasPrefix(text, "["):
		return Value{Kind: "list", Text: "[]"}
	case !strings.HasPrefix(text, `"`):
		return Value{Kind: "number", Text: text, Path: path, Stored: text}
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return Value{Kind: "json", Text: text}
	}
	value := Value{Kind: "string", Text: s, Path: path, Stored: s}
	switch {
	case s == event.Masked:
		value.Kind = "masked"
	case ambiguous(s):
		value.Kind, value.Text = "quoted", `"`+s+`"`
	}
	return value
}

// ambiguous reports whether a string reads like another kind of value, or has ends that cannot be seen.
func ambiguous(s string) bool {
	return s == "" || s == "absent" || s != strings.TrimSpace(s) || s[0] == '"' || json.Valid([]byte(s))
}

// shownName is the name of a member, which may be empty.
func shownName(s string) string {
	if s == "" || s != strings.TrimSpace(s) {
		return `"` + visibleLine(s) + `"`
	}
	return visibleLine(s)
}
