package entries

import (
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

// matchesAll reports whether every word is part of the ID or the name of one of the entry's resources, the same for
// all words, or of the action or the native action: the meaning of a search, which everything else here only finds
// faster. The first of the resources is the entry's own.
func matchesAll(words []string, e *groupedEntry) bool {
	if len(words) == 0 {
		return true
	}
	native := models.Fold(e.NativeAction)
	left := slices.DeleteFunc(slices.Clone(words), func(word string) bool {
		return strings.Contains(e.Action, word) || strings.Contains(native, word)
	})
	of := func(resource event.Resource) bool {
		id, name := models.Fold(resource.ID), models.Fold(resource.Name)
		return !slices.ContainsFunc(left, func(word string) bool {
			return !strings.Contains(id, word) && !strings.Contains(name, word)
		})
	}
	return of(event.Resource{ID: e.EntityID, Name: e.EntityName}) || slices.ContainsFunc(e.related, of)
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

// finder finds words in the databases' own ways.
type finder interface {
	// holding is the table of an organization's entities whose ID or name holds all grams, of which there are some,
	// from FROM to the beginning of a WHERE that more conditions can be added to.
	holding(orgID int64, grams []gram) condition
	// asciiLower is a column as LIKE compares it with a pattern in lower case, whatever the case of its own
	// letters of ASCII.
	asciiLower(column string) string
}

// wordsMatch is the condition in SQL that an entry may match all words.
func (l *Log) wordsMatch(p *plan) condition {
	if len(p.words) == 0 {
		return condition{}
	}
	own := l.mayHold(p.words, "entity_id", "entity_name")
	if !p.related {
		return own
	}
	related := relatedTo(l.mayHold(p.words, "related.entity_id", "related.entity_name"))
	return condition{"(" + own.sql + " OR " + related.sql + ")", slices.Concat(own.args, related.args)}
}

// mayHold is the condition that a resource with this ID and name, or what was done, may hold all words. SQL folds only
// the letters of ASCII: where there are others in them, or in a word, it is left to matchesAll.
func (l *Log) mayHold(words []string, id, name string) condition {
	bytes, letters := "", ""
	for i, column := range []string{id, name, "native_action"} {
		if i > 0 {
			bytes, letters = bytes+" + ", letters+" + "
		}
		bytes, letters = bytes+"octet_length("+column+")", letters+"length("+column+")"
	}
	others := bytes + " <> " + letters
	var all condition
	for _, word := range words {
		if strings.ContainsFunc(word, func(r rune) bool { return r >= utf8.RuneSelf }) {
			return condition{sql: others}
		}
		all = all.and(contains(word, l.finder.asciiLower(id), l.finder.asciiLower(name), "action",
			l.finder.asciiLower("native_action")))
	}
	return condition{"(" + others + " OR " + all.sql + ")", all.args}
}

// contains is the condition that one of some columns contains a word.
func contains(word string, columns ...string) condition {
	pattern, like := "%"+models.EscapeLike(word)+"%", ` LIKE ? ESCAPE '\'`
	return condition{"(" + strings.Join(columns, like+" OR ") + like + ")", slices.Repeat([]any{pattern}, len(columns))}
}
