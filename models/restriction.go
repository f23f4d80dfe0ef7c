package models

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// Restriction is what of an organization's log its readers may not see: see Organization.Hidden. Where nothing is hidden
// it is nil.
type Restriction struct {
	Actions  ActionPatterns // entries whose action or native action one of these matches
	Metadata bool           // of all entries
}

// ActionPatterns are patterns of actions in lower case, with a space between each two. In each * stands for any text, and
// the case of ASCII letters makes no difference.
type ActionPatterns string

// Limits of the patterns of one role.
const (
	MaxActionPatterns = 50
	MaxActionPattern  = 100 // bytes
)

// List lists them.
func (p ActionPatterns) List() []string { return strings.Fields(string(p)) }

// Text is how people read and write them.
func (p ActionPatterns) Text() string { return strings.Join(p.List(), ", ") }

// Match reports whether one of them matches all of text.
func (p ActionPatterns) Match(text string) bool {
	text = lowerASCII(text)
	return slices.ContainsFunc(p.List(), func(pattern string) bool { return matchesPattern(pattern, text) })
}

// ParseActionPatterns reads patterns that commas or white space separate; one that is there twice is there once. The error
// is a *fault.Field about field that says which of them is wrong.
func ParseActionPatterns(field, text string) (ActionPatterns, error) {
	var patterns []string
	separates := func(r rune) bool { return r == ',' || r == ';' || unicode.IsSpace(r) }
	for _, pattern := range strings.FieldsFunc(text, separates) {
		pattern = lowerASCII(pattern)
		switch {
		case len(pattern) > MaxActionPattern:
			return "", fault.Newf(field, fault.TooLarge, "%.20q… is too long: use at most %d bytes.", pattern, MaxActionPattern)
		case strings.ContainsFunc(pattern, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsGraphic(r) }):
			return "", fault.Newf(field, fault.Invalid, "%q holds a character that cannot be seen.", pattern)
		case !slices.Contains(patterns, pattern):
			patterns = append(patterns, pattern)
		}
	}
	if len(patterns) > MaxActionPatterns {
		return "", fault.Newf(field, fault.TooLarge, "These are %d patterns; use at most %d.", len(patterns), MaxActionPatterns)
	}
	slices.Sort(patterns)
	return ActionPatterns(strings.Join(patterns, " ")), nil
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// matchesPattern reports whether a pattern matches all of text.
func matchesPattern(pattern, text string) bool {
	head, rest, any := strings.Cut(pattern, "*")
	if !any || !strings.HasPrefix(text, head) {
		return pattern == text
	}
	text = text[len(head):]
	for {
		var part string
		part, rest, any = strings.Cut(rest, "*")
		if !any {
			return strings.HasSuffix(text, part)
		}
		at := strings.Index(text, part)
		if at < 0 {
			return false
		}
		text = text[at+len(part):]
	}
}

// HidesActions reports whether some entries are hidden.
func (r *Restriction) HidesActions() bool { return r != nil && r.Actions != "" }

// HidesMetadata reports whether metadata is hidden.
func (r *Restriction) HidesMetadata() bool { return r != nil && r.Metadata }

// HidesAction reports whether all entries are hidden that an action or a native action, or a pattern of such, names.
func (r *Restriction) HidesAction(action string) bool {
	return r.HidesActions() && r.Actions.Match(action)
}

// Hides reports whether an entry is hidden.
func (r *Restriction) Hides(e *Entry) bool {
	return r.HidesAction(e.Action) || e.NativeAction != "" && r.HidesAction(e.NativeAction)
}

// Strip takes from entries what is hidden of them.
func (r *Restriction) Strip(entries ...*Entry) {
	if r.HidesMetadata() {
		for _, e := range entries {
			e.Metadata = ""
		}
	}
}

// Shows is the condition, in SQL that begins with AND, that a row of audit_entries, which is called table, is not hidden;
// empty where nothing is.
func (r *Restriction) Shows(table string) (sql string, args []any) {
	if !r.HidesActions() {
		return "", nil
	}
	for _, pattern := range r.Actions.List() {
		like := strings.ReplaceAll(EscapeLike(pattern), "*", "%")
		for _, column := range []string{"action", "native_action"} {
			sql += " AND LOWER(" + table + "." + column + `) NOT LIKE ? ESCAPE '\'`
			args = append(args, like)
		}
	}
	return sql, args
}

// HiddenError refuses a question that names what its asker may not see.
type HiddenError struct {
	What string // "secret:read"
}

func (e *HiddenError) Error() string { return fmt.Sprintf("%s is not for this role", e.What) }

// Unwrap is that it takes another role.
func (e *HiddenError) Unwrap() error { return ErrNotAdmin }
