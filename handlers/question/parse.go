package question

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models/entries"
)

// Env is what the meaning of a text depends on besides the text.
type Env struct {
	// Actions lists the recorded actions, which are text where they look like a term: key:create. It is called only
	// where that matters, and nil means none.
	Actions func() []string
	// Moment reports whether a text is a time, as the end of a range or not. nil takes every text.
	Moment func(text string, end bool) bool
	// Zone is whose clocks hours are meant by that name none; nil means UTC.
	Zone *time.Location
}

// Problem is a part of a text that could not be understood. The question is what remains without it.
type Problem struct {
	Start, End int    // where it stands, in characters
	Text       string // what stands there
	Reason     string // what is wrong with it: "ip: must be …"
	Right      string // a term that would be right; "" where nobody can guess
	Open       bool   // it is only not finished: the text ends there
}

// Error says what is wrong where, and what would be right.
func (p Problem) Error() string {
	message := fmt.Sprintf("%q at character %d: %s", p.Text, p.Start+1, p.Reason)
	if p.Right != "" {
		message += fmt.Sprintf("; right would be %s", p.Right)
	}
	return message
}

// How much one question may ask.
const (
	maxTerms  = 50
	maxValues = 100 // of one term
)

// Parse reads a text. What it cannot read it leaves out of the question and reports, in the order of the text.
func Parse(text string, env Env) (Question, []Problem) {
	p := parser{text: text, env: env}
	for p.space(); p.at < len(text); p.space() {
		p.start = p.at
		p.term()
	}
	return p.question, p.problems
}

type parser struct {
	text     string
	env      Env
	at       int // what was read
	start    int // where the term begins
	terms    int
	question Question
	problems []Problem
	actions  []string
	asked    bool
}

func isSpace(r rune) bool   { return unicode.IsSpace(r) }
func endsKey(r rune) bool   { return isSpace(r) || r == '.' || r == ':' || r == '"' }
func endsValue(r rune) bool { return isSpace(r) || r == ',' }

func (p *parser) space() { p.at = len(p.text) - len(strings.TrimLeftFunc(p.text[p.at:], isSpace)) }

// until reads up to the first character that ends, or to the end.
func (p *parser) until(ends func(rune) bool) string {
	rest := p.text[p.at:]
	if i := strings.IndexFunc(rest, ends); i >= 0 {
		rest = rest[:i]
	}
	p.at += len(rest)
	return rest
}

// next reports whether the text goes on with c.
func (p *parser) next(c byte) bool { return p.at < len(p.text) && p.text[p.at] == c }

// inside reads what stands between quotes, in which \" is a quote and \\ a backslash.
func (p *parser) inside() (text string, closed bool) {
	var b strings.Builder
	for p.at++; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			return b.String(), true
		case c == '\\' && p.at+1 < len(p.text) && (p.text[p.at+1] == '"' || p.text[p.at+1] == '\\'):
			p.at++
			b.WriteByte(p.text[p.at])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), false
}

// refuse reports what was read of the term, with what would be right.
func (p *parser) refuse(right, reason string, args ...any) {
	text := p.text[p.start:p.at]
	p.problems = append(p.problems, Problem{
		Start: utf8.RuneCountInString(p.text[:p.start]), End: utf8.RuneCountInString(p.text[:p.at]), Text: text,
		Reason: fmt.Sprintf(reason, args...), Right: right,
	})
}

// unfinished is refuse where the text ends before the term does: whoever is typing goes on.
func (p *parser) unfinished(right, reason string, args ...any) {
	p.refuse(right, reason, args...)
	p.problems[len(p.problems)-1].Open = p.at == len(p.text)
}

func (p *parser) add(t entries.Term) {
	if p.terms++; p.terms > maxTerms {
		p.refuse("", "is more than a question can hold, which is %d terms", maxTerms)
		return
	}
	p.question.add(t)
}

// term reads one word, phrase or term.
func (p *parser) term() {
	not := p.next('-')
	if not {
		p.at++
	}
	if p.next('"') {
		phrase, closed := p.inside()
		phrase = strings.Join(strings.FieldsFunc(phrase, isSpace), " ")
		switch {
		case !closed:
			p.unfinished(p.text[p.start:]+`"`, `has no " at its end`)
		case phrase == "":
			p.refuse("", "holds nothing between the quotes")
		default:
			p.add(entries.Term{Values: []string{phrase}, Not: not})
		}
		return
	}
	begin := p.at
	word := p.until(isSpace)
	if word == "" {
		p.unfinished("", "needs behind it, without a space, what is to be left out")
		return
	}
	if field, ok := fieldOf(word); ok && !slices.Contains(p.recorded(), word) {
		p.at = begin + len(field.Field)
		if path, ok := p.path(field); ok {
			p.values(field, entries.Term{Field: field.Field, Path: path, Not: not})
			return
		}
		p.at = begin + len(word)
	} else if head, right, ok := misspelt(word); ok && !p.beginsAction(word) {
		if p.text[p.start] == '-' {
			right = "-" + right
		}
		p.refuse(right, "there is no field %s; in quotes it would be text", head)
		return
	}
	p.add(entries.Term{Values: []string{word}, Not: not})
}

