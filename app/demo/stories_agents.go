package demo

import (
	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
)

// deployBot is an agent that people give work to.
func (w *world) deployBot(p *person) hand {
	return hand{
		actor: audit.Actor{Type: audit.ActorAgent, ID: "agt_deploy_bot", Name: "Deploy bot", OnBehalfOf: &audit.Principal{
			ID: p.id, Name: p.name, Email: p.email, Session: w.id("ses_", 20)}},
		request: audit.Request{IP: "203.0.113.71", UserAgent: "northwind-deploy-bot/0.9", ID: w.id("req_", 20)},
	}
}

// ended says how it ended, and why.
func ended(outcome audit.Outcome, reason string) func(*audit.Event) {
	return func(e *audit.Event) { e.Outcome, e.Reason = outcome, reason }
}

func related(resources ...audit.Resource) func(*audit.Event) {
	return func(e *audit.Event) { e.Related = resources }
}

// agentDeploys has the agent deploy a service for a person, or fail to, for a reason.
func (w *world) agentDeploys(p *person, failure string) {
	s := pick(w, w.applications())
	d := w.newDeployment(s, "production", "main")
	details := d.context()
	details["build"], details["trigger"] = d.build, "agent"
	parts := related(
		audit.Resource{Type: "service", ID: s.id, Name: s.name, Role: "deployed"},
		audit.Resource{Type: "deployment", ID: s.current.id, Name: s.current.entity().name, Role: "replaced"})
	if failure != "" {
		w.record(w.deployBot(p), action.DeploymentCreate, d.entity(), details, parts, ended(audit.OutcomeFailure, failure))
		return
	}
	w.record(w.deployBot(p), action.DeploymentCreate, d.entity(), details, parts)
	s.previous, s.current = s.current, d
}

// theAgents: an agent deploys for people, and is stopped where none of them could have gone on.
func (w *world) theAgents() {
	for _, ago := range []int{21, 14, 9, 7, 3, 2, 1} {
		w.onDay(ago, 10, 20, func() { w.agentDeploys(w.person(priya), "") })
	}
	w.onDay(1, 15, 2, func() {
		w.agentDeploys(w.person(tomasz), "the image could not be pulled: manifest unknown")
	})
	w.onDay(1, 15, 9, func() {
		s := w.service("rate-engine")
		w.record(w.deployBot(w.person(tomasz)), action.ServiceDelete, s.entity(), s.context(),
			ended(audit.OutcomeDenied, "services in production are deleted by people only"))
	})
	w.onDay(1, 15, 31, func() { w.agentDeploys(w.person(tomasz), "") })
	w.onDay(1, 16, 44, func() {
		w.record(w.as(w.person(kenji)), "session:list", entity{kind: "session"}, metadata{"sessions": 37})
	})
}

// theCloud: what the cloud provider's trail says of the machines, in its own words.
func (w *world) theCloud() {
	runner := func() hand {
		return hand{
			actor: audit.Actor{Type: audit.ActorService, ID: "arn:aws:sts::111122223333:assumed-role/provisioner", Name: "provisioner",
				OnBehalfOf: &audit.Principal{ID: w.person(daniel).id, Name: w.person(daniel).name, Email: daniel, Session: "daniel-laptop"}},
			request: audit.Request{IP: "203.0.113.71", UserAgent: "aws-cli/2.28.11", ID: w.id("req_", 20)},
		}
	}
	native := func(name string) func(*audit.Event) {
		return func(e *audit.Event) { e.NativeAction = name }
	}
	subnet := audit.Resource{Type: "subnet", ID: "subnet-0a1b2c3d4e5f60718", Name: "eu-north-1a private", Role: "subnet"}
	group := audit.Resource{Type: "security_group", ID: "sg-0f9e8d7c6b5a40312", Name: "workers", Role: "firewall"}
	image := audit.Resource{Type: "image", ID: "ami-03c1f5b2a7d8e9046", Role: "image"}
	machine := entity{"instance", "i-0b7c9d1e2f3a45678", "worker-12", ""}
	w.onDay(1, 12, 3, func() {
		w.record(runner(), "", machine, metadata{"instance_type": "c7g.large", "key_name": "workers", "client_token": w.hex(32)},
			native("ec2:RunInstances"), related(subnet, group, image), ended(audit.OutcomeFailure, "InsufficientInstanceCapacity: no c7g.large in eu-north-1a"))
	})
	w.onDay(1, 12, 11, func() {
		w.record(runner(), "", machine, metadata{"instance_type": "c7g.xlarge", "key_name": "workers", "client_token": w.hex(32)},
			native("ec2:RunInstances"), related(subnet, group, image))
	})
	w.onDay(1, 12, 30, func() {
		w.record(runner(), "", entity{"role", "workers-admin", "", ""}, metadata{"policy": "AdministratorAccess"},
			native("iam:AttachRolePolicy"), ended(audit.OutcomeDenied, "explicit deny in a service control policy"))
	})
	stranger := hand{actor: audit.Anonymous(), request: audit.Request{IP: "192.0.2.201", UserAgent: "python-requests/2.32.3"}}
	w.onDay(1, 3, 40, func() {
		w.record(stranger, "", entity{kind: "console"}, nil, native("Login failed"), ended(audit.OutcomeFailure, "no user has this name"))
	})
}
