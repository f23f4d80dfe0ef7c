package entries

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/models"
)

// The letters that SQL cannot fold and the search looks for by themselves are all there are.
func TestLettersThatFoldToASCII(t *testing.T) {
	for r := rune(utf8.RuneSelf); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		toASCII := strings.ContainsFunc(models.Fold(string(r)), func(r rune) bool { return r < utf8.RuneSelf })
		if toASCII != slices.ContainsFunc(foldedToASCII, func(l foldedLetter) bool { return l.letter == string(r) }) {
			t.Errorf("%U folds to %q", r, models.Fold(string(r)))
		}
	}
}
