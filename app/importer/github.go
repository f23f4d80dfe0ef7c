package importer

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event"
)

// gitHub is GitHub's audit log, as its pages export it, its API answers and it is streamed.
var gitHub = format{
	name: "github", order: newestFirst,
	unwrap: func(raw json.RawMessage, r record) (json.RawMessage, record, error) {
		for name, value := range r.object("data") { // where earlier events have their fields
			if r[name] == nil {
				r[name] = value
			}
		}
		return raw, r, nil
	},
	id: []string{"_document_id"}, action: []string{"action"}, time: []string{"@timestamp", "created_at"},
	ip: []string{"actor_ip"}, userAgent: []string{"user_agent"}, requestID: []string{"request_id"},
	actor: func(r record) event.Actor {
		login := r.text("actor")
		switch {
		case login == "" && r.text("deploy_key_fingerprint") != "":
			return service(r.text("deploy_key_fingerprint"), "deploy key")
		case login == "" && (r.text("action") == "user.forgot_password" || r.text("action") == "user.failed_login"):
			return event.Anonymous()
		case login == "":
			return event.System("github")
		case r.is("actor_is_agent"):
			agent := event.Actor{Type: event.ActorAgent, ID: login, Name: login}
			if user := r.text("user"); user != login {
				agent.OnBehalfOf = principal(person(user, user, ""), r.text("agent_session_id"))
			}
			return agent
		case r.is("actor_is_bot") || login == "github" || strings.HasSuffix(login, "[bot]"):
			return service(login, login)
		}
		actor := person(login, login, "")
		if user := r.text("user"); user == "" || user == login {
			actor.Email = email(r.text("external_identity_nameid"))
		}
		return actor
	},
	resources: gitHubResources,
	outcome: func(r record) (event.Outcome, string) {
		var reasons []string
		for _, reason := range r.list("reasons") {
			reasons = append(reasons, reason.text("message", "code"))
		}
		reason := strings.Join(reasons, "; ")
		if reason == "" {
			reason = r.text("reason")
		}
		action := r.text("action")
		status, _ := strconv.Atoi(r.text("status_code"))
		if reason == "" && status >= 400 {
			reason = "HTTP " + strconv.Itoa(status)
		}
		switch {
		case strings.Contains(action, "rejected_"), strings.HasSuffix(action, "request_denied"), strings.HasSuffix(action, ".denied"),
			status == 401, status == 403:
			return event.OutcomeDenied, reason
		case strings.Contains(action, "failed_login"), strings.HasSuffix(action, "_failure"), strings.HasSuffix(action, ".failed"), status >= 400:
			return event.OutcomeFailure, reason
		}
		return "", reason
	},
}

// gitHubKinds is what events of a category are about: the type, and the fields with its ID and its name.
var gitHubKinds = map[string]struct {
	kind     string
	id, name []string
}{
	"hook":                            {"hook", []string{"hook_id"}, []string{"name"}},
	"pull_request":                    {"pull_request", []string{"pull_request_url", "pull_request_id"}, []string{"pull_request_title"}},
	"repository_ruleset":              {"ruleset", []string{"ruleset_id"}, []string{"ruleset_name"}},
	"protected_branch":                {"branch", []string{"branch"}, nil},
	"workflows":                       {"workflow_run", []string{"workflow_run_id"}, []string{"name"}},
	"secret_scanning_alert":           {"secret_scanning_alert", []string{"number"}, nil},
	"secret_scanning_push_protection": {"secret_scanning_alert", []string{"number"}, nil},
	"repository_vulnerability_alert":  {"vulnerability_alert", []string{"alert_number", "ghsa_id"}, []string{"ghsa_id"}},
	"personal_access_token": {"personal_access_token", []string{"user_programmatic_access_id", "user_programmatic_access_name"},
		[]string{"user_programmatic_access_name"}},
	"integration_installation":         {"integration", []string{"integration", "name"}, nil},
	"integration_installation_request": {"integration", []string{"integration"}, nil},
	"org_credential_authorization":     {"credential", []string{"authorized_credential_id", "fingerprint"}, []string{"authorized_credential_note"}},
	"issue_comment":                    {"issue", []string{"issue_id"}, nil},
	"team":                             {"team", []string{"team"}, nil},
}

func gitHubResources(r record) (resources []event.Resource) {
	add := func(kind, id, name string) {
		if id != "0" {
			resources = append(resources, event.Resource{Type: kind, ID: id, Name: name})
		}
	}
	category, verb, _ := strings.Cut(r.text("action"), ".")
	user := r.text("user")
	// The user is whom it was done to, or again who did it.
	other := !r.is("actor_is_agent") && (user != r.text("actor") || r.text("action") == "org.add_member")
	switch category {
	case "org", "repo", "organization_moderators":
		if other {
			add("user", user, "")
		}
	}
	if of, known := gitHubKinds[category]; known {
		add(of.kind, r.text(of.id...), r.text(of.name...))
	}
	if strings.HasSuffix(verb, "_secret") {
		add("actions_secret", r.text("key"), "")
	}
	switch category {
	case "team", "org_credential_authorization", "personal_access_token":
		if other {
			add("user", user, "")
		}
	}
	add("repository", r.text("repo", "repository"), "")
	switch category {
	case "user", "two_factor_authentication", "oauth_access", "oauth_authorization":
		add("user", user, "")
	}
	names, _ := r["repositories_added_names"].([]any)
	for _, name := range names {
		add("repository", textOf(name), "")
	}
	add("team", r.text("team"), "")
	add("organization", r.text("org"), "")
	add("enterprise", r.text("business"), "")
	return resources
}
