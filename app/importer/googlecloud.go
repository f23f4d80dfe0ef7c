package importer

import (
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// googleCloud are the audit log entries of Google Cloud, as gcloud and sinks write them, and in messages of
// Pub/Sub.
var googleCloud = format{
	name: "gcp", order: newestFirst,
	lists: []string{"entries"},
	unwrap: func(raw json.RawMessage, r record) (json.RawMessage, record, error) {
		if data := r.text("message.data", "data"); data != "" {
			inner, err := base64.StdEncoding.DecodeString(data)
			if err == nil {
				raw = inner
				r, err = parseRecord(raw)
			}
			if err != nil {
				return raw, r, fault.Newf("data", fault.Malformed, "holds no entry in base64: %s", err)
			}
		}
		if r.object("protoPayload") == nil {
			return raw, r, fault.Newf("protoPayload", fault.Required, "is required: only audit log entries are imported")
		}
		return raw, r, nil
	},
	id: []string{"logName", "insertId"}, action: []string{"protoPayload.methodName"}, time: []string{"timestamp"},
	ip: []string{"protoPayload.requestMetadata.callerIp"}, userAgent: []string{"protoPayload.requestMetadata.callerSuppliedUserAgent"},
	requestID: []string{"operation.id"},
	actor:     googleCloudActor,
	resources: func(r record) []event.Resource {
		name := r.text("protoPayload.resourceName")
		parts := strings.Split(name, "/")
		resources := []event.Resource{{Type: googleCloudType(r, parts), ID: strings.Trim(name, "/")}}
		if len(parts) > 1 {
			resources[0].Name = parts[len(parts)-1]
		}
		if resources[0].ID == "" {
			return nil
		}
		resources[0].ID = name
		for _, checked := range r.list("protoPayload.authorizationInfo") {
			kind := "resource" // compute.subnetworks.use is about a subnetwork
			if permission := strings.Split(checked.text("permission"), "."); len(permission) > 2 {
				kind = singular(action.FoldType(permission[len(permission)-2]))
			}
			if id := checked.text("resource"); id != name {
				resources = append(resources, event.Resource{Type: kind, ID: id, Role: kind})
			}
		}
		return resources
	},
	outcome: func(r record) (event.Outcome, string) {
		var missing []string
		for _, checked := range r.list("protoPayload.authorizationInfo") {
			if checked.denies("granted") {
				missing = append(missing, checked.text("permission"))
			}
		}
		// System events say in a message without a code what was done.
		code, message := r.text("protoPayload.status.code"), r.text("protoPayload.status.message")
		switch {
		case code == "7" || code == "16": // PERMISSION_DENIED, UNAUTHENTICATED
			return event.OutcomeDenied, message
		case code != "" && code != "0":
			if message == "" {
				message = "code " + code
			}
			return event.OutcomeFailure, message
		case len(missing) > 0:
			return event.OutcomeDenied, "not granted: " + strings.Join(missing, ", ")
		case strings.HasSuffix(r.text("protoPayload.methodName"), "loginFailure"):
			return event.OutcomeFailure, ""
		}
		return "", ""
	},
	more: func(r record, e *event.Event) {
		if e.EntityType == "" {
			e.EntityType = googleCloudType(r, nil)
		}
	},
}

// googleCloudType returns what the resource is: as the entry says, or else by the collection it is in, as in
// projects/p/secrets/s.
func googleCloudType(r record, name []string) string {
	if kind := r.text("resource.type"); kind != "" && kind != "audited_resource" {
		return action.FoldType(kind)
	}
	switch n := len(name); {
	case n > 1 && n%2 == 0:
		return singular(action.FoldType(name[n-2]))
	case n > 1:
		return singular(action.FoldType(name[n-1]))
	}
	return action.FoldType(strings.TrimSuffix(r.text("protoPayload.serviceName"), ".googleapis.com"))
}

// singular returns the word for one of many: projects, time_series.
func singular(word string) string {
	if strings.HasSuffix(word, "ss") || strings.HasSuffix(word, "series") {
		return word
	}
	return strings.TrimSuffix(word, "s")
}

func googleCloudActor(r record) event.Actor {
	of := r.object("protoPayload.authenticationInfo")
	known := r.text("protoPayload.requestMetadata.callerIp") != ""
	actor := googleCloudPrincipal(of.text("principalEmail"), of.text("principalSubject"), known)
	for _, began := range of.list("serviceAccountDelegationInfo") {
		if len(began) == 0 {
			continue
		}
		by := googleCloudPrincipal(began.text("firstPartyPrincipal.principalEmail"), began.text("principalSubject"), false)
		if by.Type != event.ActorSystem && by.ID != actor.ID && actor.Type != event.ActorSystem {
			actor.OnBehalfOf = principal(by, r.text("protoPayload.request.sessionId"))
		}
		break // the first is who began
	}
	return actor
}

// googleCloudPrincipal returns who is meant by an address, which need not be one of e-mail, or else by a subject.
func googleCloudPrincipal(address, subject string, called bool) event.Actor {
	name, _, _ := strings.Cut(address, "@")
	_, inPool, found := strings.Cut(subject, "/subject/")
	kind, behind, _ := strings.Cut(subject, ":")
	switch {
	case address == "system@google.com":
		return event.System("gcp")
	case address == "system:anonymous" || address == "system:unauthenticated":
		return event.Anonymous()
	case strings.HasPrefix(subject, "agent://"):
		if address == "" {
			address, name = subject, subject[strings.LastIndex(subject, "/")+1:]
		}
		return event.Actor{Type: event.ActorAgent, ID: address, Name: name}
	case strings.HasPrefix(address, "system:"), strings.HasSuffix(address, "gserviceaccount.com"):
		return service(address, name)
	case address != "":
		return person(address, "", address)
	case kind == "serviceAccount" || kind == "user":
		return googleCloudPrincipal(behind, "", called)
	case found && strings.Contains(subject, "workloadIdentityPools"):
		return service(subject, inPool)
	case subject != "":
		return person(subject, inPool, inPool)
	case called:
		return event.Anonymous()
	}
	return event.System("gcp")
}
