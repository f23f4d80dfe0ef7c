package entries

import (
	"slices"
	"strings"

	"github.com/auditlogs/auditlogs/models"
)

// pattern is the texts of a value between its asterisks, in their order; before the first and behind the last stands
// nothing.
type pattern []string

// patternOf reads a value of a term.
func patternOf(value string) pattern {
	p := pattern{""}
	for i := 0; i < len(value); i++ {
		last := &p[len(p)-1]
		switch {
		case value[i] == '*':
			p = append(p, "")
		case value[i] == '\\' && i+1 < len(value) && (value[i+1] == '*' || value[i+1] == '\\'):
			i++
			*last += value[i : i+1]
		default:
			*last += value[i : i+1]
		}
	}
	return p
}

func (p pattern) folded() pattern {
	folded := slices.Clone(p)
	for i := range folded {
		folded[i] = models.Fold(folded[i])
	}
	return folded
}

// anywhere is the pattern of texts with p in them.
func (p pattern) anywhere() pattern { return slices.Concat(pattern{""}, p, pattern{""}) }

// matches reports whether text is as the pattern says.
func (p pattern) matches(text string) bool {
	last := len(p) - 1
	if last == 0 {
		return text == p[0]
	}
	text, found := strings.CutPrefix(text, p[0])
	for _, part := range p[1:last] {
		if !found {
			return false
		}
		_, text, found = strings.Cut(text, part)
	}
	return found && strings.HasSuffix(text, p[last])
}

func matchesAny(patterns []pattern, text string) bool {
	return slices.ContainsFunc(patterns, func(p pattern) bool { return p.matches(text) })
}
