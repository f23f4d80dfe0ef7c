package event_test

import (
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
)

var anna = event.Actor{ID: "u1", Name: "Anna Álvarez", Email: "anna@example.com"}

// anEvent is a valid one; tests change what they are about.
func anEvent(change ...func(*event.Event)) event.Event {
	e := event.Event{
		Organization: "acme",
		Action:       action.ServiceUpdate,
		EntityID:     "svc-1",
		EntityName:   "API",
		Actor:        anna,
		Metadata:     map[string]any{"service_name": "API"},
	}
	for _, c := range change {
		c(&e)
	}
	return e
}
