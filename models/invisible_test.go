package models_test

import (
	"testing"
	"unicode"

	"github.com/auditlogs/auditlogs/models"
)

func TestWhatIsInvisible(t *testing.T) {
	for _, r := range "\x00\x1b\r\x7f\u0085\u00ad\u034f\u061c\u115f\u180e\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202e\u2060\u2063\u2066\u2069\u2800\u3164\ufe0f\ufeff\uffa0\U000e0001\U000e0041\U000e0100" {
		if !models.Invisible(r) {
			t.Errorf("%U counts as visible", r)
		}
	}
	for _, r := range "\n\t aZ~é\u00a0\u0301\u0600\u06dd\u3000アא👩\U0001f3fb\ue000" {
		if models.Invisible(r) {
			t.Errorf("%U counts as invisible", r)
		}
	}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if models.Invisible(r) && (unicode.In(r, unicode.L, unicode.N, unicode.P) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)) {
			t.Fatalf("%U, which is written, counts as invisible", r)
		}
	}
}

func TestFoldLeavesOutWhatIsInvisible(t *testing.T) {
	for text, want := range map[string]string{
		"plain Text": "plain text", "System\u200b": "system", "\u202eabc\u202c": "abc", "e\u034f\u0301": "é", "a\x01b": "ab",
		"two\u2028words": "two\u2028words", "two\rwords\tthree": "two\rwords\tthree", "می\u200cخواهم": "میخواهم",
		"\U0001f469\u200d\U0001f680": "\U0001f469\U0001f680", "\u2764\ufe0f": "\u2764",
	} {
		if got := models.Fold(text); got != want {
			t.Errorf("%q folds to %q, want %q", text, got, want)
		}
	}
}
