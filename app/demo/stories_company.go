package demo

import (
	"fmt"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// theSandbox: an organization to try things in, made and deleted again.
func (w *world) theSandbox() {
	admin := w.person(olivia)
	sandbox := entity{"organization", "northwind-sandbox", "Northwind Sandbox", ""}
	w.onDay(33, 17, 20, func() {
		w.record(w.as(admin), action.OrganizationCreate, sandbox, metadata{"slug": sandbox.id, "name": sandbox.name})
	})
	w.onDay(20, 18, 5, func() {
		w.record(w.as(admin), action.OrganizationDelete, sandbox, metadata{"slug": sandbox.id, "name": sandbox.name})
	})
	w.onDay(61, 10, 30, func() {
		w.recordChange(w.as(w.person(maya)), action.OrganizationUpdate, w.organizationEntity(),
			changes{"name": {Before: "Northwind Freight", After: "Northwind"}}, nil)
	})
}

// theIntegrations: Slack moves to another workspace, and a second GitHub account comes and goes.
func (w *world) theIntegrations() {
	slack := func(id, name string) entity { return entity{"slack", id, name, ""} }
	labs := entity{"github_installation", "51960242", "northwind-labs", "https://github.com/organizations/northwind-labs/settings/installations/51960242"}
	w.onDay(47, 13, 2, func() {
		w.record(w.as(w.person(olivia)), action.SlackDisconnect, slack("T04N7K2QX", "Northwind Freight"), metadata{"channels": 9})
	})
	w.onDay(47, 13, 9, func() {
		w.record(w.as(w.person(olivia)), action.SlackConnect, slack("T08R1V6LM", "Northwind"), metadata{"channels": 11, "scopes": []string{"chat:write", "channels:read"}})
	})
	w.onDay(38, 12, 25, func() {
		w.record(w.as(w.person(daniel)), action.GitHubInstallationLink, labs, metadata{"account": labs.name, "repositories": "selected", "repository_count": 3})
	})
	w.onDay(11, 15, 50, func() {
		w.record(w.auto("github-webhook"), action.GitHubInstallationUnlink, labs, metadata{"account": labs.name, "reason": "uninstalled on GitHub"})
	})
}

// theSharedView: a question that everybody asked for a while.
func (w *world) theSharedView() {
	admin := w.person(maya)
	view := entity{"audit_view", "5f0c61f2a9b3d847", "Old gateway", ""}
	query := metadata{"query": "q=fax-gateway&from=-7d&tz=Europe/Berlin"}
	w.onDay(57, 9, 12, func() { w.record(w.as(admin), action.AuditViewCreate, view, query) })
	w.onDay(55, 13, 44, func() {
		w.recordChange(w.as(admin), action.AuditViewUpdate, view, changes{"name": {Before: view.name, After: "Fax gateway"}}, nil)
	})
	view.name = "Fax gateway"
	w.onDay(34, 8, 20, func() { w.record(w.as(admin), action.AuditViewDelete, view, query) })
}

// theSubscriptions: an add-on is tried and cancelled, and the plan follows the company's size.
func (w *world) theSubscriptions() {
	payer := w.person(grace)
	addOn := entity{"subscription", w.id("sub_", 14), "Log storage add-on", ""}
	w.onDay(66, 11, 15, func() {
		w.record(w.as(payer), action.SubscriptionActivate, addOn, metadata{"plan": addOn.name, "price": "49.00 EUR", "interval": "month"})
	})
	w.onDay(24, 10, 48, func() {
		w.record(w.as(payer), action.SubscriptionCancel, addOn, metadata{"plan": addOn.name, "ends": w.now.AddDate(0, 0, 14).Format(time.DateOnly), "reason": "not used"})
	})
	w.onDay(51, 9, 40, func() { w.changeSeats(w.as(payer), 48, "new colleagues") })
	w.onDay(28, 6, 5, func() { w.changeSeats(w.auto("billing"), 52, "all seats in use") })
	w.onDay(8, 14, 30, func() { w.changeSeats(w.as(payer), 45, "contracts ended") })
	for _, ago := range []int{75, 45, 15} {
		w.onDay(ago, 0, 30, func() {
			s := w.subscription
			w.recordChange(w.auto("billing"), action.SubscriptionUpdate, s.entity(), changes{"renews_on": {
				Before: w.now.Format(time.DateOnly), After: w.now.AddDate(0, 0, 30).Format(time.DateOnly)}},
				metadata{"plan": s.plan, "invoice": fmt.Sprintf("NW-%s", w.now.Format("200601"))})
		})
	}
}

func (w *world) changeSeats(by hand, seats int, reason string) {
	s := w.subscription
	scaled := action.SubscriptionScaleUp
	if seats < s.seats {
		scaled = action.SubscriptionScaleDown
	}
	w.recordChange(by, scaled, s.entity(), changes{"seats": {Before: s.seats, After: seats}}, metadata{"plan": s.plan, "reason": reason})
	s.seats = seats
}

// theNewService: a project and its first service begin, and an old pair is taken down.
func (w *world) theNewService() {
	lead, builder := w.person(olivia), w.person(priya)
	w.onDay(41, 16, 10, func() {
		p := w.newProject("Returns")
		w.projects = append(w.projects, p)
		w.record(w.as(lead), action.ProjectCreate, p.entity(), metadata{"default_region": "eu-north-1"})
		w.onDay(40, 7, 30, func() {
			s := w.newService("returns-api", p)
			w.services = append(w.services, s)
			details := s.context()
			details["repository"], details["region"] = "northwind/returns-api", "eu-north-1"
			w.record(w.as(builder), action.ServiceCreate, s.entity(), details)
		})
		w.onDay(40, 8, 12, func() { w.deploy(w.as(builder), w.service("returns-api"), builder) })
		w.onDay(40, 9, 26, func() {
			s := w.service("returns-api")
			s.domains = append(s.domains, "returns.northwind.example")
			details := s.context()
			details["domain"] = "returns.northwind.example"
			w.record(w.as(builder), action.ServiceDomainAdd, s.entity(), details)
		})
	})
	legacy := w.newProject("Legacy fax gateway")
	fax := w.newService("fax-gateway", legacy)
	w.onDay(58, 14, 22, func() {
		details := fax.context()
		details["domain"] = "fax.northwind.example"
		w.record(w.as(w.person(daniel)), action.ServiceDomainRemove, fax.entity(), details)
	})
	w.onDay(58, 14, 31, func() {
		details := fax.context()
		details["reason"] = "the last customer moved to the API"
		w.record(w.as(w.person(daniel)), action.ServiceDelete, fax.entity(), details)
	})
	w.onDay(58, 14, 33, func() {
		w.record(w.as(w.person(daniel)), action.ProjectDelete, legacy.entity(), metadata{"services": 0})
	})
	// What seldom happens by chance happens here for certain.
	w.onDay(29, 9, 5, func() { preview(w, w.person(sofia)) })
	w.onDay(27, 10, 0, func() { deleteDeployment(w, w.person(jonas)) })
	w.onDay(26, 13, 0, func() { w.briefWorkflow(w.person(jonas)) })
	w.onDay(22, 13, 30, func() { w.briefChannel(w.person(lucas)) })
	w.onDay(17, 16, 25, func() { w.record(w.as(w.person(maya)), action.UserSignOut, w.person(maya).entity(), nil) })
	w.onDay(16, 11, 8, func() {
		settings := "/orgs/northwind/settings/audit"
		w.record(w.as(w.person(lucas)), action.AccessDenied, entity{"access", settings, "", ""},
			metadata{"method": "POST", "role": accounts.RoleMember, "count_this_hour": 1})
	})
}

// theDelayedDeliveries: some events are written down hours after they happened.
func (w *world) theDelayedDeliveries() {
	for i, ago := range []int{2, 13, 36, 59} {
		w.onDay(ago, 9+i, 17, func() {
			s := pick(w, w.applications())
			d := w.newDeployment(s, "production", "main")
			by := w.auto("github-webhook")
			details := w.deploymentDetails(by, d, w.person(priya))
			details["delivery_attempt"] = 4
			w.recordLate(3*time.Hour+w.minutes(0, 50), by, action.DeploymentCreate, d.entity(), details)
		})
	}
	w.onDay(6, 12, 40, func() {
		s := w.service("label-printer")
		details := s.context()
		details["recorded_by"] = "warehouse agent, offline at the time"
		w.recordLate(26*time.Hour, w.as(w.person(tomasz)), action.ServiceUpdate, s.entity(), details)
	})
}
