package views

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff/lcs"
)

// A change is shown so that it is in sight: of objects and lists their parts that changed, each with
// its path, and of long texts the lines that did, between a few that did not.

const (
	// longText is from how many bytes on a text is compared even where it is one line.
	longText = 120
	// contextLines are shown on either side of what changed.
	contextLines = 2
	// sightedBytes are about how much of a long line is shown on either side of what changed in it.
	sightedBytes = 48
)

// Change is one changed field, or a part of one: then Field is its path.
type Change struct {
	Field         string
	Before, After Value
	Lines         []Line // instead of both, where they are long texts
}

// Line is a line of a comparison: Kind is old, new or same, skip for lines that are the same and
// out of the way, which Skipped then holds, or more for a note that some were left out. Mark is what
// changed in the line, where that can be told.
type Line struct {
	Kind             string
	Start, Mark, End string
	Skipped          []string
}

// change shows a field whose value was before and is after; the one there is not is nil. keys are the changed field, and
// what leads on from its values.
func (b *valueBuilder) change(field string, keys []string, before, after json.RawMessage) []Change {
	if parts := b.parts(field, keys, before, after); len(parts) > 0 {
		return parts
	}
	return []Change{b.whole(field, keys, before, after)}
}

// whole shows a change of something that has no parts to compare.
func (b *valueBuilder) whole(field string, keys []string, before, after json.RawMessage) Change {
	b.left -= 2
	path := func(side string) []string { return slices.Concat([]string{"changes", keys[0], side}, keys[1:]) }
	view := Change{Field: field, Before: cell(before, path("before")...), After: cell(after, path("after")...)}
	old, new := view.Before, view.After
	if areStrings(old.Kind, new.Kind) && old.Text != new.Text &&
		(strings.Contains(old.Text+new.Text, "\n") || min(len(old.Text), len(new.Text)) > longText) {
		view.Lines = b.compare(old.Text, new.Text)
	}
	return view
}

func areStrings(kinds ...string) bool {
	for _, kind := range kinds {
		if kind != "string" && kind != "quoted" {
			return false
		}
	}
	return true
}

// parts are the parts that differ of two objects, or two lists, neither of them empty; nil where they
// are something else.
func (b *valueBuilder) parts(path string, keys []string, before, after json.RawMessage) []Change {
	if b.left <= 0 || strings.Count(path, ".")+strings.Count(path, "[") > deepestShown {
		return nil
	}
	old, oldIs := objectMembers(before)
	new, newIs := objectMembers(after)
	switch {
	case oldIs && newIs && len(old) > 0 && len(new) > 0:
		return b.memberParts(path, keys, old, new)
	case !oldIs && !newIs && compound(before) && compound(after):
		return b.itemParts(path, keys, listItems(before), listItems(after))
	default:
		return nil
	}
}

// memberParts compares objects by the names of their members.
func (b *valueBuilder) memberParts(path string, keys []string, old, new []jsonMember) (parts []Change) {
	before, once := byName(old)
	values, newOnce := byName(new)
	if !once || !newOnce {
		return nil // nobody can tell which is which
	}
	for _, member := range new {
		if _, had := before[member.name]; !had {
			old = append(old, jsonMember{name: member.name})
		}
	}
	for _, member := range old {
		after := values[member.name]
		if b.left <= 0 {
			return append(parts, moreChanges(path))
		}
		if !sameJSON(member.raw, after) {
			parts = append(parts, b.change(path+step(member.name), append(slices.Clip(keys), member.name), member.raw, after)...)
		}
	}
	return parts
}

// byName are members by their names; ok is false where one occurs twice.
func byName(members []jsonMember) (values map[string]json.RawMessage, ok bool) {
	values = make(map[string]json.RawMessage, len(members))
	for _, member := range members {
		values[member.name] = member.raw
	}
	return values, len(values) == len(members)
}

// itemParts compares lists by what they hold in which order.
func (b *valueBuilder) itemParts(path string, keys []string, old, new []jsonMember) (parts []Change) {
	if len(old) == 0 || len(new) == 0 {
		return nil
	}
	for _, d := range lcs.DiffLines(compacted(old), compacted(new)) {
		for i := range max(d.End-d.Start, d.ReplEnd-d.ReplStart) {
			if b.left <= 0 {
				return append(parts, moreChanges(path))
			}
			at, before, after := d.Start+i, json.RawMessage(nil), json.RawMessage(nil)
			if at < d.End {
				before = old[at].raw
			}
			if j := d.ReplStart + i; j < d.ReplEnd {
				after = new[j].raw
				if before == nil {
					at = j
				}
			}
			parts = append(parts, b.change(fmt.Sprintf("%s[%d]", path, at), keys, before, after)...)
		}
	}
	return parts
}

