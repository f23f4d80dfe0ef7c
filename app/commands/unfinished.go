package commands

// unfinished is the error of a command that could not reach the log, or was stopped: run again later, the
// same command may succeed, so its exit code is another. Anything else would be refused again.
type unfinished struct{ error }

func (e unfinished) Unwrap() error { return e.error }
