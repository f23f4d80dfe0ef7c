package importer

import (
	"encoding/json"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// cloudEvents are CloudEvents 1.0 as JSON. Their data may be an event of ours, an audit log entry of Google Cloud,
// an event of Azure's resources and key vaults, or anything with an actor and a target.
var cloudEvents = format{
	name: "cloudevents",
	unwrap: func(raw json.RawMessage, r record) (json.RawMessage, record, error) {
		switch {
		case r.text("specversion") != "1.0":
			return raw, r, fault.Newf("specversion", fault.Invalid, `%.20q is not "1.0"`, r.text("specversion"))
		case r["data_base64"] != nil:
			return raw, r, fault.Newf("data_base64", fault.Invalid, "is not read: data that is JSON stands in data")
		case r["data"] != nil && r.object("data") == nil:
			return raw, r, fault.Newf("data", fault.Malformed, "is not a JSON object")
		}
		return raw, r, nil
	},
	id: []string{"source", "id"}, action: []string{"data.native_action", "data.action", "type"}, time: []string{"time"},
	ip: []string{"data.request.ip"}, userAgent: []string{"data.request.user_agent"}, requestID: []string{"data.request.id"},
	actor: func(r record) event.Actor {
		of := r.object("data.actor")
		if of.text("type", "id") == "" {
			return service(r.text("source"), "")
		}
		actor := event.Actor{Type: event.ActorType(of.text("type")), ID: of.text("id"), Name: of.text("name"), Email: of.text("email")}
		switch {
		case actor.Type == event.ActorSystem, actor.Type == "" && actor.ID == event.SystemID:
			source := of.text("source")
			if name := of.text("name"); source == "" && name != event.SystemID {
				source = name
			}
			actor = event.System(source)
		case actor.Type == event.ActorAnonymous:
			actor = event.Anonymous()
		}
		actor.OnBehalfOf = principalOf(of.object("on_behalf_of"))
		return actor
	},
	resources: cloudEventResources,
	outcome: func(r record) (event.Outcome, string) {
		return event.Outcome(r.text("data.outcome")), r.text("data.reason")
	},
	more: func(r record, e *event.Event) {
		switch kind := r.text("type"); {
		case r.text("data.entity_type") != "" && r.text("data.entity_id", "data.target.id", "subject") == "":
			concernNothing(e, r.text("data.entity_type"), cloudEventResources(r))
			fallthrough
		case r.text("data.native_action") != "":
			nameAction(e, r.text("data.action"))
		case r.object("data.protoPayload") != nil:
			googleCloud.describe(r.object("data"), e)
		case strings.HasPrefix(kind, "Microsoft.Resources."):
			azureResources.describe(r, e)
		case strings.HasPrefix(kind, "Microsoft.KeyVault."):
			azureKeyVault.describe(r, e)
		}
	},
}

func cloudEventResources(r record) []event.Resource {
	resources := []event.Resource{cloudEventResource(r.object("data.target"))}
	if resources[0].ID == "" {
		resources[0] = event.Resource{Type: r.text("data.entity_type"), ID: r.text("data.entity_id"), Name: r.text("data.entity_name")}
	}
	if resources[0].ID == "" {
		resources[0].Type, resources[0].ID, _ = strings.Cut(r.text("subject"), "/")
	}
	for _, related := range r.list("data.related") {
		resources = append(resources, cloudEventResource(related))
	}
	return resources
}

func cloudEventResource(of record) event.Resource {
	return event.Resource{Type: of.text("type"), ID: of.text("id"), Name: of.text("name"), Role: of.text("role")}
}

// azureResources are what Azure's Event Grid tells of subscriptions and resource groups.
var azureResources = format{
	action: []string{"data.operationName"},
	ip:     []string{"data.httpRequest.clientIpAddress"}, requestID: []string{"data.correlationId"},
	actor: func(r record) event.Actor {
		claims := r.objectOrText("data.claims")
		claim := func(name string) string { return textOf(claims[name]) }
		actor := person(claim("http://schemas.microsoft.com/identity/claims/objectidentifier"), claim("name"),
			claim("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"))
		if actor.ID == "" {
			actor.ID = claim("appid")
		}
		if claim("idtyp") == "app" {
			actor.Type = event.ActorService
		}
		return actor
	},
	resources: func(r record) []event.Resource {
		id := r.text("data.resourceUri")
		parts := strings.Split(id, "/")
		if len(parts) < 2 {
			return nil
		}
		return []event.Resource{{Type: singular(action.FoldType(parts[len(parts)-2])), ID: id, Name: parts[len(parts)-1]}}
	},
	outcome: func(r record) (event.Outcome, string) {
		status, message := r.text("data.status"), r.text("data.statusMessage")
		if status != "Failed" && status != "Canceled" {
			return "", ""
		}
		reason := r.objectOrText("data.statusMessage").text("error.message")
		if reason == "" {
			reason = status
		}
		if strings.Contains(message, "AuthorizationFailed") || r.text("data.subStatus") == "Forbidden" {
			return event.OutcomeDenied, reason
		}
		return event.OutcomeFailure, reason
	},
}

// azureKeyVault are what Azure's Event Grid tells of key vaults, which do not say who did it.
var azureKeyVault = format{
	action: []string{"type"},
	actor:  func(record) event.Actor { return event.System("azure") },
	resources: func(r record) []event.Resource {
		return []event.Resource{
			{Type: r.text("data.ObjectType"), ID: r.text("data.Id"), Name: r.text("data.ObjectName")},
			{Type: "vault", ID: r.text("source"), Name: r.text("data.VaultName")},
		}
	},
	outcome: func(record) (event.Outcome, string) { return "", "" },
}

// objectOrText returns the object at the path, or the one that is written there as a text.
func (r record) objectOrText(path string) record {
	if object := r.object(path); object != nil {
		return object
	}
	_, object, err := r.within(path)
	if err != nil {
		return nil
	}
	return object
}