func moreChanges(path string) Change {
	more := Value{Kind: "more", Text: "more, see the JSON"}
	return Change{Field: path + " …", Before: more, After: more}
}

// step is a member's name as part of a path: quoted where it would be read as something else.
func step(s string) string {
	if shown := shownName(s); !strings.ContainsAny(shown, `.[]" `) {
		return "." + shown
	}
	return `["` + visibleLine(s) + `"]`
}

// compare shows what differs between two texts.
func (b *valueBuilder) compare(before, after string) (lines []Line) {
	old, new := strings.Split(before, "\n"), strings.Split(after, "\n")
	at := 0
	for _, d := range lcs.DiffLines(old, new) {
		lines = append(lines, b.same(old[at:d.Start], at == 0, false)...)
		lines = append(lines, b.differing(old[d.Start:d.End], new[d.ReplStart:d.ReplEnd])...)
		at = d.End
	}
	return append(lines, b.same(old[at:], at == 0, true)...)
}

// same are lines that did not change: the context of what did, and the rest out of the way.
func (b *valueBuilder) same(texts []string, first, last bool) (lines []Line) {
	head, tail := contextLines, contextLines
	if first {
		head = 0
	}
	if last {
		tail = 0
	}
	shown := func(texts []string) {
		for _, text := range texts {
			b.left--
			lines = append(lines, Line{Kind: "same", Start: beginning(text)})
		}
	}
	if len(texts) <= head+tail+1 {
		shown(texts)
		return lines
	}
	shown(texts[:head])
	lines = append(lines, Line{Kind: "skip", Skipped: texts[head : len(texts)-tail]})
	shown(texts[len(texts)-tail:])
	return lines
}

// differing are lines that others took the place of.
func (b *valueBuilder) differing(old, new []string) (lines []Line) {
	paired := len(old) == len(new)
	for i := 0; i < len(old)+len(new); i++ {
		if b.left--; b.left <= 0 {
			return append(lines, Line{Kind: "more", Start: fmt.Sprintf("%d more lines, see the JSON", len(old)+len(new)-i)})
		}
		line := Line{Kind: "old"}
		text, other := "", ""
		if i < len(old) {
			text = old[i]
			if paired {
				other = new[i]
			}
		} else {
			line.Kind, text = "new", new[i-len(old)]
			if paired {
				other = old[i-len(old)]
			}
		}
		line.Start = text
		if paired {
			line.Start, line.Mark, line.End = inSight(text, other)
		}
		lines = append(lines, line)
	}
	return lines
}

// inSight parts a line into what it begins with and ends with as the other one does, and what differs
// between. Of long beginnings and ends only what is near stays.
func inSight(text, other string) (start, mark, end string) {
	from := 0
	for from < len(text) && from < len(other) && text[from] == other[from] {
		from++
	}
	to := 0
	for to < len(text)-from && to < len(other)-from && text[len(text)-1-to] == other[len(other)-1-to] {
		to++
	}
	for from > 0 && from < len(text) && !utf8.RuneStart(text[from]) {
		from--
	}
	for to > 0 && !utf8.RuneStart(text[len(text)-to]) {
		to--
	}
	start, mark, end = text[:from], text[from:len(text)-to], text[len(text)-to:]
	if len(text) <= longText {
		return start, mark, end
	}
	if len(start) > sightedBytes {
		cut := len(start) - sightedBytes
		for !utf8.RuneStart(start[cut]) {
			cut++
		}
		start = "…" + start[cut:]
	}
	if len(end) > sightedBytes {
		end = upTo(end, sightedBytes) + "…"
	}
	return start, mark, end
}

// beginning is enough of a line to know it by.
func beginning(line string) string {
	if len(line) <= 2*longText {
		return line
	}
	return upTo(line, 2*longText) + "…"
}

// upTo is at most so many bytes of text, whole letters.
func upTo(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
