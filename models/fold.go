package models

import (
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Fold gives the form of s that search, sorting by user and e-mail addresses compare: without
// Invisible characters, composed (NFC), with Unicode's case folding. It is done here and not in SQL,
// so that both databases agree.
func Fold(s string) string {
	for i := range len(s) {
		if s[i] >= 0x7f || s[i] < ' ' {
			return cases.Fold().String(norm.NFC.String(withoutInvisible(s)))
		}
	}
	return strings.ToLower(s)
}

var likeEscaper = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// EscapeLike makes s stand for itself in a LIKE pattern with ESCAPE '\'.
func EscapeLike(s string) string { return likeEscaper.Replace(s) }
