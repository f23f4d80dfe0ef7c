// Package latin knows which characters are Latin letters and digits in another form.
package latin

import (
	_ "embed"
	"strings"
	"sync"
	"unicode/utf8"
)

// table has what Unicode decomposes (NFKD) to Latin letters and digits: in each field the ASCII it becomes, and then
// the characters that become it.
//
//go:embed latin.txt
var table string

var decomposed = sync.OnceValue(func() map[rune]string {
	decomposed := map[rune]string{}
	for _, field := range strings.Fields(table) {
		i := strings.IndexFunc(field, func(r rune) bool { return r >= utf8.RuneSelf })
		for _, r := range field[i:] {
			decomposed[r] = field[:i]
		}
	}
	return decomposed
})

// Decompose returns the ASCII that a character becomes, with an underscore between words: fi for ﬁ, 1_2 for ½. ok is
// false where it has none.
func Decompose(r rune) (ascii string, ok bool) {
	ascii, ok = decomposed()[r]
	return ascii, ok
}
