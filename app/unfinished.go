package app

// Unfinished is the error of a command that could not reach the log, or was stopped: the same
// command may well do it later. Anything else would be refused again.
type Unfinished struct{ error }

func (e Unfinished) Unwrap() error { return e.error }

// ExitCode tells scripts which of the two it is.
func (Unfinished) ExitCode() int { return 2 }
