package exchange

import (
	"cmp"
	"net/netip"
	"regexp"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
)

const ocsfVersion = "1.5.0"

// Vendor is who makes this product, by the name that its entries in OCSF have.
const Vendor = "auditlogs"

// ocsf returns an entry as an event of OCSF's class API Activity.
func ocsf(l Log, e *models.Entry) any {
	const class = 6003
	o, kind := object{}, kindOf(e)
	activity := kind.activity
	if kind == other {
		activity = action.Action(e.Action).Verb()
	}
	o.put("category_uid", 6)
	o.put("category_name", "Application Activity")
	o.put("class_uid", class)
	o.put("class_name", "API Activity")
	o.put("activity_id", kind.activityID)
	o.put("activity_name", activity)
	o.put("type_uid", class*100+kind.activityID)
	o.put("type_name", "API Activity: "+kind.activity)
	o.put("severity_id", 1)
	o.put("severity", "Informational")
	o.put("message", message(e))

	o.put("time", milliseconds(e.OccurredAt))
	o.put("time_dt", e.OccurredAt.RFC3339())
	o.put("metadata.version", ocsfVersion)
	o.put("metadata.product.name", "Audit Logs")
	o.put("metadata.product.vendor_name", Vendor)
	o.put("metadata.product.url_string", l.Address())
	o.put("metadata.tenant_uid", l.Organization.Slug)
	o.put("metadata.uid", e.ID.String())
	o.put("metadata.event_code", e.Action)
	o.put("metadata.logged_time", milliseconds(e.RecordedAt))
	o.put("metadata.logged_time_dt", e.RecordedAt.RFC3339())
	profiles := []string{"datetime"}

	switch e.Outcome {
	case event.OutcomeDenied:
		profiles = append(profiles, "security_control")
		o.put("action_id", 2)
		o.put("action", "Denied")
		o.put("disposition_id", 2)
		o.put("disposition", "Blocked")
		fallthrough
	case event.OutcomeFailure:
		o.put("status_id", 2)
		o.put("status", "Failure")
	default:
		o.put("status_id", 1)
		o.put("status", "Success")
	}
	o.put("status_detail", e.Reason)
	o.put("metadata.profiles", profiles)

	kindOfUser := ocsfUsers[e.Actor().Type]
	o.put("actor.user.type_id", kindOfUser.id)
	o.put("actor.user.type", kindOfUser.name)
	if e.ActorType != event.ActorAnonymous { // has no ID that would be anybody's
		o.put("actor.user.uid", e.ActorID)
	}
	o.put("actor.user.name", e.ActorName)
	if ocsfEmail.MatchString(e.ActorEmail) {
		o.put("actor.user.email_addr", e.ActorEmail)
	} else {
		o.put("unmapped.actor_email", e.ActorEmail)
	}
	o.put("actor.app_name", e.Source)
	if e.OnBehalfOf != nil {
		o.put("actor.session.uid", e.OnBehalfOf.Session)
	}

	o.put("api.operation", cmp.Or(e.NativeAction, e.Action))
	o.put("api.request.uid", e.RequestID)
	o.put("http_request.user_agent", e.UserAgent)
	if _, err := netip.ParseAddr(e.IP); err == nil && len(e.IP) <= 40 {
		o.put("src_endpoint.ip", e.IP)
	} else { // an endpoint is required, and something to know it by
		o.put("src_endpoint.name", "unknown")
		o.put("src_endpoint.type", "Unknown")
		o.put("src_endpoint.type_id", 0)
		o.put("unmapped.ip", e.IP)
	}

	var resources []object
	if e.EntityID != "" {
		resources = append(resources, ocsfResource(event.Resource{Type: e.EntityType, ID: e.EntityID, Name: e.EntityName}))
	} else {
		o.put("unmapped.entity_type", e.EntityType)
	}
	for _, related := range e.Related {
		resources = append(resources, ocsfResource(related))
	}
	if len(resources) > 0 {
		o.put("resources", resources)
	}
	o.put("unmapped.url", e.URL)
	o.putOurs("unmapped", e)
	return o
}

// ocsfUsers are the types of users; those of actors that it has none for are "Other", by a name of ours.
var ocsfUsers = map[event.ActorType]struct {
	id   int
	name string
}{
	event.ActorAnonymous: {0, "Unknown"},
	"":                   {1, "User"},
	event.ActorUser:      {1, "User"},
	event.ActorSystem:    {3, "System"},
	event.ActorService:   {99, "Service"},
	event.ActorAgent:     {99, "Agent"},
}

// ocsfEmail is what OCSF takes for an e-mail address.
var ocsfEmail = regexp.MustCompile("^[a-zA-Z0-9!#$%&'*+-/=?^_`{|}~.]+@[a-zA-Z0-9-]+\\.[a-zA-Z0-9-.]+$")

func ocsfResource(r event.Resource) object {
	o := object{}
	o.put("uid", r.ID)
	o.put("name", r.Name)
	o.put("type", r.Type)
	if r.Role != "" {
		o.put("tags", []object{{"name": "role", "value": r.Role}})
	}
	return o
}

func milliseconds(at models.Micros) int64 { return at.Time().UnixMilli() }
