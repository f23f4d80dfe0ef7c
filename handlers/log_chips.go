package handlers

import (
	"cmp"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/views"
)

// chip is one part of the filter that is on, and the address without it.
type chip struct {
	Name, Value string // as in the address
	Kind, Label string // in words
	Without     string
}

// chipsOf returns the parts of the filter that are on. actors are those of the filter, in its order; keyName is
// the name of its API key, or empty.
func chipsOf(page *logPage, actors []models.Actor, keyName string) []chip {
	f := page.Filter
	var chips []chip
	add := func(name, value, kind, label string) {
		chips = append(chips, chip{name, value, kind, label, f.Without(name, value).Address(page.Path)})
	}
	if f.Search != "" {
		add("q", f.Search, "Search", f.Search)
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
