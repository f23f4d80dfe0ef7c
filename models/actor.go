package models

import "github.com/auditlogs/auditlogs/app/audit/event"

// Actor is somebody the log names, as of then.
type Actor struct {
	ID    string
	Name  string
	Email string
	Type  event.ActorType // empty for a person, and for the actor "system", whose ID says it
}
