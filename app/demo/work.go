package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
)

// What people of each kind do at work.
var (
	building = []weighted{{6, deploy}, {2.5, merge}, {2, preview}, {3.5, configure}, {1.8, setVariable}, {1, editWorkflow}, {0.7, scan}, {0.4, deleteDeployment}}

	operating = []weighted{{4, deploy}, {2, merge}, {3.5, configure}, {2, setVariable}, {1.5, editWorkflow}, {1.2, editChannel}, {0.8, changeDomain}, {0.8, deleteDeployment}, {0.5, scan}, {0.4, toggleWorkflow}}

	designing = []weighted{{6, deploy}, {2.5, preview}, {2, merge}, {2, configure}, {0.8, changeDomain}, {0.4, editChannel}}

	leading = []weighted{{2, deploy}, {2, configure}, {1.5, editProject}, {1, editChannel}, {1, toggleWorkflow}, {0.8, editWorkflow}, {0.5, exportLog}, {0.5, configureAI}}

	guarding = []weighted{{4, scan}, {2, configure}, {1.5, setVariable}, {0.8, editInstallation}, {0.7, exportLog}, {0.5, editWorkflow}}

	paying = []weighted{{2, editSubscription}, {1, editProject}, {0.6, editChannel}, {0.7, exportLog}}
)

var serviceFields = []string{"replicas", "memory_mb", "cpu", "log_level", "health_check_path", "request_timeout_seconds", "auto_deploy"}

// configure changes settings of a service; now and then twice in a row, as people do.
func configure(w *world, p *person) {
	s := pick(w, w.applications())
	w.recordChange(w.as(p), action.ServiceUpdate, s.entity(), w.alter(s.settings, w.some(serviceFields, 3)...), s.context())
	if w.chance(0.3) {
		w.after(4*time.Minute, func() {
			w.recordChange(w.as(p), action.ServiceUpdate, s.entity(), w.alter(s.settings, w.some(serviceFields, 1)...), s.context())
		})
	}
}

// setVariable changes an environment variable; secret values never reach the log.
func setVariable(w *world, p *person) {
	s := pick(w, w.applications())
	variable := pick(w, []string{"CARRIER_TIMEOUT_MS", "FEATURE_NEW_RATES", "DATABASE_POOL_SIZE", "QUEUE_CONCURRENCY", "STRIPE_API_KEY", "SMTP_PASSWORD"})
	field := "environment." + variable
	before, known := s.settings[field]
	after := any(fmt.Sprint(w.between(1, 60) * 50))
	switch {
	case strings.HasSuffix(variable, "KEY") || strings.HasSuffix(variable, "PASSWORD"):
		after = "[redacted]"
		if known {
			before = "[redacted]"
		}
	case known && w.chance(0.2):
		after = nil
	}
	if after == nil {
		delete(s.settings, field)
	} else {
		s.settings[field] = after
	}
	w.recordChange(w.as(p), action.ServiceUpdate, s.entity(), changes{field: {Before: before, After: after}}, s.context())
}

// changeDomain adds, changes or removes a custom domain.
func changeDomain(w *world, p *person) {
	s := pick(w, w.applications())
	details := s.context()
	if len(s.domains) > 1 && w.chance(0.35) {
		domain := s.domains[len(s.domains)-1]
		s.domains = s.domains[:len(s.domains)-1]
		details["domain"] = domain
		w.record(w.as(p), action.ServiceDomainRemove, s.entity(), details)
		return
	}
	if len(s.domains) > 0 && w.chance(0.5) {
		details["domain"] = pick(w, s.domains)
		before, after := "/", "https://"+s.domains[0]
		w.recordChange(w.as(p), action.ServiceDomainUpdate, s.entity(), changes{"redirect_to": {Before: before, After: after}}, details)
		return
	}
	domain := fmt.Sprintf("%s-%s.northwind.example", s.name, pick(w, []string{"eu", "us", "beta", "partners"}))
	s.domains = append(s.domains, domain)
	details["domain"] = domain
	details["certificate"] = "pending"
	w.record(w.as(p), action.ServiceDomainAdd, s.entity(), details)
	w.after(6*time.Minute, func() { w.renewCertificate(s, domain, "pending") })
}

// renewCertificate is what the certificate manager does by itself.
func (w *world) renewCertificate(s *service, domain, before string) {
	details := s.context()
	details["domain"] = domain
	details["expires"] = w.now.AddDate(0, 0, 90).Format(time.DateOnly)
	w.recordChange(w.auto("certificate-manager"), action.ServiceDomainUpdate, s.entity(),
		changes{"certificate": {Before: before, After: "issued"}}, details)
}

// scan asks for an AI scan of a service; the answer comes from the scanner minutes later.
func scan(w *world, p *person) { w.scan(w.as(p), pick(w, w.applications())) }

func (w *world) scan(by hand, s *service) {
	id := w.id("scan_", 10)
	details := s.context()
	details["scan_id"] = id
	details["commit"] = s.current.commit
	details["scope"] = pick(w, []string{"full", "changed files", "dependencies"})
	w.record(by, action.ServiceAIScanStart, s.entity(), details)
	w.after(7*time.Minute, func() {
		result := s.context()
		result["scan_id"] = id
		if w.chance(0.06) {
			result["error"] = pick(w, []string{"the repository could not be cloned: permission denied", "timed out after 15 minutes"})
			w.record(w.auto("ai-scanner"), action.ServiceAIScanFail, s.entity(), result)
			return
		}
		result["files_scanned"] = w.between(60, 900)
		result["findings"] = metadata{"critical": w.rng.IntN(8) / 7, "high": w.between(0, 2), "medium": w.between(0, 5), "low": w.between(0, 12)}
		result["duration_seconds"] = w.between(180, 620)
		w.record(w.auto("ai-scanner"), action.ServiceAIScanComplete, s.entity(), result)
	})
}

