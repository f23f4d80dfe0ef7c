package commands

// unfinished is the error of a command that could not reach the log, or was stopped: the same
// command may well do it later, which its exit code tells scripts. Anything else would be refused again.
type unfinished struct{ error }

func (e unfinished) Unwrap() error { return e.error }
