package models

import (
	"strings"
	"unicode"
)

// searchWord is one word of a search, folded. A short word, one without three letters or digits in
// a row, matches only the beginning of an ID, a name, an entity type or a verb; any other matches
// any part of the ID, the name or the action.
type searchWord struct {
	text  string
	short bool
}

// searchWords splits a search at white space.
func searchWords(search string) []searchWord {
	var words []searchWord
	for _, text := range strings.Fields(Fold(search)) {
		words = append(words, searchWord{text: text, short: !hasTrigram(text)})
	}
	return words
}

// hasTrigram says that text holds three letters or digits in a row: what a trigram index can find.
func hasTrigram(text string) bool {
	run := 0
	for _, r := range text {
		if run++; !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			run = 0
		}
		if run == 3 {
			return true
		}
	}
	return false
}

// matchesKind says that the word is found in the action or, when short, begins the entity type or
// the verb: then every entry of the kind matches it.
func (w searchWord) matchesKind(k Kind) bool {
	if !w.short {
		return strings.Contains(k.Action, w.text)
	}
	_, verb, _ := strings.Cut(k.Action, ":")
	return strings.HasPrefix(k.EntityType, w.text) || strings.HasPrefix(verb, w.text)
}

// matchesEntity says that the word is found in the entity's ID or name, both folded.
func (w searchWord) matchesEntity(idKey, nameKey string) bool {
	if w.short {
		return strings.HasPrefix(idKey, w.text) || strings.HasPrefix(nameKey, w.text)
	}
	return strings.Contains(idKey, w.text) || strings.Contains(nameKey, w.text)
}

// matchesAll says that every word matches the entry: the meaning of a search, which everything
// else here only finds faster.
func matchesAll(words []searchWord, e *Entry) bool {
	idKey, nameKey := Fold(e.EntityID), Fold(e.EntityName)
	kind := Kind{EntityType: e.EntityType, Action: e.Action}
	for _, word := range words {
		if !word.matchesKind(kind) && !word.matchesEntity(idKey, nameKey) {
			return false
		}
	}
	return true
}

// unmatchedBy lists the words that the kind alone does not match, as bits by position. Words past
// the 64th find nothing faster: they are left to matchesAll.
func unmatchedBy(words []searchWord, k Kind) (mask uint64) {
	for i, word := range words {
		if i < 64 && !word.matchesKind(k) {
			mask |= 1 << i
		}
	}
	return mask
}

// escapeLike makes s stand for itself in a LIKE pattern with ESCAPE '\'.
func escapeLike(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}
