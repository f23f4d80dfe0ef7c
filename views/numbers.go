package views

import (
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// Count is a number with its noun: "1 entry", "12,345 entries".
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Number(n) + " " + many
}

// Number is n with a comma every three digits.
func Number(n int) string { return message.NewPrinter(language.English).Sprintf("%d", n) }
