package demo

import (
	"fmt"
	"slices"

	"github.com/auditlogs/auditlogs/app/audit"
)

type project struct {
	id, name string
	settings map[string]any
}

func (p *project) entity() entity { return entity{"project", p.id, p.name, ""} }

type service struct {
	id, name string
	project  *project
	branch   string
	settings map[string]any
	domains  []string
	current  deployment // what runs in production
	previous deployment // what ran before
}

func (s *service) entity() entity { return entity{"service", s.id, s.name, ""} }

// context is the metadata that everything about a service carries.
func (s *service) context() metadata {
	return metadata{"service_name": s.name, "project_name": s.project.name}
}

type deployment struct {
	service     *service
	id          string
	environment string
	branch      string
	commit      string
	build       int
}

type workflow struct {
	id, name string
	enabled  bool
	settings map[string]any
}

func (f *workflow) entity() entity { return entity{"workflow", f.id, f.name, ""} }

type channel struct {
	id, name string
	settings map[string]any
}

func (c *channel) entity() entity { return entity{"notification_channel", c.id, c.name, ""} }

type subscription struct {
	id, plan string
	seats    int
	settings map[string]any
}

func (s *subscription) entity() entity { return entity{"subscription", s.id, s.plan, ""} }

// console is where the company's own resources live.
const console = "https://console.northwind.example"

// entity of a deployment carries its own address now and then, as applications do: the others are
// reached through the organization's link templates or through History.
func (d deployment) entity() entity {
	about := entity{"deployment", d.id, fmt.Sprintf("%s #%d", d.service.name, d.build), ""}
	if d.build%3 == 0 {
		about.url = console + "/deployments/" + d.id
	}
	return about
}

// context is the metadata that everything about a deployment carries.
func (d deployment) context() metadata {
	return metadata{
		"service_name": d.service.name,
		"service_id":   d.service.id,
		"environment":  d.environment,
		"branch":       d.branch,
		"commit":       d.commit,
	}
}

// northwindInventory gives the company what it had when the log begins.
func (w *world) northwindInventory() {
	for _, name := range []string{"Shipment Tracking", "Carrier Network", "Billing", "Customer Portal", "Platform"} {
		w.projects = append(w.projects, w.newProject(name))
	}
	for _, s := range []struct {
		name    string
		project int
		domains []string
	}{
		{"tracking-api", 0, []string{"api.northwind.example"}},
		{"eta-predictor", 0, nil},
		{"geo-index", 0, nil},
		{"event-ingest", 0, []string{"ingest.northwind.example"}},
		{"carrier-sync", 1, nil},
		{"rate-engine", 1, []string{"rates.northwind.example"}},
		{"customs-documents", 1, nil},
		{"label-printer", 1, nil},
		{"billing-worker", 2, nil},
		{"invoice-renderer", 2, nil},
		{"web-dashboard", 3, []string{"app.northwind.example", "northwind.example"}},
		{"auth", 3, []string{"login.northwind.example"}},
		{"notifications", 3, nil},
		{"docs-site", 3, []string{"docs.northwind.example"}},
		{"webhook-relay", 4, []string{"hooks.northwind.example"}},
		{"search-indexer", 4, nil},
		{"data-export", 4, nil},
		{stagingDatabase, 4, nil},
	} {
		made := w.newService(s.name, w.projects[s.project])
		made.domains = s.domains
		w.services = append(w.services, made)
	}
	for _, name := range []string{"Continuous integration", "Nightly backups", "Release train", "Dependency updates",
		"Preview environments", "Load test", "Schema drift check", "Rotate credentials"} {
		w.workflows = append(w.workflows, w.newWorkflow(name))
	}
	for _, c := range [][2]string{{"#deployments", "slack"}, {"#incidents", "slack"}, {"Platform on call", "pagerduty"},
		{"ops@northwind.example", "email"}, {"#billing", "slack"}} {
		w.channels = append(w.channels, w.newChannel(c[0], c[1]))
	}
	w.subscription = &subscription{id: w.id("sub_", 14), plan: "Business", seats: 40, settings: map[string]any{
		"seats": 40, "build_minutes": 20000, "billing_email": "billing@northwind.example", "payment_method": "SEPA …4471"}}
	w.pull, w.build = 2310, 8800
}

