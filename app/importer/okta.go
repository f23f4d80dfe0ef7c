package importer

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event"
)

// okta is Okta's System Log, as its API and its log streams write it.
var okta = format{
	name:  "okta",
	order: asTimesRun, // the API is asked for either
	unwrap: func(raw json.RawMessage, r record) (json.RawMessage, record, error) {
		if detail := r.object("detail"); detail["eventType"] != nil { // of Amazon EventBridge
			return raw, detail, nil
		}
		return raw, r, nil
	},
	id: []string{"uuid"}, action: []string{"eventType"}, time: []string{"published"},
	ip: []string{"client.ipAddress"}, userAgent: []string{"client.userAgent.rawUserAgent"},
	requestID: []string{"transaction.id", "debugContext.debugData.requestId"},
	actor:     oktaActor,
	resources: func(r record) (resources []event.Resource) {
		actor := oktaActor(r)
		for _, target := range r.list("target") {
			resources = append(resources, event.Resource{Type: target.text("type"), ID: target.text("id"), Name: target.text("displayName")})
		}
		// Who acts is often a target, too: what else there is comes first.
		if i := slices.IndexFunc(resources, func(r event.Resource) bool {
			return r.ID != actor.ID && (actor.OnBehalfOf == nil || r.ID != actor.OnBehalfOf.ID)
		}); i > 0 {
			resources = slices.Concat(resources[i:i+1], resources[:i], resources[i+1:])
		}
		return resources
	},
	outcome: func(r record) (event.Outcome, string) {
		reason := r.text("outcome.reason")
		switch r.text("outcome.result") {
		case "FAILURE", "ABANDONED", "UNANSWERED":
			return event.OutcomeFailure, reason
		case "DENY", "RATE_LIMIT":
			return event.OutcomeDenied, reason
		}
		return "", reason
	},
	more: func(_ record, e *event.Event) {
		if e.Request.ID == "unknown" {
			e.Request.ID = ""
		}
	},
}

func oktaActor(r record) event.Actor {
	id, name, login := r.text("actor.id"), r.text("actor.displayName"), r.text("actor.alternateId")
	var actor event.Actor
	switch kind := r.text("actor.type"); {
	case kind == "SystemPrincipal" || login == "system@okta.com":
		return event.System("okta")
	case kind == "IP address" || id == "unknown" || id == "":
		return event.Anonymous()
	case slices.Contains([]string{"PublicClientApp", "ServiceClient", "AppInstance", "ClientApp", "Agent"}, kind):
		actor = service(id, name)
	case slices.Contains([]string{"AIAgent", "AI_AGENT", "Workload"}, kind):
		actor = event.Actor{Type: event.ActorAgent, ID: id, Name: name}
	default:
		if strings.Contains(name, "@") {
			name = ""
		}
		actor = person(id, name, login)
	}
	if data := r.object("debugContext.debugData"); data.text("onBehalfOfUserId") != "" {
		actor.OnBehalfOf = principal(person(data.text("onBehalfOfUserId"), "", data.text("onBehalfOfUserLogin")), data.text("agentSessionId"))
	} else if actor.Type == event.ActorService && strings.HasPrefix(r.text("eventType"), "app.oauth2.") {
		for _, target := range r.list("target") {
			if target.text("type") == "User" {
				actor.OnBehalfOf = principal(person(target.text("id"), target.text("displayName"), target.text("alternateId")),
					r.text("authenticationContext.externalSessionId"))
				break
			}
		}
	}
	return actor
}