// editWorkflow changes a workflow, or makes one and later takes it away.
func editWorkflow(w *world, p *person) {
	if w.chance(0.12) {
		w.briefWorkflow(p)
		return
	}
	f := pick(w, w.workflows)
	w.recordChange(w.as(p), action.WorkflowUpdate, f.entity(), w.alter(f.settings, w.some([]string{"schedule", "timeout_minutes", "runner", "retries"}, 2)...), nil)
}

// briefWorkflow is a workflow that is tried for two days.
func (w *world) briefWorkflow(p *person) {
	trial := w.newWorkflow(pick(w, []string{"Benchmark", "Seed test data", "Publish SDK", "Sync translations", "Warm caches"}))
	w.record(w.as(p), action.WorkflowCreate, trial.entity(), metadata{"schedule": trial.settings["schedule"], "runner": trial.settings["runner"]})
	w.after(50*time.Hour, func() {
		w.record(w.as(p), action.WorkflowDelete, trial.entity(), metadata{"runs": w.between(1, 60)})
	})
}

// toggleWorkflow switches a workflow off, and on again when the reason has passed.
func toggleWorkflow(w *world, p *person) {
	f := pick(w, w.workflows)
	if !f.enabled {
		return
	}
	w.setWorkflow(w.as(p), f, false, pick(w, []string{"noisy while the carrier is down", "code freeze", "runner maintenance"}))
	w.after(5*time.Hour, func() { w.setWorkflow(w.as(p), f, true, "") })
}

func (w *world) setWorkflow(by hand, f *workflow, enabled bool, reason string) {
	if f.enabled == enabled {
		return
	}
	f.enabled = enabled
	switched, details := action.WorkflowEnable, metadata{}
	if !enabled {
		switched = action.WorkflowDisable
	}
	if reason != "" {
		details["reason"] = reason
	}
	w.recordChange(by, switched, f.entity(), changes{"enabled": {Before: !enabled, After: enabled}}, details)
}

// editChannel changes a notification channel, or adds one and removes it after a while.
func editChannel(w *world, p *person) {
	if w.chance(0.15) {
		w.briefChannel(p)
		return
	}
	c := pick(w, w.channels)
	w.recordChange(w.as(p), action.NotificationChannelUpdate, c.entity(), w.alter(c.settings, pick(w, []string{"events", "muted"})), metadata{"kind": c.settings["kind"]})
}

// briefChannel is a channel that is needed for a few days.
func (w *world) briefChannel(p *person) {
	made := pick(w, [][2]string{{"#peak-season", "slack"}, {"#carrier-outage", "slack"}, {"status-board", "webhook"}, {"ops-sms", "sms"}})
	c := w.newChannel(made[0], made[1])
	w.record(w.as(p), action.NotificationChannelCreate, c.entity(), metadata{"kind": c.settings["kind"], "events": c.settings["events"]})
	w.after(120*time.Hour, func() {
		w.record(w.as(p), action.NotificationChannelDelete, c.entity(), metadata{"kind": c.settings["kind"]})
	})
}

// editProject changes a project.
func editProject(w *world, p *person) {
	one := pick(w, w.projects)
	w.recordChange(w.as(p), action.ProjectUpdate, one.entity(), w.alter(one.settings, w.some([]string{"description", "default_region", "owner"}, 2)...), nil)
}

// exportLog takes a copy of the log.
func exportLog(w *world, p *person) {
	w.record(w.as(p), action.AuditLogExport, w.logEntity(), metadata{
		"format": pick(w, []string{"csv", "csv", "ndjson"}), "filters": pick(w, []string{"", "actor=system", "from=-7d", "entity_type=service&from=-30d"})})
}

// configureAI changes how the AI features work.
func configureAI(w *world, p *person) {
	before := pick(w, []string{"changed files", "dependencies"})
	w.recordChange(w.as(p), action.OrganizationAIConfigUpdate, w.organizationEntity(), changes{
		"scan_scope": {Before: before, After: "full"}, "scans_per_day": {Before: 20, After: w.between(5, 12) * 5}}, nil)
}

// editInstallation changes which repositories GitHub lets the platform see.
func editInstallation(w *world, p *person) {
	repository := "northwind/" + pick(w, w.applications()).name
	w.recordChange(w.as(p), action.GitHubInstallationUpdate, githubInstallation(), changes{
		"repositories_added": {Before: nil, After: []string{repository}}}, metadata{"account": "northwind", "repository_count": w.between(18, 31)})
}

// editSubscription changes the plan's details.
func editSubscription(w *world, p *person) {
	s := w.subscription
	w.recordChange(w.as(p), action.SubscriptionUpdate, s.entity(), w.alter(s.settings, "build_minutes"), metadata{"plan": s.plan})
}

func githubInstallation() entity {
	return entity{"github_installation", "48213377", "northwind", "https://github.com/organizations/northwind/settings/installations/48213377"}
}

func (w *world) organizationEntity() entity {
	return entity{"organization", w.organization, w.name, ""}
}

func (w *world) logEntity() entity { return entity{"audit_log", w.organization, w.name, ""} }
