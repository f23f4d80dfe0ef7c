package views

import (
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/models"
)

// Kind marks an actor that is no person: with a picture and a word beside the name, which no name can look like.
type Kind struct{ Class, Icon, Word string }

var kinds = map[event.ActorType]Kind{
	event.ActorSystem:    {Class: "automated", Icon: "bot", Word: "automated"},
	event.ActorService:   {Class: "service", Icon: "server", Word: "service"},
	event.ActorAgent:     {Class: "agent", Icon: "sparkle", Word: "agent"},
	event.ActorAnonymous: {Class: "anonymous", Icon: "user-x", Word: "not signed in"},
}

// KindOf returns the mark of an actor; the zero Kind is that of a person.
func KindOf(actorType event.ActorType, actorID string) Kind {
	if actorID == models.SystemActorID {
		actorType = event.ActorSystem
	}
	return kinds[actorType]
}

// OutcomeInWords returns how an action ended, in the word that stands beside it; empty for a success.
func OutcomeInWords(outcome event.Outcome) string {
	return map[event.Outcome]string{event.OutcomeFailure: "failed", event.OutcomeDenied: "denied"}[outcome]
}
