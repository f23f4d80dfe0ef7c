// Package passwords hashes and checks passwords, and reports which new ones are too easy to guess.
package passwords

import (
	"context"
	"strings"

	"github.com/trustelem/zxcvbn"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

const (
	// minGuesses is how many guesses a password must be worth: what somebody tries who took the database
	// and pays for weeks of guessing argon2id.
	minGuesses = 1e8
	// looked is how many bytes of a password are looked at. The work grows faster than the text: it is
	// up to 60 ms and 1 MB for these, and what begins so well is good enough.
	looked = 32
)

// Hash is HashAny for a password that somebody chose. about is what is known of them, such as their
// name and address.
//
// Errors: those of HashAny, and a *fault.Field of the field "password" for one that is among
// the first to be guessed: a common one, a pattern of the keyboard, a date, a word or two, what is known
// of its owner, and all of these with the usual changes.
func Hash(ctx context.Context, password string, about ...string) (string, error) {
	if err := CheckLength(password); err != nil {
		return "", err
	}
	if err := check(ctx, password, about); err != nil {
		return "", err
	}
	return HashAny(ctx, password)
}

func check(ctx context.Context, password string, about []string) error {
	done, err := work.take(ctx)
	if err != nil {
		return err
	}
	defer done()
	beginning := strings.ToValidUTF8(password[:min(len(password), looked)], "")
	if zxcvbn.PasswordStrength(beginning, wordsOf(about)).Guesses >= minGuesses {
		return nil
	}
	return fault.Newf("password", fault.Invalid, "This password is easy to guess. Use a less common or longer one, such as four words that have nothing to do with each other.")
}

// wordsOf are texts about a person and the words in them: what could stand in their password.
func wordsOf(about []string) []string {
	var words []string
	for _, text := range about {
		text = strings.ToLower(text)
		for _, word := range append(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" @.-_+", r) }), text) {
			if len(word) > 2 && len(word) <= looked {
				words = append(words, word)
			}
		}
	}
	return words
}
