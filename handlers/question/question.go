// Package question is the language in which people ask the log: words, "phrases", and terms such as actor:ada,
// -action:deployment:* and meta.userAgent:stratus*. docs/search.md describes it for those who write it.
//
// Parse reads it and says of what it cannot read what would be right. String prints a question in the one form in
// which addresses have it.
package question

import (
	"cmp"
	"slices"
	"strings"

	"github.com/auditlogs/auditlogs/models/entries"
)

// Question is what a text asks for. All of it must hold.
type Question struct {
	Words  []string       // texts without white space, each to be found; * stands for itself
	Terms  []entries.Term // everything else: phrases and excluded words are terms of FieldText
	After  []string       // moments as they were typed, of which entries are no earlier than any
	Before []string       // and no later
}

// Fields that bound the time, which entries.Query has fields of its own for.
const (
	FieldAfter  entries.Field = "after"
	FieldBefore entries.Field = "before"
)

// Described is a field of the language, in the order in which questions are printed.
type Described struct {
	Field   entries.Field
	Means   string // what it finds, to go on from "finds"
	Example string // a term with it
}

// Fields are those of the language.
var Fields = []Described{
	{entries.FieldAction, "what was done", "action:deployment:*"},
	{entries.FieldActor, "who did it, by name, e-mail or ID", "actor:ada@example.com"},
	{entries.FieldBy, "what kind of actor did it: user, service, agent, system or anonymous", "by:agent"},
	{entries.FieldType, "the type of what was affected", "type:service"},
	{entries.FieldID, "the ID of what was affected", "id:svc_42"},
	{entries.FieldName, "the name of what was affected", `name:"checkout api"`},
	{entries.FieldIP, "an IP address or a range", "ip:10.0.0.0/8"},
	{entries.FieldRequest, "a request ID", "request:req-42"},
	{entries.FieldSource, "which system sent it", "source:github"},
	{entries.FieldKey, "an API key, by name or ID", `key:"Build server"`},
	{entries.FieldOutcome, "how it ended: success, failure or denied", "outcome:failure,denied"},
	{entries.FieldHours, "a part of the week, by the clocks of your time zone", "hours:mon-fri/8-18"},
	{entries.FieldMetadata, "a value in the metadata, anywhere or at a path", "meta.userAgent:stratus*"},
	{FieldAfter, "from a date or a time on, or the last days", "after:-7d"},
	{FieldBefore, "up to a date, that day included, or a time", "before:2026-11-20"},
}

// described returns a field by its name, in any case.
func described(name string) (Described, bool) {
	i := slices.IndexFunc(Fields, func(d Described) bool { return strings.EqualFold(string(d.Field), name) })
	if i < 0 {
		return Described{}, false
	}
	return Fields[i], true
}

// rank is the place of a field in what String prints: text first.
func rank(field entries.Field) int {
	return slices.IndexFunc(Fields, func(d Described) bool { return d.Field == field })
}

// Empty reports whether nothing is asked.
func (q Question) Empty() bool {
	return len(q.Words)+len(q.Terms)+len(q.After)+len(q.Before) == 0
}

// String is the question in its canonical form: words as they were typed, then the terms in the order of Fields. Read
// again it is the same question, whatever actions there are.
func (q Question) String() string {
	var parts []string
	if len(q.Words) > 0 {
		parts = append(parts, q.WordsString())
	}
	for _, term := range q.Terms {
		parts = append(parts, TermString(term))
	}
	for _, moment := range q.After {
		parts = append(parts, string(FieldAfter)+":"+valueString(moment))
	}
	for _, moment := range q.Before {
		parts = append(parts, string(FieldBefore)+":"+valueString(moment))
	}
	return strings.Join(parts, " ")
}

// WordsString prints the words alone.
func (q Question) WordsString() string {
	words := make([]string, len(q.Words))
	for i, word := range q.Words {
		words[i] = wordString(word)
	}
	return strings.Join(words, " ")
}

// wordString prints a word: as it is, or in quotes where it would be read as something else.
func wordString(word string) string {
	if q, problems := Parse(word, Env{}); len(problems) == 0 && slices.Equal(q.Words, []string{word}) {
		return word
	}
	return quoted(entries.Literal(word))
}

// TermString prints a term.
func TermString(t entries.Term) string {
	var text strings.Builder
	if t.Not {
		text.WriteByte('-')
	}
	if t.Field == entries.FieldText {
		// A text has one value: lists are of fields.
		value := strings.Join(t.Values, " ")
		if isPlain(value) {
			text.WriteString(value)
		} else {
			text.WriteString(quoted(value))
		}
		return text.String()
	}
	text.WriteString(string(t.Field) + pathString(t.Path) + ":")
	for i, value := range t.Values {
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteString(valueString(value))
	}
	return text.String()
}

