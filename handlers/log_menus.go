package handlers

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/handlers/question"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
	"github.com/auditlogs/auditlogs/models/entries"
	"github.com/auditlogs/auditlogs/views"
)

// How many people the User filter offers before anything is typed, and after.
const (
	latestActors = 20
	foundActors  = 20
	// suggestedPeople is how many are suggested whose name was searched for.
	suggestedPeople = 3
)

// actionMenu is what the Action filter offers: first what is selected, then groups, those of which
// something was recorded first.
type actionMenu struct {
	Selected []actionOption
	Groups   []actionGroup
}

type actionGroup struct {
	ID      string
	Name    string
	Options []actionOption
}

// actionOption is one action, or all of an entity. Group and Place are where it belongs when it is not
// selected.
type actionOption struct {
	Action  string
	Group   string
	Place   int
	Whole   bool // it is all actions of an entity
	Checked bool
	Covered bool // all actions of its entity are ticked, with it
	Unused  bool // the log holds no entry of it
}

// ownGroup is the name of the groups of actions that are not in the catalogue, and ownEntity what stands
// between it and the entity.
const (
	ownGroup  = "Your application"
	ownEntity = " · "
)

// offeredActions returns the catalogue, with what the server makes of GitHub's deliveries.
func offeredActions() []action.Group {
	groups := action.Catalogue()
	for i, group := range groups {
		if slices.Contains(group.Actions, action.DeploymentCreate) {
			groups[i].Actions = append(group.Actions, action.DeploymentStatusUpdate)
		}
	}
	return groups
}

// groupsOfActions returns the offered actions, without those that are hidden, and by entity whatever else was
// registered, recorded or selected.
func groupsOfActions(selected []string, kinds []entries.Kind, registered []action.Action, hidden *models.Restriction) []action.Group {
	groups := offeredActions()
	for i := range groups {
		groups[i].Actions = slices.DeleteFunc(groups[i].Actions, func(act action.Action) bool { return hidden.HidesAction(string(act)) })
	}
	groups = slices.DeleteFunc(groups, func(group action.Group) bool { return len(group.Actions) == 0 })
	known := map[action.Action]bool{}
	for _, group := range groups {
		for _, act := range group.Actions {
			known[act] = true
		}
	}
	own := map[string][]action.Action{}
	add := func(act action.Action) {
		if !known[act] {
			known[act] = true
			entity := ofEntity(string(act))
			own[entity] = append(own[entity], act)
		}
	}
	for _, act := range registered {
		add(act)
	}
	for _, kind := range kinds {
		add(action.Action(kind.Action))
	}
	for _, act := range selected {
		if !strings.HasSuffix(act, entries.AnyVerb) && !entries.IsNative(act) {
			add(action.Action(act))
		}
	}
	for _, entity := range slices.Sorted(maps.Keys(own)) {
		slices.Sort(own[entity])
		groups = append(groups, action.Group{Name: ownGroup + ownEntity + entity, Actions: own[entity]})
	}
	return groups
}

// actionMenuOf lists the actions in their groups. What was recorded comes first: groups that hold some of it,
// and in each of them its actions.
func actionMenuOf(selected []string, kinds []entries.Kind, registered []action.Action, hidden *models.Restriction) actionMenu {
	used := map[action.Action]bool{}
	for _, kind := range kinds {
		used[action.Action(kind.Action)] = true
	}
	unused := func(actions ...action.Action) int {
		if slices.ContainsFunc(actions, func(act action.Action) bool { return used[act] }) {
			return 0
		}
		return 1
	}
	groups := groupsOfActions(selected, kinds, registered, hidden)
	slices.SortStableFunc(groups, func(a, b action.Group) int {
		return cmp.Compare(unused(a.Actions...), unused(b.Actions...))
	})

	var menu actionMenu
	offered := map[string]bool{}
	for i, group := range groups {
		shown := actionGroup{ID: "g" + strconv.Itoa(i), Name: group.Name}
		place := 0
		add := func(option actionOption) {
			option.Group, option.Place = shown.ID, place
			option.Checked = slices.Contains(selected, option.Action)
			place++
			if offered[option.Action] = true; option.Checked {
				menu.Selected = append(menu.Selected, option)
			} else {
				shown.Options = append(shown.Options, option)
			}
		}
		of := map[string]int{}
		for _, action := range group.Actions {
			of[ofEntity(string(action))]++
		}
		for _, entity := range slices.Sorted(maps.Keys(of)) {
			if whole := entity + entries.AnyVerb; of[entity] > 1 && !offered[whole] {
				add(actionOption{Action: whole, Whole: true})
			}
		}
		slices.SortStableFunc(group.Actions, func(a, b action.Action) int { return cmp.Compare(unused(a), unused(b)) })
		for _, action := range group.Actions {
			add(actionOption{
				Action: string(action), Unused: !used[action],
				Covered: slices.Contains(selected, ofEntity(string(action))+entries.AnyVerb),
			})
		}
		menu.Groups = append(menu.Groups, shown)
	}
	for _, action := range selected { // a native one, or all of an entity that nothing is offered of
		if !offered[action] {
			menu.Selected = append(menu.Selected, actionOption{Action: action, Whole: !entries.IsNative(action), Checked: true})
		}
	}
	return menu
}

// entityTypesOf returns the types the log holds, and the selected one.
func entityTypesOf(selected string, kinds []entries.Kind) []string {
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

// outcomeOption is one outcome that the filter offers.
type outcomeOption struct {
	Value   event.Outcome
	Checked bool
}

// Outcomes are what the Outcome filter offers.
func (p *logPage) Outcomes() (options []outcomeOption) {
	for _, outcome := range question.Outcomes {
		options = append(options, outcomeOption{outcome, slices.Contains(p.Filter.Outcomes, outcome)})
	}
	return options
}

// actorMenu is what the User filter offers.
type actorMenu struct {
	Selected []actorOption
	Offered  []actorOption
	Searched string // what was typed to find them
	More     bool   // there are more
}

// actorOption is one actor. Note distinguishes namesakes.
type actorOption struct {
	models.Actor
	Checked bool
	You     bool
	Note    string
}

// actorMenuOf offers system, the reader, and who acted last, besides those selected.
func actorMenuOf(selected []models.Actor, you *accounts.User, latest []models.Actor, more bool) actorMenu {
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
	return actorMenu{Selected: options[:len(selected)], Offered: options[len(selected):], More: more}
}

// actorOptions returns options for actors, with a note for those whose names look the same.
func actorOptions(actors []models.Actor, you *accounts.User) []actorOption {
	names := views.Namesakes{}
	for _, actor := range actors {
		names.Add(actor.Name, actor.ID)
	}
	options := make([]actorOption, len(actors))
	for i, actor := range actors {
		options[i] = actorOption{Actor: actor, You: you != nil && actor.ID == you.ID, Note: names.Note(actor.ID, actor.Name, actor.Email)}
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
	f := page.Asked
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

// show returns the text of a bound's field, and what is carried along if that is empty.
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