func (w *world) newProject(name string) *project {
	return &project{id: w.id("prj_", 12), name: name, settings: map[string]any{
		"description": "", "default_region": "eu-north-1", "owner": "platform"}}
}

func (w *world) newService(name string, in *project) *service {
	s := &service{id: w.id("svc_", 12), name: name, project: in, branch: "main", settings: map[string]any{
		"replicas": w.between(2, 4), "memory_mb": 512, "cpu": 0.5, "log_level": "info",
		"health_check_path": "/healthz", "request_timeout_seconds": 30, "auto_deploy": true, "region": "eu-north-1"}}
	s.current = w.newDeployment(s, "production", "main")
	s.previous = w.newDeployment(s, "production", "main")
	return s
}

func (w *world) newDeployment(s *service, environment, branch string) deployment {
	w.build++
	return deployment{service: s, id: w.id("dep_", 14), environment: environment, branch: branch,
		commit: w.hex(40), build: w.build}
}

func (w *world) newWorkflow(name string) *workflow {
	return &workflow{id: w.id("wf_", 12), name: name, enabled: true, settings: map[string]any{
		"schedule": "0 3 * * *", "timeout_minutes": 30, "runner": "standard-2", "retries": 1}}
}

func (w *world) newChannel(name, kind string) *channel {
	return &channel{id: w.id("nch_", 12), name: name, settings: map[string]any{
		"kind": kind, "target": name, "events": []string{"deployment.failed", "service.down"}, "muted": false}}
}

// service finds one by name.
func (w *world) service(name string) *service {
	for _, s := range w.services {
		if s.name == name {
			return s
		}
	}
	panic("demo: there is no service " + name)
}

// removeService takes a service away.
func (w *world) removeService(s *service) {
	w.services = slices.DeleteFunc(w.services, func(other *service) bool { return other == s })
}

// possible are the values a setting takes in the course of time.
var possible = map[string][]any{
	"replicas":                {2, 3, 4, 5, 6, 8},
	"memory_mb":               {256, 512, 768, 1024, 2048},
	"cpu":                     {0.25, 0.5, 1.0, 2.0},
	"log_level":               {"info", "debug", "warn"},
	"health_check_path":       {"/healthz", "/health/ready", "/status"},
	"request_timeout_seconds": {10, 15, 30, 60},
	"auto_deploy":             {true, false},
	"schedule":                {"0 3 * * *", "30 2 * * *", "15 1 * * *", "0 6 * * 1-5", nil},
	"timeout_minutes":         {15, 30, 45, 60},
	"runner":                  {"standard-2", "standard-4", "large-8"},
	"retries":                 {0, 1, 2, 3},
	"muted":                   {true, false},
	"description":             {"", "Everything a customer sees", "Owned by the platform team", "See the runbook before deploying"},
	"default_region":          {"eu-north-1", "eu-west-1", "us-east-1"},
	"owner":                   {"platform", "carriers", "portal", "finance"},
	"build_minutes":           {10000, 20000, 30000, 40000},
	"events": {
		[]string{"deployment.failed", "service.down"},
		[]string{"deployment.failed", "deployment.succeeded", "service.down"},
		[]string{"service.down"},
	},
}

// alter sets fields to other values than they have and returns what changed.
func (w *world) alter(settings map[string]any, fields ...string) changes {
	what := changes{}
	for _, field := range fields {
		before := settings[field]
		after := pick(w, possible[field])
		for same(before, after) {
			after = pick(w, possible[field])
		}
		settings[field] = after
		what[field] = audit.Change{Before: before, After: after}
	}
	return what
}

func same(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// some picks a few different fields.
func (w *world) some(from []string, most int) []string {
	shuffled := slices.Clone(from)
	w.rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	return shuffled[:w.between(1, most)]
}
