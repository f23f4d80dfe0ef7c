package models

import (
	"context"
	"fmt"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// Bounds of a password: at least so many characters, at most so many bytes.
const (
	MinPasswordCharacters = 10
	MaxPasswordBytes      = 200
)

// passwordParams cost 19 MiB and about 30 ms a password.
var passwordParams = &argon2id.Params{
	Memory:      19 * 1024,
	Iterations:  2,
	Parallelism: 1,
	SaltLength:  16,
	KeyLength:   32,
}

// passwordTurns bounds the memory and the processors that sign-ins can take, however many arrive.
var passwordTurns = turns{taken: make(chan struct{}, 2), patience: 5 * time.Second}

// ErrBusy reports that the turn of a password has not come in time: too many are being checked.
const ErrBusy = fault.Busy

// nobodysHash is what a password is compared with where there is no account: the same work, so the
// time of the answer does not tell which addresses have one.
var nobodysHash = sync.OnceValues(func() (string, error) {
	return argon2id.CreateHash("the password of nobody", passwordParams)
})

// CheckPassword returns a *fault.Field where password is too short or too long.
func CheckPassword(password string) error {
	switch {
	case utf8.RuneCountInString(password) < MinPasswordCharacters:
		return fault.Newf("password", fault.Invalid, "Use at least %d characters.", MinPasswordCharacters)
	case len(password) > MaxPasswordBytes:
		return fault.Newf("password", fault.TooLarge, "Use at most %d bytes.", MaxPasswordBytes)
	}
	return nil
}

// HashPassword makes what is stored of a password: argon2id in PHC string format. It is slow on
// purpose, at most two run at once, and it must not be called inside a transaction. Errors:
// *fault.Field (see CheckPassword), or while it waits for its turn ErrBusy or the context's.
func HashPassword(ctx context.Context, password string) (string, error) {
	if err := CheckPassword(password); err != nil {
		return "", err
	}
	done, err := passwordTurns.take(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	hash, err := argon2id.CreateHash(password, passwordParams)
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	return hash, nil
}

// PasswordMatches says that password belongs to hash. An empty hash (no such account) costs the
// same time and never matches. Like HashPassword it is slow and waits for its turn.
func PasswordMatches(ctx context.Context, hash, password string) (bool, error) {
	known := hash != ""
	if !known {
		var err error
		if hash, err = nobodysHash(); err != nil {
			return false, fmt.Errorf("hash a password: %w", err)
		}
	}
	if len(password) > MaxPasswordBytes {
		password = "" // nobody's; hashing megabytes would be free work for whoever sends them
	}
	done, err := passwordTurns.take(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	match, err := argon2id.ComparePasswordAndHash(password, hash)
	if err != nil {
		return false, fmt.Errorf("compare a password: %w", err)
	}
	return match && known, nil
}

// turns lets as many work at once as there is room in taken.
type turns struct {
	taken    chan struct{}
	patience time.Duration // how long a turn is waited for
}

// take waits for a turn, which ends with done.
func (t turns) take(ctx context.Context) (done func(), err error) {
	timer := time.NewTimer(t.patience)
	defer timer.Stop()
	select {
	case t.taken <- struct{}{}:
		return func() { <-t.taken }, nil
	case <-timer.C:
		return nil, ErrBusy
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to check a password: %w", ctx.Err())
	}
}
