package handlers

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/models"
)

// How many people the User filter offers before anything is typed, and after.
const (
	latestActors = 20
	foundActors  = 20
)

// actionMenu is what the Action filter offers: first what is selected, then groups.
type actionMenu struct {
	Selected []actionOption
	Groups   []actionGroup
}

type actionGroup struct {
	ID      string
	Name    string
	Options []actionOption
}

// actionOption is one action. Group and Place say where it belongs when it is not selected.
type actionOption struct {
	Action  string
	Group   string
	Place   int
	Checked bool
	Unused  bool // the log holds no entry of it
}

// ownGroup is the name of the group of actions that are not in the catalogue.
const ownGroup = "Your application"

// offeredActions is the catalogue, with what the server makes of GitHub's deliveries.
func offeredActions() []audit.ActionGroup {
	groups := audit.Catalogue()
	for i, group := range groups {
		if slices.Contains(group.Actions, audit.DeploymentCreate) {
			groups[i].Actions = append(group.Actions, audit.DeploymentStatusUpdate)
		}
	}
	return groups
}

// actionMenuOf lists the offered actions, and below them whatever else was registered, recorded or
// selected.
func actionMenuOf(selected []string, kinds []models.Kind) actionMenu {
	used := map[string]bool{}
	for _, kind := range kinds {
		used[kind.Action] = true
	}
	groups := offeredActions()
	known := map[audit.Action]bool{}
	for _, group := range groups {
		for _, action := range group.Actions {
			known[action] = true
		}
	}
	var own []audit.Action
	add := func(action audit.Action) {
		if !known[action] {
			known[action] = true
			own = append(own, action)
		}
	}
	for _, action := range audit.Registered() {
		add(action)
	}
	for _, kind := range kinds {
		add(audit.Action(kind.Action))
	}
	for _, action := range selected {
		add(audit.Action(action))
	}
	if len(own) > 0 {
		slices.Sort(own)
		groups = append(groups, audit.ActionGroup{Name: ownGroup, Actions: own})
	}

	var menu actionMenu
	for i, group := range groups {
		shown := actionGroup{ID: "g" + strconv.Itoa(i), Name: group.Name}
		for place, action := range group.Actions {
			option := actionOption{
				Action: string(action), Group: shown.ID, Place: place,
				Checked: slices.Contains(selected, string(action)), Unused: !used[string(action)],
			}
			if option.Checked {
				menu.Selected = append(menu.Selected, option)
			} else {
				shown.Options = append(shown.Options, option)
			}
		}
		menu.Groups = append(menu.Groups, shown)
	}
	return menu
}

// entityTypesOf lists the types the log holds, and the selected one.
func entityTypesOf(selected string, kinds []models.Kind) []string {
	var types []string
	for _, kind := range kinds {
		types = append(types, kind.EntityType)
	}
	if selected != "" {
		types = append(types, selected)
	}
	slices.Sort(types)
	return slices.Compact(types)
}

// actorMenu is what the User filter offers.
type actorMenu struct {
	Selected []actorOption
	Offered  []actorOption
	Searched string // what was typed to find them
}

// actorOption is one actor. Note tells namesakes apart.
type actorOption struct {
	models.Actor
	Checked bool
	You     bool
	Note    string
}

// actorMenuOf offers system, the reader, and who acted last, besides those selected.
func actorMenuOf(selected []models.Actor, you *models.User, latest []models.Actor) actorMenu {
	offered := []models.Actor{{ID: models.SystemActorID, Name: models.SystemActorID}}
	if you != nil {
		offered = append(offered, models.Actor{ID: you.ID, Name: you.Name, Email: you.Email})
	}
	for _, actor := range latest {
		if !slices.ContainsFunc(offered, sameActor(actor)) {
			offered = append(offered, actor)
		}
	}
	options := actorOptions(slices.Concat(selected, slices.DeleteFunc(offered, func(actor models.Actor) bool {
		return slices.ContainsFunc(selected, sameActor(actor))
	})), you)
	for i := range selected {
		options[i].Checked = true
	}
	return actorMenu{Selected: options[:len(selected)], Offered: options[len(selected):]}
}

// actorOptions describes actors, with what tells those apart whose names look the same.
func actorOptions(actors []models.Actor, you *models.User) []actorOption {
	names := namesakes{}
	for _, actor := range actors {
		names.add(actor.Name, actor.ID)
	}
	options := make([]actorOption, len(actors))
	for i, actor := range actors {
		options[i] = actorOption{Actor: actor, You: you != nil && actor.ID == you.ID, Note: names.note(actor.ID, actor.Name, actor.Email)}
	}
	return options
}

// rangeMenu is what the Time filter offers.
type rangeMenu struct {
	Label    string // what is chosen
	Presets  []preset
	From, To string // the times chosen, where the fields can say them
	Carried  []carried
}

// carried is a bound that no field shows: the form carries it along unseen.
type carried struct{ Name, Value string }

type preset struct {
	Label   string
	Address string
	Current bool
}

// rangeMenuOf offers the usual ranges, and a range of the reader's own.
func rangeMenuOf(page *logPage, now time.Time) rangeMenu {
	f := page.Filter
	menu := rangeMenu{Label: "Any time"}
	for _, p := range []struct{ label, from string }{
		{"Any time", ""}, {"Last hour", "-1h"}, {"Last 24 hours", "-24h"},
		{"Last 7 days", "-7d"}, {"Last 30 days", "-30d"}, {"Last 90 days", "-90d"},
	} {
		current := f.From.Text == p.from && f.To.Text == ""
		menu.Presets = append(menu.Presets, preset{p.label, f.Since(p.from, now).Address(page.Path), current})
		if current {
			menu.Label = p.label
		}
	}
	if menu.Label == "Any time" && (f.From.Text != "" || f.To.Text != "") {
		menu.Label = "Custom range"
	}
	menu.From, menu.Carried = menu.show("from", f.From, f.Zone)
	menu.To, menu.Carried = menu.show("to", f.To, f.Zone)
	return menu
}

// show is what the field of a bound shows, and what is carried along with its field empty.
func (m rangeMenu) show(name string, b Bound, zone *time.Location) (field string, along []carried) {
	switch {
	case b.Text == "":
		return "", m.Carried
	case b.Local: // as it was typed
		return b.Text, m.Carried
	case !strings.HasPrefix(b.Text, "-"):
		field = fieldText(b.At.Time(), zone, name == "to")
	}
	if field == "" {
		return "", append(m.Carried, carried{name, b.Text})
	}
	return field, m.Carried
}

func sameActor(a models.Actor) func(models.Actor) bool {
	return func(b models.Actor) bool { return a.ID == b.ID }
}
