package importer

import (
	"encoding/json"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event"
)

// workOS are the audit log events that are sent to WorkOS, with the organization around them or without, and
// those of its Events API.
var workOS = format{
	name: "workos",
	unwrap: func(raw json.RawMessage, r record) (json.RawMessage, record, error) {
		if inner := r.object("event"); inner != nil {
			inner["organization_id"] = r["organization_id"]
			return raw, inner, nil
		}
		return raw, r, nil
	},
	id: []string{"id"}, action: []string{"action", "event"}, time: []string{"occurred_at", "created_at"},
	ip: []string{"context.location", "data.ip_address"}, userAgent: []string{"context.user_agent", "data.user_agent"},
	actor: func(r record) event.Actor {
		if r.text("object") == "event" {
			return workOSEventActor(r)
		}
		id, name, of := r.text("actor.id"), r.text("actor.name"), r.object("actor.metadata")
		var actor event.Actor
		switch r.text("actor.type") {
		case "system":
			return event.System(name)
		case "anonymous":
			return event.Anonymous()
		case "user", "admin":
			actor = person(id, name, of.text("email"))
		case "agent", "ai_agent":
			actor = event.Actor{Type: event.ActorAgent, ID: id, Name: name}
		default:
			actor = service(id, name)
		}
		actor.OnBehalfOf = principal(person(of.text("on_behalf_of_id"), of.text("on_behalf_of_name"), ""), of.text("session_id"))
		return actor
	},
	resources: func(r record) (resources []event.Resource) {
		for _, target := range r.list("targets") {
			resources = append(resources, event.Resource{Type: target.text("type"), ID: target.text("id"), Name: target.text("name")})
		}
		if data := r.object("data"); data.text("object") != "" {
			resources = append(resources, event.Resource{Type: data.text("object"), ID: data.text("id"), Name: data.text("name", "email")})
		}
		return resources
	},
	outcome: func(r record) (event.Outcome, string) {
		reason := r.text("metadata.reason", "metadata.error", "data.error.message", "data.error.code")
		switch told := r.text("metadata.outcome"); {
		case told == string(event.OutcomeDenied):
			return event.OutcomeDenied, reason
		case told == string(event.OutcomeFailure), r.denies("metadata.success"), r.denies("metadata.successful"), strings.HasSuffix(r.text("event"), "_failed"):
			return event.OutcomeFailure, reason
		}
		return "", ""
	},
	more: func(r record, e *event.Event) { e.ExternalID = r.text("organization_id", "data.organization_id") },
}

// workOSEventActor returns who did what the Events API tells of, which often says only whose it is.
func workOSEventActor(r record) event.Actor {
	user := person(r.text("data.user_id"), "", r.text("data.email"))
	switch actor := r.object("context.actor"); {
	case actor.text("id") != "":
		return person(actor.text("id"), actor.text("name"), "")
	case user.ID != "":
		if by := r.text("data.impersonator.email"); by != "" {
			return event.Actor{ID: by, Email: by, OnBehalfOf: principal(user, r.text("data.id"))}
		}
		return user
	case r.text("data.actor_id") != "":
		return service(r.text("data.actor_id"), r.text("data.actor_name"))
	case strings.HasPrefix(r.text("event"), "authentication."):
		return event.Anonymous()
	}
	return event.System("workos")
}
