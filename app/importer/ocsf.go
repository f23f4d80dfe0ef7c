package importer

import (
	"cmp"
	"slices"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/handlers/exchange"
)

// ocsf are events of the Open Cybersecurity Schema Framework: those of its categories Identity & Access
// Management and Application Activity, of the versions 1.0 to 1.8.
var ocsf = format{
	name: "ocsf",
	id:   []string{"metadata.uid"}, action: []string{"metadata.event_code", "api.operation", "type_name"},
	time: []string{"time_dt", "time"},
	ip:   []string{"src_endpoint.ip"}, userAgent: []string{"http_request.user_agent"}, requestID: []string{"api.request.uid", "http_request.uid"},
	actor:     ocsfActor,
	resources: ocsfResources,
	outcome: func(r record) (event.Outcome, string) {
		reason, code := r.text("status_detail"), r.text("status_code")
		switch {
		case r.text("action_id") == "2" || r.text("disposition_id") == "2":
			return event.OutcomeDenied, cmp.Or(reason, code)
		case r.text("status_id") == "2":
			return event.OutcomeFailure, cmp.Or(reason, code)
		}
		return "", reason
	},
	more: func(r record, e *event.Event) {
		if r.text("metadata.product.vendor_name") == exchange.Vendor {
			describeExportedOCSF(r, e)
			return
		}
		if code := r.text("metadata.event_code"); code != "" && code != "AwsApiCall" { // which is a kind of event
			return
		}
		operation, service := r.text("api.operation"), strings.TrimSuffix(r.text("api.service.name"), ".amazonaws.com")
		switch {
		case operation == "":
			e.NativeAction = r.text("type_name")
		case service == "" || strings.Contains(operation, "."):
			e.NativeAction = operation
		default:
			e.NativeAction = service + ":" + operation
		}
		e.NativeAction = shorten(e.NativeAction, event.MaxNativeAction)
	},
}

// describeExportedOCSF reads what our own exports say in OCSF, where others have nothing or say it otherwise.
func describeExportedOCSF(r record, e *event.Event) {
	e.NativeAction = r.text("api.operation")
	user := r.object("actor.user")
	switch kind := user.text("type"); kind {
	case "System":
		e.Actor = event.System(r.text("actor.app_name"))
	case "Unknown":
		e.Actor = event.Anonymous()
	default:
		e.Actor = event.Actor{Type: event.ActorType(strings.ToLower(kind)), ID: user.text("uid"), Name: user.text("name"),
			Email: cmp.Or(user.text("email_addr"), r.text("unmapped.actor_email"))}
	}
	e.Actor.OnBehalfOf = principalOf(r.object("unmapped.on_behalf_of"))
	if kind := r.text("unmapped.entity_type"); kind != "" {
		concernNothing(e, kind, ocsfResources(r))
	}
	nameAction(e, r.text("metadata.event_code"))
}

// Classes of OCSF in which who did it may stand as the user whom it was about.
const (
	ocsfAccountChange  = "3001"
	ocsfAuthentication = "3002"
	ocsfUserAccess     = "3005"
	ocsfAPIActivity    = "6003"
)

func ocsfActor(r record) event.Actor {
	of := r.object("actor")
	user, session, app := of.object("user"), of.text("session.uid"), of.text("app_uid", "app_name")
	class := r.text("class_uid")
	switch by, forWhom := of.text("invoked_by"), r.object("unmapped.on_behalf_of"); {
	case by != "":
		actor := service(by, by)
		if user != nil {
			actor.OnBehalfOf = principal(ocsfUser(user), "")
		}
		return actor
	case user != nil && app != "" && forWhom != nil:
		actor := event.Actor{Type: event.ActorAgent, ID: app, Name: cmp.Or(user.text("name"), of.text("app_name"))}
		actor.OnBehalfOf = principal(event.Actor{Type: event.ActorType(cmp.Or(forWhom.text("type"), string(event.ActorUser))),
			ID: forWhom.text("id"), Name: forWhom.text("name"), Email: forWhom.text("email")}, session)
		return actor
	case user != nil:
		actor := ocsfUser(user)
		if actor.Type == event.ActorService && session != "" {
			actor.OnBehalfOf = principal(service(session[strings.LastIndex(session, ":")+1:], ""), session)
		}
		return actor
	case app != "":
		return service(app, of.text("app_name"))
	case (class == ocsfAccountChange || class == ocsfAuthentication) && r.object("user") != nil:
		return ocsfUser(r.object("user"))
	}
	return event.System("ocsf")
}

func ocsfUser(user record) event.Actor {
	id, name := user.text("uid"), user.text("name")
	mail := cmp.Or(user.text("email_addr"), email(name))
	name = cmp.Or(user.text("full_name", "display_name"), name)
	if email(name) != "" {
		name = ""
	}
	switch kind := user.text("type_id"); {
	case kind == "3":
		return event.System("ocsf")
	case id == "" || id == "unknown":
		return event.Anonymous()
	case kind == "99" || user.text("type") == "AssumedRole":
		return service(id, name)
	}
	return person(id, name, mail)
}

func ocsfResources(r record) (resources []event.Resource) {
	add := func(kind string, of record) {
		if of != nil && of.text("uid") != "unknown" {
			role := ""
			for _, tag := range of.list("tags") {
				if tag.text("name") == "role" {
					role = tag.text("value")
				}
			}
			resources = append(resources, event.Resource{Type: kind[strings.LastIndex(kind, ":")+1:], ID: of.text("uid", "name"), Name: of.text("name"), Role: role})
		}
	}
	class := r.text("class_uid")
	for _, name := range []string{"entity", "entity_result"} {
		add(cmp.Or(r.text(name+".type"), "entity"), r.object(name))
	}
	listed := r.list("resources")
	if one := r.object("resource"); one != nil { // of earlier versions
		listed = append(listed, one)
	}
	for _, resource := range listed {
		add(cmp.Or(resource.text("type"), "resource"), resource)
	}
	add("group", r.object("group"))
	if class != ocsfAPIActivity {
		add("user", r.object("user"))
	}
	add("policy", r.object("policy"))
	add("service", r.object("service"))
	if class == ocsfAccountChange || class == ocsfUserAccess { // which are about a user
		if i := slices.IndexFunc(resources, func(r event.Resource) bool { return r.Type == "user" }); i > 0 {
			resources = slices.Concat(resources[i:i+1], resources[:i], resources[i+1:])
		}
	}
	return resources
}
