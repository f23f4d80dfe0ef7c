// Package passwords tells which new passwords are too easy to guess. It is apart from the models
// because of its lists, which a program that only records has no use for.
package passwords

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/trustelem/zxcvbn"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/models"
)

const (
	// minGuesses is how many guesses a password must be worth: what somebody tries who took the database
	// and pays for weeks of guessing argon2id.
	minGuesses = 1e8
	// looked is how many bytes of a password are looked at. The work grows faster than the text: it is
	// up to 60 ms and 1 MB for these, and what begins so well is good enough.
	looked = 32
	// patience is how long a turn is waited for.
	patience = 5 * time.Second
)

// slots bounds the work of all who choose a password at once.
var slots = make(chan struct{}, 2)

// Hash is models.HashPassword for a password that somebody chose. about is what is known of them, such as
// their name and address.
//
// Errors: those of models.HashPassword, and a *fault.Field of the field "password" for one
// that is among the first to be guessed: a common one, a pattern of the keyboard, a date, a word or
// two, what is known of its owner, and all of these with the usual changes.
func Hash(ctx context.Context, password string, about ...string) (string, error) {
	if err := models.CheckPassword(password); err != nil {
		return "", err
	}
	if err := check(ctx, password, about); err != nil {
		return "", err
	}
	return models.HashPassword(ctx, password)
}

func check(ctx context.Context, password string, about []string) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-timer.C:
		return models.ErrBusy
	case <-ctx.Done():
		return fmt.Errorf("wait to look at a password: %w", ctx.Err())
	}
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