// fieldOf returns the field whose name and a colon, or of the metadata a dot, a word begins with.
func fieldOf(word string) (Described, bool) {
	i := strings.IndexAny(word, ".:")
	if i < 0 {
		return Described{}, false
	}
	field, ok := described(word[:i])
	return field, ok && (word[i] == ':' || field.Field == entries.FieldMetadata)
}

// path reads the keys behind meta, and the colon behind them. Without a colon it is no term.
func (p *parser) path(field Described) (path []string, ok bool) {
	for field.Field == entries.FieldMetadata && p.next('.') {
		p.at++
		var key string
		if p.next('"') {
			if key, ok = p.inside(); !ok {
				return nil, false
			}
		} else if key = p.until(endsKey); key == "" {
			return nil, false
		}
		path = append(path, key)
	}
	if !p.next(':') {
		return nil, false
	}
	p.at++
	return path, true
}

// values reads the values of a term, and adds it.
func (p *parser) values(field Described, t entries.Term) {
	complete := true
	for {
		var value string
		if p.next('"') {
			value, complete = p.inside()
		} else {
			value = p.until(endsValue)
		}
		if value = strings.TrimFunc(value, isSpace); value == "" {
			complete = false
		}
		t.Values = append(t.Values, value)
		if !p.next(',') {
			break
		}
		p.at++
	}
	typed := p.text[p.start:p.at]
	switch {
	case !complete && strings.Count(typed, `"`) > 0 && t.Values[len(t.Values)-1] != "":
		p.unfinished(typed+`"`, `has no " at its end`)
		return
	case slices.Contains(t.Values, ""):
		p.unfinished(field.Example, "%s: needs a value; it finds %s", field.Field, field.Means)
		return
	case len(t.Values) > maxValues:
		p.refuse("", "has more than %d values", maxValues)
		return
	}
	if field.Field == FieldAfter || field.Field == FieldBefore {
		p.moment(field, t)
		return
	}
	for i, value := range t.Values {
		right, reason := "", ""
		if t.Values[i], right, reason = check(field, value, p.env.Zone); reason != "" {
			p.refuse(right, "%s", reason)
			return
		}
	}
	p.add(t)
}

func (p *parser) moment(field Described, t entries.Term) {
	before := field.Field == FieldBefore
	switch moments := &p.question.After; {
	case t.Not && before:
		p.refuse("after:"+valueString(t.Values[0]), "a time is not left out by -, but bounded from the other side")
	case t.Not:
		p.refuse("before:"+valueString(t.Values[0]), "a time is not left out by -, but bounded from the other side")
	case len(t.Values) > 1:
		p.refuse(string(field.Field)+":"+valueString(t.Values[0]), "%s: takes one time", field.Field)
	case p.env.Moment != nil && !p.env.Moment(t.Values[0], before):
		p.refuse(field.Example, "must be a date (2026-11-20), a time (2026-11-20T14:03, or 2026-11-20T14:03:22Z) or how long ago (-24h, -7d)")
	default:
		if before {
			moments = &p.question.Before
		}
		if !slices.Contains(*moments, t.Values[0]) {
			*moments = append(*moments, t.Values[0])
		}
	}
}

// ActorTypes are those there are.
var ActorTypes = []event.ActorType{event.ActorUser, event.ActorService, event.ActorAgent, event.ActorSystem, event.ActorAnonymous}

// Outcomes are those there are.
var Outcomes = []event.Outcome{event.OutcomeSuccess, event.OutcomeFailure, event.OutcomeDenied}

// longest values, in bytes: of what no entry can be longer than.
var longest = map[entries.Field]int{
	entries.FieldAction: event.MaxNativeAction, entries.FieldIP: 64, entries.FieldRequest: 200, entries.FieldSource: 100,
}

