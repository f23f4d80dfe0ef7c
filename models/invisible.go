package models

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Invisible reports whether nobody who reads a text sees r: control characters other than line feed
// and tab, the marks that turn the direction of writing, characters without width or ink, and line
// and paragraph separators. Joiners and variation selectors are among them, wherever they stand.
func Invisible(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return r < ' ' && r != '\n' && r != '\t' || r == 0x7f
	case r < 0x300:
		return r < 0xa0 || r == 0xad
	case r == 0x2800: // braille without a dot
		return true
	default:
		return unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Zl, unicode.Zp) &&
			!unicode.Is(unicode.Prepended_Concatenation_Mark, r)
	}
}

// withoutInvisible is s without what nobody sees, except where that parts words.
func withoutInvisible(s string) string {
	return strings.Map(func(r rune) rune {
		if Invisible(r) && !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}
