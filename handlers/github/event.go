package github

import (
	"maps"
	"net/url"
	"slices"
	"strconv"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// Source names the automation in entries made of deliveries.
const Source = "github-webhook"

const (
	// maxRepositories is how many repositories an entry names; it says how many there are.
	maxRepositories = 500
	// maxEntityName is that of the audit log, in bytes.
	maxEntityName = 200
)

// Delivery is what GitHub sent.
type Delivery struct {
	ID    string // X-GitHub-Delivery
	Event string // X-GitHub-Event, such as "deployment"
	Body  []byte // JSON
}

// metadata is what entries say of a delivery, besides what every entry says.
type metadata struct {
	Delivery     string `json:"delivery"`
	Event        string `json:"event"` // with the delivery's action: "installation.suspend"
	Sender       text   `json:"sender,omitempty"`
	Organization text   `json:"organization,omitempty"`
	*deploymentMetadata
	*installationMetadata
	Changes map[string]audit.Change `json:"changes,omitempty"`
}

type deploymentMetadata struct {
	Repository     text `json:"repository"`
	Commit         text `json:"commit,omitempty"`
	Ref            text `json:"ref,omitempty"`
	Environment    text `json:"environment,omitempty"`
	Task           text `json:"task,omitempty"`
	State          text `json:"state,omitempty"`
	Description    text `json:"description,omitempty"`
	Creator        text `json:"creator,omitempty"`
	LogURL         text `json:"log_url,omitempty"`
	EnvironmentURL text `json:"environment_url,omitempty"`
	WorkflowRun    text `json:"workflow_run,omitempty"`
}

type installationMetadata struct {
	Account             text   `json:"account,omitempty"`
	AccountType         text   `json:"account_type,omitempty"`
	AppID               int64  `json:"app_id,omitempty"`
	App                 text   `json:"app,omitempty"`
	Requester           text   `json:"requester,omitempty"`
	RepositorySelection text   `json:"repository_selection,omitempty"`
	Repositories        []text `json:"repositories,omitempty"`
	RepositoryCount     int    `json:"repository_count,omitempty"`
	RepositoriesAdded   []text `json:"repositories_added,omitempty"`
	RepositoriesRemoved []text `json:"repositories_removed,omitempty"`
	// Permissions are texts such as "contents: write": as keys of an object some of them would read
	// like credentials.
	Permissions []string `json:"permissions,omitempty"`
}

// AuditEvent is the event that a delivery tells of, by the system, without its organization. Its
// time is GitHub's, and zero where GitHub does not say when it happened.
//
// Errors: *IgnoredError for deliveries the log keeps nothing of, *fault.Field for those that lack
// something.
func (d Delivery) AuditEvent() (audit.Event, error) {
	switch d.Event {
	case "installation", "installation_repositories", "deployment", "deployment_status":
	default:
		return audit.Event{}, &IgnoredError{d.Event}
	}
	p, err := parsePayload(d.Body)
	if err != nil {
		return audit.Event{}, err
	}
	said := metadata{
		Delivery: d.ID, Event: d.Event, Sender: p.Sender.Login, Organization: p.Organization.Login,
	}
	if p.Action != "" {
		said.Event += "." + string(p.Action)
	}
	var told audit.Event
	switch d.Event {
	case "installation":
		told, err = installationEvent(&p, &said)
	case "installation_repositories":
		told, err = repositoriesEvent(&p, &said)
	case "deployment":
		told, err = deploymentEvent(&p, &said)
	case "deployment_status":
		told, err = statusEvent(&p, &said)
	}
	if err != nil {
		return audit.Event{}, err
	}
	told.Actor, told.Metadata = audit.System(Source), said
	return told, nil
}

func installationEvent(p *payload, said *metadata) (audit.Event, error) {
	told, err := ofInstallation(p, said)
	if err != nil {
		return told, err
	}
	switch p.Action {
	case "created":
		told.Action, told.OccurredAt = action.GitHubInstallationLink, p.Installation.CreatedAt.Time
	case "deleted":
		told.Action = action.GitHubInstallationUnlink
	case "suspend":
		told.Action, told.OccurredAt = action.GitHubInstallationUpdate, p.Installation.SuspendedAt.Time
		said.Changes = map[string]audit.Change{"suspended": {Before: false, After: true}}
	case "unsuspend":
		told.Action = action.GitHubInstallationUpdate
		said.Changes = map[string]audit.Change{"suspended": {Before: true, After: false}}
	case "new_permissions_accepted":
		told.Action = action.GitHubInstallationUpdate
	default:
		return told, &IgnoredError{said.Event}
	}
	said.Repositories = namesOf(p.Repositories)
	said.RepositoryCount = len(p.Repositories)
	return told, nil
}

func repositoriesEvent(p *payload, said *metadata) (audit.Event, error) {
	told, err := ofInstallation(p, said)
	if err != nil {
		return told, err
	}
	if p.Action != "added" && p.Action != "removed" {
		return told, &IgnoredError{said.Event}
	}
	told.Action = action.GitHubInstallationUpdate
	said.RepositoriesAdded, said.RepositoriesRemoved = namesOf(p.RepositoriesAdded), namesOf(p.RepositoriesRemoved)
	said.RepositoryCount = len(p.RepositoriesAdded) + len(p.RepositoriesRemoved)
	return told, nil
}

// ofInstallation is what all events of an installation have in common.
func ofInstallation(p *payload, said *metadata) (audit.Event, error) {
	if p.Installation == nil || p.Installation.ID <= 0 {
		return audit.Event{}, fault.Newf("installation.id", fault.Required, "is required")
	}
	in := p.Installation
	said.installationMetadata = &installationMetadata{
		Account: in.Account.Login, AccountType: in.Account.Type, AppID: in.AppID, App: in.AppSlug,
		Requester: p.Requester.Login, RepositorySelection: in.RepositorySelection,
	}
	if p.RepositorySelection != "" {
		said.RepositorySelection = p.RepositorySelection
	}
	for _, name := range slices.Sorted(maps.Keys(in.Permissions)) {
		said.Permissions = append(said.Permissions, name+": "+string(in.Permissions[name]))
	}
	return audit.Event{
		EntityID:   strconv.FormatInt(in.ID, 10),
		EntityName: cut(string(in.Account.Login), maxEntityName),
		URL:        webAddress(in.HTMLURL),
	}, nil
}

func deploymentEvent(p *payload, said *metadata) (audit.Event, error) {
	told, err := ofDeployment(p, said)
	if err != nil {
		return told, err
	}
	told.Action, told.OccurredAt = action.DeploymentCreate, p.Deployment.CreatedAt.Time
	said.Description, said.Creator = p.Deployment.Description, p.Deployment.Creator.Login
	return told, nil
}

func statusEvent(p *payload, said *metadata) (audit.Event, error) {
	told, err := ofDeployment(p, said)
	if err != nil {
		return told, err
	}
	status := p.DeploymentStatus
	if status == nil || status.State == "" {
		return told, fault.Newf("deployment_status.state", fault.Required, "is required")
	}
	told.Action, told.OccurredAt = action.DeploymentStatusUpdate, status.CreatedAt.Time
	said.State, said.Description, said.Creator = status.State, status.Description, status.Creator.Login
	said.EnvironmentURL, said.LogURL = status.EnvironmentURL, status.LogURL
	if said.LogURL == "" {
		said.LogURL = status.TargetURL
	}
	return told, nil
}

// ofDeployment is what all events of a deployment have in common. GitHub Enterprise Server sends
// these deliveries without an action.
func ofDeployment(p *payload, said *metadata) (audit.Event, error) {
	switch {
	case p.Action != "created" && p.Action != "":
		return audit.Event{}, &IgnoredError{said.Event}
	case p.Deployment == nil || p.Deployment.ID <= 0:
		return audit.Event{}, fault.Newf("deployment.id", fault.Required, "is required")
	case p.Repository.FullName == "":
		return audit.Event{}, fault.Newf("repository.full_name", fault.Required, "is required")
	}
	d := p.Deployment
	said.deploymentMetadata = &deploymentMetadata{
		Repository: p.Repository.FullName, Commit: d.SHA, Ref: d.Ref, Environment: d.Environment, Task: d.Task,
		WorkflowRun: p.WorkflowRun.HTMLURL,
	}
	name, address := string(p.Repository.FullName), webAddress(p.Repository.HTMLURL)
	if address != "" {
		address += "/deployments"
	}
	if d.Environment != "" {
		name += " " + string(d.Environment)
		if address != "" {
			address += "/" + url.PathEscape(string(d.Environment))
		}
	}
	return audit.Event{
		EntityID:   strconv.FormatInt(d.ID, 10),
		EntityName: cut(name, maxEntityName),
		URL:        webAddress(text(address)),
	}, nil
}

// namesOf lists at most maxRepositories of them by name.
func namesOf(repositories []repository) []text {
	names := make([]text, 0, min(len(repositories), maxRepositories))
	for _, r := range repositories[:min(len(repositories), maxRepositories)] {
		names = append(names, r.FullName)
	}
	return names
}

// webAddress is a link people can follow, or empty: a delivery is not refused for the link in it.
func webAddress(link text) string {
	if len(link) >= maxText || event.WebAddressFault(string(link)) != "" {
		return ""
	}
	return string(link)
}
