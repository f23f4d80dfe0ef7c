// Package exchange writes entries in the forms in which programs exchange events: OCSF, CloudEvents and ECS,
// beside the API's own. Each is a table of its fields in a file of its own. What a form has no field for stands
// in it under our names, so that no form loses anything of an entry; docs/export.md has all three side by side.
package exchange

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
)

// Log is what all entries of an answer or a file have in common.
type Log struct {
	Organization models.Organization
	Server       string // scheme and host
	Path         string // of the log's page there
}

// Address returns the address of the log's page.
func (l Log) Address() string { return l.Server + l.Path }

// AddressOf returns the address of an entry's page.
func (l Log) AddressOf(e *models.Entry) string { return l.Address() + "/" + e.ID.String() }

// Form is one in which programs exchange events, of one version.
type Form struct {
	Name  string // in addresses and names of files
	Title string // for people, with the version
	// Of returns an entry as what encodes to a JSON object.
	Of func(l Log, e *models.Entry) any
}

// Forms are all there are.
var Forms = []Form{
	{"ocsf", "OCSF " + ocsfVersion, ocsf},
	{"cloudevents", "CloudEvents " + cloudEventsVersion, cloudEventOf},
	{"ecs", "ECS " + ecsVersion, ecs},
}

// Names returns the names of all forms.
func Names() (names []string) {
	for _, f := range Forms {
		names = append(names, f.Name)
	}
	return names
}

// Named returns the form of a name: our own, which Forms does not list, of the empty one.
func Named(name string) (Form, bool) {
	if name == "" {
		return Form{Of: func(_ Log, e *models.Entry) any { return EntryOf(e) }}, true
	}
	i := slices.IndexFunc(Forms, func(f Form) bool { return f.Name == name })
	if i < 0 {
		return Form{}, false
	}
	return Forms[i], true
}

// object is a JSON object that is written by paths, such as "event.action".
type object map[string]any

// put writes a value at a path. An empty text and nil are absent.
func (o object) put(path string, value any) {
	if value == "" || value == nil {
		return
	}
	name, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		o[name] = value
		return
	}
	inner, ok := o[name].(object)
	if !ok {
		inner = object{}
		o[name] = inner
	}
	inner.put(rest, value)
}

// putOurs writes, in an object of ours, what neither OCSF nor ECS has a field for.
func (o object) putOurs(name string, e *models.Entry) {
	name += "."
	if e.OnBehalfOf != nil {
		o.put(name+"on_behalf_of", (*Principal)(e.OnBehalfOf))
	}
	if metadata := Metadata(e); string(metadata) != "{}" {
		o.put(name+"metadata", metadata)
	}
	if e.Masked > 0 {
		o.put(name+"masked", e.Masked)
	}
	o.put(name+"api_key.id", e.APIKeyID)
	o.put(name+"api_key.name", e.APIKeyName)
	o.put(name+"origin", string(e.Origin))
	if e.Original != "" {
		o.put(name+"original", json.RawMessage(e.Original))
	}
}

// kind is what an action does, in the words of OCSF and ECS.
type kind struct {
	activityID int
	activity   string
	eventType  string
}

var (
	creates = kind{1, "Create", "creation"}
	reads   = kind{2, "Read", "access"}
	updates = kind{3, "Update", "change"}
	deletes = kind{4, "Delete", "deletion"}
	other   = kind{99, "Other", "info"}
)

// verbs say what an action does, in the forms in which it may be written: "create_role", "user.created". They are the
// first word of a verb, as other systems have it, or the last, as in "domain_add".
var verbs = map[string]kind{
	"create": creates, "created": creates, "add": creates, "added": creates, "insert": creates,
	"read": reads, "get": reads, "list": reads, "describe": reads, "export": reads, "download": reads,
	"update": updates, "updated": updates, "change": updates, "changed": updates, "edit": updates, "modify": updates, "set": updates,
	"enable": updates, "disable": updates, "rename": updates, "up": updates, "down": updates,
	"delete": deletes, "deleted": deletes, "remove": deletes, "removed": deletes, "revoke": deletes, "destroy": deletes,
}

func kindOf(e *models.Entry) kind {
	words := strings.Split(action.Action(e.Action).Verb(), "_")
	for _, word := range []string{words[0], words[len(words)-1]} {
		if kind, known := verbs[word]; known {
			return kind
		}
	}
	return other
}

// message says in a line what happened.
func message(e *models.Entry) string {
	text := e.Action
	if e.EntityID != "" {
		text += " " + e.EntityID
	}
	text += " by " + e.ActorName
	if e.OnBehalfOf != nil {
		text += " for " + e.OnBehalfOf.Name
	}
	if e.Outcome != "" {
		text += " (" + string(e.Outcome) + ")"
	}
	return text
}
