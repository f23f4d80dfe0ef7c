package jobs

import (
	"errors"
	"fmt"
	"runtime/debug"
)

var (
	// errNotLeading ends a run in a server that another has taken over from.
	errNotLeading = errors.New("this server does not clean up any more")
	// errTooLong means that even the smallest batch did not end in its time-out.
	errTooLong = errors.New("a batch took too long")
	// errPanic is a mistake in the program.
	errPanic = errors.New("panic")
)

// recoverTo, deferred, turns a panic into an error: it must not end the server.
func recoverTo(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: %v\n%s", errPanic, p, debug.Stack())
	}
}

// inPlainWords is what the settings page says of a failure. What a database says may hold things
// that are nobody's business; it is in the server's log.
func inPlainWords(err error) string {
	var organizations organizationsFailed
	switch {
	case errors.As(err, &organizations):
		return fmt.Sprintf("Expired entries of %d of %d organizations could not be deleted. The server's log says why.",
			organizations.failed, organizations.all)
	case errors.Is(err, errTooLong):
		return "Deleting expired entries took too long and was stopped. It is tried again with the next clean-up."
	case errors.Is(err, errPanic):
		return "Deleting expired entries stopped at a mistake in the program. The server's log has the details."
	default:
		return "The database did not delete all that has expired. The server's log has the details."
	}
}
