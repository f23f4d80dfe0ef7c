package exchange

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
)

const ecsVersion = "9.4.0"

// ecs returns an entry as a document of the Elastic Common Schema. What that has no field for is in "auditlogs",
// which its rules leave to us.
func ecs(l Log, e *models.Entry) any {
	o := object{}
	o.put("@timestamp", e.OccurredAt.RFC3339())
	o.put("ecs.version", ecsVersion)
	o.put("message", message(e))

	categories, types := ecsKind(e)
	o.put("event.kind", "event")
	o.put("event.category", categories)
	o.put("event.type", types)
	if e.Outcome == "" {
		o.put("event.outcome", "success")
	} else {
		o.put("event.outcome", "failure")
	}
	o.put("event.reason", e.Reason)
	o.put("event.id", e.ID.String())
	o.put("event.action", e.Action)
	o.put("event.code", e.NativeAction)
	o.put("event.created", e.RecordedAt.RFC3339())
	o.put("event.module", "auditlogs")
	o.put("event.dataset", "auditlogs.entries")
	o.put("event.provider", e.Source)
	o.put("event.url", l.AddressOf(e))
	o.put("organization.id", l.Organization.Slug)
	o.put("organization.name", l.Organization.Name)

	o.put("user.id", e.ActorID)
	o.put("user.name", e.ActorName)
	o.put("user.email", e.ActorEmail)
	who := []string{e.ActorID, e.ActorName, e.ActorEmail}
	if p := e.OnBehalfOf; p != nil {
		who = append(who, p.ID, p.Name, p.Email)
		if e.ActorType == event.ActorAgent { // acts with the rights of whom it acts for
			o.put("user.effective.id", p.ID)
			o.put("user.effective.name", p.Name)
			o.put("user.effective.email", p.Email)
		}
	}
	o.put("related.user", ecsList(who))

	o.put("entity.target.id", e.EntityID)
	o.put("entity.target.name", e.EntityName)
	o.put("entity.target.sub_type", e.EntityType)
	o.put("entity.target.reference", e.URL)

	o.put("source.address", e.IP)
	if ip, err := netip.ParseAddr(e.IP); err == nil && ip.Zone() == "" {
		o.put("source.ip", e.IP)
		o.put("related.ip", []string{e.IP})
	}
	o.put("user_agent.original", e.UserAgent)
	o.put("http.request.id", e.RequestID)

	o.put("auditlogs.outcome", string(cmp.Or(e.Outcome, event.OutcomeSuccess)))
	o.put("auditlogs.actor_type", string(cmp.Or(e.Actor().Type, event.ActorUser)))
	if related := Related(e); related != nil {
		o.put("auditlogs.related", related)
	}
	o.putOurs("auditlogs", e)
	return o
}

// ecsKind returns the categories and types of an event.
func ecsKind(e *models.Entry) (categories, types []string) {
	categories, types = []string{"api"}, []string{kindOf(e).eventType}
	switch action.Action(e.Action) {
	case action.UserSignIn, action.UserSignInRefused:
		categories, types = append(categories, "authentication"), []string{"start"}
	case action.UserSignOut:
		categories, types = append(categories, "authentication"), []string{"end"}
	}
	if e.Outcome == event.OutcomeDenied {
		types = append(types, "denied")
	}
	return categories, types
}

// ecsList returns a list of different values.
func ecsList(values []string) []string {
	slices.Sort(values)
	return slices.DeleteFunc(slices.Compact(values), func(value string) bool { return value == "" })
}