// CanSay reports whether a term, printed and read again, is the same: not of every text that an entry may hold can
// anything be asked.
func CanSay(t entries.Term) bool {
	q, problems := Parse(TermString(t), Env{})
	return len(problems) == 0 && len(q.Words) == 0 && len(q.Terms) == 1 && compare(q.Terms[0], t) == 0
}

func keyString(key string) string {
	if key == "" || strings.ContainsFunc(key, endsKey) {
		return quoted(key)
	}
	return key
}

// PathString prints a path of the metadata: meta.userAgent.
func PathString(path []string) string { return string(entries.FieldMetadata) + pathString(path) }

func pathString(path []string) (text string) {
	for _, key := range path {
		text += "." + keyString(key)
	}
	return text
}

// ParsePath reads a path of the metadata, with or without meta. before it.
func ParsePath(text string) (path []string, ok bool) {
	if !strings.HasPrefix(text, string(entries.FieldMetadata)+".") {
		text = string(entries.FieldMetadata) + "." + text
	}
	q, problems := Parse(text+":x", Env{})
	if len(problems) > 0 || len(q.Words) > 0 || len(q.Terms) != 1 {
		return nil, false
	}
	term := q.Terms[0]
	return term.Path, term.Field == entries.FieldMetadata && len(term.Path) > 0 && slices.Equal(term.Values, []string{"x"})
}

func valueString(value string) string {
	if value == "" || strings.HasPrefix(value, `"`) || strings.ContainsFunc(value, endsValue) {
		return quoted(value)
	}
	return value
}

// quoted writes a text so that inside returns it.
func quoted(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			b.WriteString(`\"`)
		case c == '\\' && (i+1 == len(text) || text[i+1] == '"' || text[i+1] == '\\'):
			b.WriteString(`\\`)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Exact returns the text that a value of a term stands for, and whether it is that one alone.
func Exact(value string) (text string, alone bool) {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '*':
			return "", false
		case c == '\\' && i+1 < len(value) && (value[i+1] == '*' || value[i+1] == '\\'):
			i++
			b.WriteByte(value[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), true
}

// trimStars takes the stars off both ends of what is looked for within a text: any text may stand there as it is.
func trimStars(value string) string {
	trimmed := strings.TrimLeft(value, "*")
	for strings.HasSuffix(trimmed, "*") && !strings.HasSuffix(trimmed, `\*`) {
		trimmed = strings.TrimSuffix(trimmed, "*")
	}
	return trimmed
}

// add takes in a term, in canonical order; what is there already is not asked twice.
func (q *Question) add(t entries.Term) {
	t.Values = slices.Clone(t.Values)
	if within(t) {
		for i, value := range t.Values {
			if trimmed := trimStars(value); trimmed != "" {
				t.Values[i] = trimmed
			} else if t.Field == entries.FieldText {
				t.Values[i] = entries.Literal(value) // nobody means every text
			}
		}
	}
	if t.Field == entries.FieldText && !t.Not {
		if word, alone := Exact(t.Values[0]); alone && !strings.ContainsFunc(word, isSpace) {
			q.Words = append(q.Words, word)
			return
		}
	}
	if t.Field != entries.FieldText {
		slices.Sort(t.Values)
		t.Values = slices.Compact(t.Values)
	}
	if at, found := slices.BinarySearchFunc(q.Terms, t, compare); !found {
		q.Terms = slices.Insert(q.Terms, at, t)
	}
}

func compare(a, b entries.Term) int {
	not := func(t entries.Term) int {
		if t.Not {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(rank(a.Field), rank(b.Field)), cmp.Compare(not(a), not(b)), slices.Compare(a.Path, b.Path), slices.Compare(a.Values, b.Values))
}

// Without is the question without a term, as TermString prints it.
func (q Question) Without(text string) Question {
	q.Terms = slices.DeleteFunc(slices.Clone(q.Terms), func(t entries.Term) bool { return TermString(t) == text })
	return q
}

// With is the question with one term more.
func (q Question) With(t entries.Term) Question {
	q.Words, q.Terms = slices.Clone(q.Words), slices.Clone(q.Terms)
	q.add(t)
	return q
}

// within reports whether a term looks for its values within texts, rather than for whole ones.
func within(t entries.Term) bool {
	return t.Field == entries.FieldText || t.Field == entries.FieldMetadata && t.Path == nil
}
