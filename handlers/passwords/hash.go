package passwords

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
	MinCharacters = 10
	MaxBytes      = 200
)

// Cost of a new password is 19 MiB and about 30 ms. Tests of other packages may lower it.
var Cost = &argon2id.Params{
	Memory:      19 * 1024,
	Iterations:  2,
	Parallelism: 1,
	SaltLength:  16,
	KeyLength:   32,
}

// ErrBusy reports that the turn of a password has not come in time: too many are being worked on.
const ErrBusy = fault.Busy

// nobodysHash is what a password is compared with where there is no account: the same work, so the
// time of the answer does not tell which addresses have one.
var nobodysHash = sync.OnceValues(func() (string, error) {
	return argon2id.CreateHash("the password of nobody", Cost)
})

// CheckLength returns a *fault.Field where password is too short or too long.
func CheckLength(password string) error {
	switch {
	case utf8.RuneCountInString(password) < MinCharacters:
		return fault.Newf("password", fault.Invalid, "Use at least %d characters.", MinCharacters)
	case len(password) > MaxBytes:
		return fault.Newf("password", fault.TooLarge, "Use at most %d bytes.", MaxBytes)
	}
	return nil
}

// HashAny makes what is stored of a password, however easy it is to guess: argon2id in PHC string
// format. It is slow on purpose, and must not be called inside a transaction. Errors:
// *fault.Field (see CheckLength), or while it waits for its turn ErrBusy or the context's.
func HashAny(ctx context.Context, password string) (string, error) {
	if err := CheckLength(password); err != nil {
		return "", err
	}
	done, err := work.take(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	hash, err := argon2id.CreateHash(password, Cost)
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	return hash, nil
}

// Match reports whether password belongs to hash. An empty hash (no such account) costs the same time
// and never matches. Like HashAny it is slow and waits for its turn.
func Match(ctx context.Context, hash, password string) (bool, error) {
	exists := hash != ""
	if !exists {
		var err error
		if hash, err = nobodysHash(); err != nil {
			return false, fmt.Errorf("hash a password: %w", err)
		}
	}
	if len(password) > MaxBytes {
		password = "" // nobody's; hashing megabytes would be free work for whoever sends them
	}
	done, err := work.take(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	match, err := argon2id.ComparePasswordAndHash(password, hash)
	if err != nil {
		return false, fmt.Errorf("check a password: %w", err)
	}
	return exists && match, nil
}

// work bounds the memory and the processors that sign-ins and new passwords can take, however many
// arrive: two are worked on at once, and nobody waits for long.
var work = turns{taken: make(chan struct{}, 2), patience: 5 * time.Second}

type turns struct {
	taken    chan struct{}
	patience time.Duration
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
		return nil, fmt.Errorf("wait to work on a password: %w", ctx.Err())
	}
}