// check returns a value as questions have it or why it cannot be one, with what would be right.
func check(field Described, value string, zone *time.Location) (canonical, right, reason string) {
	if most, ok := longest[field.Field]; ok && len(value) > most {
		return "", "", fmt.Sprintf("is longer than %d bytes, which no entry has", most)
	}
	switch field.Field {
	case entries.FieldOutcome:
		value = strings.ToLower(value)
		if !slices.Contains(Outcomes, event.Outcome(value)) {
			return "", "outcome:failure", "outcome: is success, failure or denied"
		}
	case entries.FieldBy:
		value = strings.ToLower(value)
		if !slices.Contains(ActorTypes, event.ActorType(value)) {
			return "", "actor:" + valueString(value), "by: is user, service, agent, system or anonymous"
		}
	case entries.FieldHours:
		hours, ok := entries.ParseHours(value, cmp.Or(zone, time.UTC))
		if !ok {
			return "", field.Example, "hours: must be days and hours (mon-fri/8-18, sat/00:00-24:00), and may name a time zone (mon-fri/8-18/Europe/Berlin)"
		}
		return hours.String(), "", ""
	case entries.FieldType:
		value = strings.ToLower(value)
		if !action.ValidEntityType(strings.ReplaceAll(value, "*", "a")) {
			return "", field.Example, "type: must be letters, digits and _, such as notification_channel"
		}
	case entries.FieldIP:
		if canonical, ok := addressOf(value); ok {
			return canonical, "", ""
		}
		return "", field.Example, "ip: must be an address (10.0.0.1, 2001:db8::1), a range (10.0.0.0/8) or the beginning of one (10.0.*)"
	}
	return value, "", ""
}

// addressOf reads an address, a range of addresses, or a part of one.
func addressOf(value string) (string, bool) {
	if _, err := netip.ParseAddr(value); err == nil {
		return value, true
	}
	if prefix, err := netip.ParsePrefix(value); err == nil {
		return prefix.Masked().String(), true
	}
	notOfAddress := func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF:.*", r) }
	return value, strings.Contains(value, "*") && !strings.ContainsFunc(value, notOfAddress)
}

// otherNames are what people may call the fields: by the columns, by the names in the address, and in other products.
var otherNames = map[string]entries.Field{
	"user": entries.FieldActor, "who": entries.FieldActor, "email": entries.FieldActor,
	"event": entries.FieldAction, "verb": entries.FieldAction,
	"entity_type": entries.FieldType, "kind": entries.FieldType, "entity": entries.FieldType,
	"entity_id": entries.FieldID, "entity_name": entries.FieldName, "ip_address": entries.FieldIP,
	"request_id": entries.FieldRequest, "api_key": entries.FieldKey, "metadata": entries.FieldMetadata,
	"result": entries.FieldOutcome, "status": entries.FieldOutcome,
	"from": FieldAfter, "since": FieldAfter, "to": FieldBefore, "until": FieldBefore,
}

// misspelt reports whether a word begins with what somebody may have taken for the name of a field, and what they
// should have written. Other words with a colon are text, as IDs and ARNs are.
func misspelt(word string) (head, right string, ok bool) {
	i := strings.IndexAny(word, ".:")
	if i < 0 || i+1 == len(word) && word[i] == '.' || !strings.Contains(word[i:], ":") {
		return "", "", false
	}
	head = word[:i]
	field, ok := otherNames[strings.ToLower(head)]
	for _, f := range Fields {
		if !ok && nearlySame(strings.ToLower(head), string(f.Field)) {
			field, ok = f.Field, true
		}
	}
	if !ok || word[i] == '.' && field != entries.FieldMetadata {
		return "", "", false
	}
	return head, string(field) + word[i:], true
}

// nearlySame reports whether two words of four letters or more differ in one: another, one more, one less, or two
// that changed places.
func nearlySame(a, b string) bool {
	if min(len(a), len(b)) < 4 || a == b {
		return false
	}
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return max(len(a), len(b)) == 1 || len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
}

func (p *parser) recorded() []string {
	if !p.asked && p.env.Actions != nil {
		p.asked, p.actions = true, p.env.Actions()
	}
	return p.actions
}

func (p *parser) beginsAction(word string) bool {
	return slices.ContainsFunc(p.recorded(), func(action string) bool { return strings.HasPrefix(action, word) })
}

// isPlain reports whether the value of a text is read as itself without quotes, whatever actions there are.
func isPlain(value string) bool {
	if strings.HasPrefix(value, "-") {
		return false
	}
	q, problems := Parse("-"+value, Env{})
	return len(problems) == 0 && len(q.Terms) == 1 && q.Terms[0].Field == entries.FieldText && q.Terms[0].Values[0] == value
}
