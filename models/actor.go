package models

// Actor is somebody the log names, as of then.
type Actor struct {
	ID    string
	Name  string
	Email string
}
