package question

import (
	"strings"

	"github.com/auditlogs/auditlogs/models/entries"
)

// Typing is what somebody types at a place of a text: a word, which may become the name of a field, a key of a path in
// the metadata, or a value of a field.
type Typing struct {
	Field entries.Field // whose value or key it is; FieldText for a word
	Path  []string      // of the metadata: the keys before it
	Key   bool          // it is a key
	Typed string        // what stands there before the place, without quotes

	text       string
	start, end int // of what a completion stands instead of
}

// TypingAt returns what is typed at a place of text, in bytes.
func TypingAt(text string, at int) Typing {
	p := parser{text: text[:at]}
	for p.space(); p.at < at; p.space() {
		p.start = p.at
		p.term()
		if p.at < at {
			p.start = p.at + 1
		}
	}
	p.start = min(p.start, at)
	if strings.HasPrefix(text[p.start:at], "-") {
		p.start++
	}
	t := Typing{Typed: text[p.start:at], text: text, start: p.start}
	ends := isSpace
	if field, ok := fieldOf(t.Typed); ok {
		p.at = p.start + len(field.Field)
		if typed, start, ok := p.typed(field, &t); ok {
			t.Field, t.Typed, t.start = field.Field, typed, start
			if ends = endsValue; t.Key {
				ends = endsKey
			}
		}
	}
	rest := parser{text: text, at: at}
	if strings.HasPrefix(text[t.start:at], `"`) {
		if rest.until(func(r rune) bool { return r == '"' }); rest.next('"') {
			rest.at++
		} else {
			rest.at = at
		}
	} else {
		rest.until(ends)
	}
	t.end = rest.at
	return t
}

// typed reads on from behind the name of a field to the end, and returns the key or the value that the text ends with.
func (p *parser) typed(field Described, t *Typing) (typed string, start int, ok bool) {
	read := func(ends func(rune) bool) (text string, atEnd bool) {
		if start = p.at; p.next('"') {
			text, _ = p.inside()
		} else {
			text = p.until(ends)
		}
		return text, p.at == len(p.text)
	}
	for field.Field == entries.FieldMetadata && p.next('.') {
		p.at++
		if typed, ok = read(endsKey); ok {
			t.Key = true
			return typed, start, true
		}
		t.Path = append(t.Path, typed)
	}
	for p.next(':') || p.next(',') {
		p.at++
		if typed, ok = read(endsValue); ok {
			return typed, start, true
		}
	}
	return "", 0, false
}

// WithField is the text with a field, of which a value is typed next, and the place of that.
func (t Typing) WithField(field entries.Field) (text string, at int) {
	return t.with(string(field) + ":")
}

// WithKey is the text with a key of the metadata, behind which another key is typed or, at a leaf, a value.
func (t Typing) WithKey(key string, leaf bool) (text string, at int) {
	behind := "."
	if leaf {
		behind = ":"
	}
	if rest := t.text[t.end:]; strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, ":") {
		behind = ""
	}
	return t.with(keyString(key) + behind)
}

// WithValue is the text with a value, in which * stands for any text.
func (t Typing) WithValue(value string) (text string, at int) {
	value = valueString(value)
	if t.end == len(t.text) {
		value += " " // and goes on
	}
	return t.with(value)
}

func (t Typing) with(part string) (text string, at int) {
	return t.text[:t.start] + part + t.text[t.end:], t.start + len(part)
}
