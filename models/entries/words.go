package entries

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/models"
)

// searchWords splits a search at white space.
func searchWords(search string) (words []string) {
	for _, word := range strings.Fields(models.Fold(search)) {
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return words
}

// matchesAll reports whether every word is part of the action or the native action of an entry or, all that are not,
// of the ID or the name of one of its resources: the meaning of a search, which everything else here only finds faster.
func matchesAll(words []string, e *models.Entry) bool {
	if len(words) == 0 {
		return true
	}
	left := wordsLeft(words, e.Action, models.Fold(e.NativeAction))
	of := func(id, name string) bool { return len(wordsLeft(left, models.Fold(id), models.Fold(name))) == 0 }
	return of(e.EntityID, e.EntityName) ||
		slices.ContainsFunc(e.Related, func(r event.Resource) bool { return of(r.ID, r.Name) })
}

// wordsLeft are the words that neither of two texts holds.
func wordsLeft(words []string, one, other string) (left []string) {
	for _, word := range words {
		if !strings.Contains(one, word) && !strings.Contains(other, word) {
			left = append(left, word)
		}
	}
	return left
}

// gram is what the index of the entities' IDs and names is asked for: three letters in a row or, where it is
// only their beginning, any three that begin with it.
type gram struct {
	letters   string
	beginning bool
}

// gramsOf are those that every text with the words holds. Of a long word its end is enough, where words differ
// most. A word of one or two letters is asked for only where there is no longer one beside it, a single letter
// of ASCII never: nearly everything holds it.
func gramsOf(words []string) (grams []gram) {
	const enough = 8
	for _, word := range words {
		letters := []rune(word)
		letters = letters[max(0, len(letters)-enough):]
		for i := range len(letters) - 2 {
			grams = append(grams, gram{letters: string(letters[i : i+3])})
		}
	}
	if len(grams) > 0 {
		return grams
	}
	for _, word := range words {
		if len(word) > 1 {
			grams = append(grams, gram{word, true})
		}
	}
	return grams
}

// wordsMatch is the condition in SQL that an entry may match all words.
func (l *Log) wordsMatch(p *plan) condition {
	if len(p.words) == 0 {
		return condition{}
	}
	related := p.beside("audit_related", l.mayHold(p.words, "part.entity_id", "part.entity_name"))
	return l.mayHold(p.words, "entity_id", "entity_name").or(related)
}

// mayHold is the condition that a resource with this ID and name, or what was done, may hold all words. SQL folds only
// the letters of ASCII: where there are others in them, or in a word, it is left to matchesAll.
func (l *Log) mayHold(words []string, id, name string) condition {
	others := fmt.Sprintf("octet_length(%[1]s) + octet_length(%[2]s) + octet_length(native_action)"+
		" <> length(%[1]s) + length(%[2]s) + length(native_action)", id, name)
	var all condition
	for _, word := range words {
		if strings.ContainsFunc(word, func(r rune) bool { return r >= utf8.RuneSelf }) {
			return condition{sql: others}
		}
		all = all.and(contains(word, l.dialect.asciiLower(id), l.dialect.asciiLower(name), "action",
			l.dialect.asciiLower("native_action")))
	}
	return condition{"(" + others + " OR " + all.sql + ")", all.args}
}

// contains is the condition that one of some columns contains a word.
func contains(word string, columns ...string) condition {
	pattern, like := "%"+models.EscapeLike(word)+"%", ` LIKE ? ESCAPE '\'`
	return condition{"(" + strings.Join(columns, like+" OR ") + like + ")", slices.Repeat([]any{pattern}, len(columns))}
}
