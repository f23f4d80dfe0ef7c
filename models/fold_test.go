package models

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The module of events depends on nothing, so it has a table of what package norm makes of characters.
func TestActionsAreFoldedAsUnicodeDecomposes(t *testing.T) {
	const file = "../app/audit/event/internal/latin/latin.txt"
	from := map[string][]rune{}
	for r := rune(utf8.RuneSelf); r <= unicode.MaxRune; r++ {
		if unicode.Is(unicode.M, r) || !utf8.ValidRune(r) {
			continue
		}
		to := strings.Map(func(r rune) rune {
			switch {
			case unicode.Is(unicode.M, r):
				return -1
			case r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)):
				return r
			default:
				return '_'
			}
		}, norm.NFKD.String(string(r)))
		if strings.Trim(to, "_") != "" {
			from[to] = append(from[to], r)
		}
	}
	var want strings.Builder
	for _, to := range slices.Sorted(maps.Keys(from)) {
		fmt.Fprintf(&want, "%s%s\n", to, string(from[to]))
	}
	if have, err := os.ReadFile(file); err != nil || string(have) != want.String() {
		t.Errorf("%s is not that of Unicode %s (%v). It should be:\n%s", file, norm.Version, err, want.String())
	}
}
