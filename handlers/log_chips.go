package handlers

import (
	"cmp"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/handlers/question"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
	"github.com/auditlogs/auditlogs/views"
)

// chip is one part of the filter that is on, and the address without it.
type chip struct {
	Name, Value string // as in the address
	Kind, Label string // in words
	Without     string
	Not         bool // it leaves out what it names
}

// chipsOf returns the parts of the filter that are on. actors are those of the filter, in its order; keyName is
// the name of its API key, or empty.
func chipsOf(page *logPage, actors []models.Actor, keyName string) []chip {
	f := page.Filter
	var chips []chip
	add := func(name, value, kind, label string) {
		chips = append(chips, chip{Name: name, Value: value, Kind: kind, Label: label, Without: f.Without(name, value).Address(page.Path)})
	}
	if f.Search != "" {
		add("q", f.Words(), "Search", f.Search)
	}
	for _, term := range f.Terms {
		add("q", question.TermString(term), kindOf(term), labelOf(term))
		chips[len(chips)-1].Not = term.Not
	}
	for _, action := range f.Actions {
		add("action", action, "Action", action)
	}
	for _, option := range actorOptions(actors, nil) {
		label := option.Name
		if option.Note != "" {
			label += " (" + option.Note + ")"
		}
		add("actor", option.ID, "User", label)
	}
	for _, outcome := range f.Outcomes {
		add("outcome", string(outcome), "Outcome", string(outcome))
	}
	if f.EntityType != "" {
		add("entity_type", f.EntityType, "Entity type", f.EntityType)
	}
	for _, p := range f.Provenance() {
		label := p.Value
		if p.Name == "api_key" {
			label = cmp.Or(keyName, label)
		}
		add(p.Name, p.Value, p.Kind, label)
	}
	if f.From.Text != "" {
		add("from", f.From.Text, "From", boundLabel(f.From, f.Zone, page.Location))
	}
	if f.To.Text != "" {
		add("to", f.To.Text, "To", boundLabel(f.To, f.Zone, page.Location))
	}
	return chips
}

// termKinds are the fields of the language as the page calls them.
var termKinds = map[entries.Field]string{
	entries.FieldText: "Search", entries.FieldAction: "Action", entries.FieldActor: "User", entries.FieldBy: "By", entries.FieldHours: "Hours", entries.FieldType: "Entity type",
	entries.FieldID: "Entity ID", entries.FieldName: "Entity name", entries.FieldIP: "IP", entries.FieldRequest: "Request ID",
	entries.FieldSource: "Source", entries.FieldKey: "API key", entries.FieldOutcome: "Outcome", entries.FieldMetadata: "Metadata",
}

// kindOf returns what a term looks at, in words, which also say where it leaves out: "Not action".
func kindOf(t entries.Term) string {
	kind := termKinds[t.Field]
	switch {
	case t.Not && t.Field == entries.FieldText:
		return "Without"
	case t.Not && t.Field != entries.FieldIP && t.Field != entries.FieldKey:
		kind = "Not " + strings.ToLower(kind[:1]) + kind[1:]
	case t.Not:
		kind = "Not " + kind
	}
	if len(t.Path) > 0 {
		kind += " " + strings.Join(t.Path, ".")
	}
	return kind
}

// labelOf returns the values of a term in words.
func labelOf(t entries.Term) string {
	label := t.Values[0]
	for _, value := range t.Values[1:] {
		label += " or " + value
	}
	return label
}

// boundLabel returns one end of a range in words. A day is one of zone, which is named if it is not the
// reader's; a moment is shown in the reader's.
func boundLabel(b Bound, zone, reader *time.Location) string {
	switch {
	case b.Date:
		label := b.Text
		if day, err := time.Parse(time.DateOnly, b.Text); err == nil {
			label = day.Format("Jan 2, 2006")
		}
		if zone.String() != reader.String() {
			label += " (" + zone.String() + ")"
		}
		return label
	case strings.HasPrefix(b.Text, "-"):
		amount := strings.TrimLeft(b.Text[1:len(b.Text)-1], "0")
		unit := map[byte]string{'h': "hour", 'd': "day"}[b.Text[len(b.Text)-1]]
		switch amount {
		case "":
			return "now"
		case "1":
			return "1 " + unit + " ago"
		default:
			return amount + " " + unit + "s ago"
		}
	case b.Local && zone.String() != reader.String():
		return views.Moment(b.At.Time().In(zone)) + " (" + zone.String() + ")"
	default:
		return views.Moment(b.At.Time().In(reader))
	}
}
