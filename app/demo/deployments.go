package demo

import (
	"fmt"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
)

// commitMessages are filled with a service's name where they have room for one.
var commitMessages = []string{
	"Retry carrier timeouts with backoff",
	"Cache rate tables for five minutes",
	"Fix rounding of surcharges in SEK",
	"Bump dependencies",
	"Show the estimated arrival in the customer's zone",
	"Drop the unused shipments_v1 index",
	"Log the carrier's request ID",
	"Handle empty postal codes",
	"Batch geocoding requests",
	"Speed up label rendering",
	"Refuse webhooks older than ten minutes",
	"Move feature flags to the config service",
	"Add a health check for the queue",
	"Correct the customs tariff lookup for parts",
	"Paginate the shipments list",
	"Use structured logging in %s",
	"Tidy error messages of %s",
	"Raise test coverage of %s",
}

func (w *world) commitMessage(s *service) string {
	message := pick(w, commitMessages)
	if n := len(message); n > 2 && message[n-2:] == "%s" {
		return fmt.Sprintf(message, s.name)
	}
	return message
}

// applications are the services that get deployed.
func (w *world) applications() []*service {
	var found []*service
	for _, s := range w.services {
		if s.name != stagingDatabase {
			found = append(found, s)
		}
	}
	return found
}

// deploy brings a service to production by hand.
func deploy(w *world, p *person) { w.deploy(w.as(p), pick(w, w.applications()), p) }

// merge is a pull request that lands: GitHub tells, and the platform deploys by itself.
func merge(w *world, p *person) { w.deploy(w.auto("github-webhook"), pick(w, w.applications()), p) }

func (w *world) deploy(by hand, s *service, author *person) deployment {
	d := w.newDeployment(s, "production", s.branch)
	w.record(by, action.DeploymentCreate, d.entity(), w.deploymentDetails(by, d, author))
	if w.chance(0.05) {
		w.after(3*time.Minute, func() {
			by := w.as(author)
			details := d.context()
			details["reason"] = pick(w, []string{"superseded by a newer commit", "wrong branch", "failing smoke test", "asked to wait for the release train"})
			w.record(by, action.DeploymentCancel, d.entity(), details)
		})
		return d
	}
	s.previous, s.current = s.current, d
	if w.chance(0.015) {
		w.after(14*time.Minute, func() {
			w.rollback(w.as(author), d, pick(w, []string{"error rate above 2 %", "p99 latency doubled", "a customer reported wrong prices"}))
		})
	}
	return d
}

func (w *world) deploymentDetails(by hand, d deployment, author *person) metadata {
	details := d.context()
	details["build"] = d.build
	details["commit_message"] = w.commitMessage(d.service)
	details["commit_author"] = author.name
	details["image"] = fmt.Sprintf("registry.northwind.example/%s:%s", d.service.name, d.commit[:12])
	if by.actor.ID == audit.System("").ID {
		w.pull++
		details["trigger"] = "push"
		details["pull_request"] = w.pull
	} else {
		details["trigger"] = "manual"
	}
	return details
}

// rollback takes a deployment back to the one before it.
func (w *world) rollback(by hand, d deployment, reason string) {
	s := d.service
	details := d.context()
	details["reason"] = reason
	details["rolled_back_to"] = metadata{"deployment_id": s.previous.id, "commit": s.previous.commit, "build": s.previous.build}
	details["changes"] = changes{
		"deployment_id": {Before: d.id, After: s.previous.id},
		"commit":        {Before: d.commit, After: s.previous.commit},
	}
	details["changed_fields"] = []string{"commit", "deployment_id"}
	w.record(by, action.DeploymentRollback, d.entity(), details)
	s.current = s.previous
}

// preview is a pull request that opens: it gets a deployment of its own until it closes.
func preview(w *world, p *person) {
	s := pick(w, w.applications())
	w.pull++
	d := w.newDeployment(s, "preview", fmt.Sprintf("%s/%s", initials(p), pick(w, []string{
		"carrier-timeouts", "fix-rounding", "eta-zones", "label-cache", "paginate", "tariff-parts", "flags", "queue-health"})))
	by := w.auto("github-webhook")
	details := w.deploymentDetails(by, d, p)
	details["trigger"] = "pull_request"
	w.record(by, action.DeploymentCreate, d.entity(), details)
	w.retired = append(w.retired, d)
	if w.chance(0.35) { // somebody pushes again
		w.after(50*time.Minute, func() {
			again := w.newDeployment(s, "preview", d.branch)
			by := w.auto("github-webhook")
			details := w.deploymentDetails(by, again, p)
			details["trigger"] = "pull_request"
			details["replaces"] = d.id
			w.record(by, action.DeploymentCreate, again.entity(), details)
		})
	}
}

func initials(p *person) string {
	var letters []byte
	for i := range len(p.name) {
		if c := p.name[i]; c >= 'A' && c <= 'Z' {
			letters = append(letters, c+'a'-'A')
		}
	}
	return string(letters)
}

// removePreviews is the nightly sweep of deployments whose pull request has closed.
func (w *world) removePreviews(share float64) {
	var kept []deployment
	for _, d := range w.retired {
		if !w.chance(share) {
			kept = append(kept, d)
			continue
		}
		w.after(w.minutes(1, 20), func() {
			details := d.context()
			details["reason"] = "pull request closed"
			w.record(w.auto("preview-cleaner"), action.DeploymentDelete, d.entity(), details)
		})
	}
	w.retired = kept
}

// deleteDeployment removes an old deployment by hand.
func deleteDeployment(w *world, p *person) {
	s := pick(w, w.applications())
	old := w.newDeployment(s, "staging", "main")
	old.build -= w.between(40, 400)
	details := old.context()
	details["reason"] = "no longer needed"
	w.record(w.as(p), action.DeploymentDelete, old.entity(), details)
}

// releaseTrain deploys many services within minutes.
func (w *world) releaseTrain(by *person) {
	services := w.applications()
	w.rng.Shuffle(len(services), func(i, j int) { services[i], services[j] = services[j], services[i] })
	for i, s := range services[:w.between(5, 9)] {
		w.at(w.now.Add(time.Duration(i)*w.minutes(1, 3)), func() {
			if w.chance(0.3) {
				w.deploy(w.with(w.releaseKey, w.auto("release-train")), s, by)
			} else {
				w.deploy(w.as(by), s, by)
			}
		})
	}
}
