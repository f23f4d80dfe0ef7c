package entries

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/models"
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
	for _, text := range strings.Fields(models.Fold(search)) {
		if word := (searchWord{text: text, short: !hasTrigram(text)}); !slices.Contains(words, word) {
			words = append(words, word)
		}
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

// endOf is the end of a word, which is enough to ask an index of three letters in a row, where each three
// are a list to be read: words differ most at their ends.
func endOf(word string) string {
	const enough = 8
	letters := []rune(word)
	return string(letters[max(0, len(letters)-enough):])
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
func matchesAll(words []searchWord, e *models.Entry) bool {
	idKey, nameKey := models.Fold(e.EntityID), models.Fold(e.EntityName)
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

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// escapeLike makes s stand for itself in a LIKE pattern with ESCAPE '\'.
func escapeLike(s string) string { return likeEscaper.Replace(s) }

// wordsMatch is the condition in SQL that an entry matches all words, and perhaps some that it does
// not: of a word SQL compares only the letters of ASCII, so where there are others it is generous. In
// a text with others, what models.Fold leaves out may stand between any two letters.
func (s *Log) wordsMatch(words []searchWord) condition {
	var all condition
	for i, word := range words {
		pattern, ascii := word.pattern()
		one, name := s.isLike("entity_id", word, pattern), s.isLike("entity_name", word, pattern)
		one.sql, one.args = one.sql+" OR "+name.sql, append(one.args, name.args...)
		switch {
		case !ascii:
		case word.short:
			one.sql += ` OR entity_type LIKE ? ESCAPE '\' OR action LIKE ? ESCAPE '\'`
			one.args = append(one.args, pattern, "%:"+pattern)
		default:
			one.sql, one.args = one.sql+` OR action LIKE ? ESCAPE '\'`, append(one.args, pattern)
		}
		if i > 0 {
			all.sql += " AND "
		}
		all.sql, all.args = all.sql+"("+one.sql+")", append(all.args, one.args...)
	}
	return all
}

// isLike is the condition that a column is like pattern or, where it holds more than ASCII, has the
// letters of the word in their order, with some letters folded that SQL does not fold.
func (s *Log) isLike(column string, word searchWord, pattern string) condition {
	text, apart, letters := s.dialect.forLike(column), word.apart(), word.foldedLetters()
	c := condition{
		sql: text + ` LIKE ? ESCAPE '\' OR octet_length(` + column + ") <> length(" + column + ") AND " +
			strings.Repeat("replace(", len(letters)) + text + strings.Repeat(", ?, ?)", len(letters)) + ` LIKE ? ESCAPE '\'`,
		args: []any{pattern},
	}
	for _, letter := range letters {
		c.args = append(c.args, letter.letter, letter.folded)
	}
	c.args = append(c.args, apart)
	return c
}

// pattern is the word for LIKE, anything standing for what is not ASCII.
func (w searchWord) pattern() (pattern string, ascii bool) {
	ascii = true
	var like strings.Builder
	for part := range strings.FieldsFuncSeq(w.text, func(r rune) bool { return r >= utf8.RuneSelf }) {
		if ascii = len(part) == len(w.text); !ascii {
			_ = like.WriteByte('%')
		}
		_, _ = like.WriteString(escapeLike(part))
	}
	if pattern = like.String() + "%"; !w.short {
		pattern = "%" + pattern
	}
	return pattern, ascii && like.Len() > 0
}

// apart is the word for LIKE with anything between its letters of ASCII.
func (w searchWord) apart() string {
	var like strings.Builder
	_ = like.WriteByte('%')
	for _, r := range w.text {
		if r < utf8.RuneSelf {
			_, _ = like.WriteString(escapeLike(string(r)) + "%")
		}
	}
	return like.String()
}

// foldedLetters are those of foldedToASCII that may take part in a text that matches the word.
func (w searchWord) foldedLetters() (letters []foldedLetter) {
	for _, letter := range foldedToASCII {
		if overlap(letter.folded, w.text) {
			letters = append(letters, letter)
		}
	}
	return letters
}

// foldedLetter is a letter and what models.Fold makes of it.
type foldedLetter struct{ letter, folded string }

// foldedToASCII are the letters outside of ASCII that models.Fold makes ASCII of, alone or among others.
var foldedToASCII = func() (letters []foldedLetter) {
	for _, letter := range "ßİŉſǰ\u037eẖẗẘẙẚẞ\u1fef\u212aﬀﬁﬂﬃﬄﬅﬆ" {
		letters = append(letters, foldedLetter{string(letter), models.Fold(string(letter))})
	}
	return letters
}()

// overlap says that a text with part in it may contain word, and need not without it.
func overlap(part, word string) bool {
	if strings.Contains(word, part) || strings.Contains(part, word) {
		return true
	}
	for i := 1; i < len(part); i++ {
		if strings.HasSuffix(word, part[:i]) || strings.HasPrefix(word, part[i:]) {
			return true
		}
	}
	return false
}
