package handlers

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/handlers/exchange"
	"github.com/auditlogs/auditlogs/handlers/question"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/actors"
	"github.com/auditlogs/auditlogs/models/entries"
)

// logPage is the log as one address shows it. A fragment has no menus: what they offer does not
// depend on the filter, so it is asked for once, with the page.
type logPage struct {
	Frame
	Filter   Filter
	Asked    Filter       // what the controls say: Filter, but for what is being typed
	Typed    string       // the question as it was sent
	Fragment bool         // htmx asks
	Path     string       // the log's address without a query
	Opened   string       // what the addresses of its entries carry, from which they know their list
	Problem  *fault.Field // why the address cannot be answered
	TooLong  bool         // it is that the filters are more than an address can hold
	Now      models.Micros
	Off      *models.Gap       // since when logging is off; nil while it is on
	Pending  *pendingRetention // for admins and auditors

	Chips   []chip
	Range   rangeMenu
	Columns []column
	Orders  []order
	Items   []item
	Count   int
	Printed string // which part of the list this is, on paper
	Pages   pageLinks
	New     string       // where to ask for the number of new entries; empty where these would not come first
	Partial *partialPage // set where the page ended before it was full
	People  []suggestion // whose name was searched for
	Empty   *emptyLog    // set where there is nothing to show

	Actions     actionMenu
	Actors      actorMenu
	EntityTypes []string
	// FirstEvent reports that no application has recorded anything yet: all entries are the app's own.
	FirstEvent bool
}

// AuditLog serves the entries an address asks for: the table and what else changes with the filter to
// htmx, the whole page to everyone else.
func (h *Handlers) AuditLog(c *fiber.Ctx) error {
	scope, fragment := scopeOf(c), wantsFragment(c)
	ctx := contextOf(c)
	query := string(c.Request().URI().QueryString())
	if query == "" && !fragment && scope.DefaultView != "" {
		address, err := h.defaultAddress(c)
		if err != nil {
			return err
		}
		if address != "" {
			return redirect(c, address)
		}
	}
	var kinds []entries.Kind // for the menus, and for entries that are found by them
	var registered []action.Action
	if !fragment {
		var err error
		if kinds, registered, err = h.Entries.ActionMenu(ctx, scope.Organization); err != nil {
			return err
		}
	}
	reading := h.reading(c, kinds)
	filter, err := reading.Filter(query)
	var bad *fault.Field
	if err != nil && !errors.As(err, &bad) {
		return err
	}
	asked := filter
	if fragment && isTyping(c) {
		// Whoever types has not asked yet. What is understood so far is shown; of the rest there is said what would be
		// right, and it is no mistake. Terms become filters with Enter, or the choice of a completion, as in Datadog's
		// and GitHub's boxes: until then the address holds what was typed, and the controls stay as they are, for
		// every letter would be a filter of its own: action:d, action:de.
		if bad != nil && len(filter.Problems) > 0 && bad.Field == pageQuestion {
			bad = nil
		}
		asked, _ = reading.Filter(withoutParameter(query, pageQuestion))
	} else if bad == nil {
		if !fragment && formSent(c, "column") {
			return redirect(c, filter.Address(c.Path()))
		}
		sayCanonical(c, filter)
	}
	tooLong := bad == nil && ticksTooMany(c, filter)
	if tooLong {
		bad = fault.Newf("action", fault.TooLarge, "is more than an address can hold")
	}
	page := &logPage{
		Opened:   filter.forAnybody().Address(""),
		TooLong:  tooLong,
		Frame:    h.frame(c, "Audit Logs", "audit-logs"),
		Filter:   filter,
		Asked:    asked,
		Typed:    c.Query(pageQuestion),
		Fragment: fragment,
		Path:     settingsPath(scope.Organization, "audit-logs"),
		Problem:  bad,
		Now:      models.MicrosOf(h.Store.Now()),
	}
	if bad != nil && fragment {
		return h.render(c, fiber.StatusBadRequest, "log/problem", page)
	}
	if bad == nil {
		if err := h.fillEntries(ctx, page, kinds); err != nil {
			return err
		}
	}
	selected, err := h.actorsOf(ctx, scope.Organization, filter.Actors)
	if err != nil {
		return err
	}
	var keyName string
	if filter.APIKey != "" {
		if keyName, err = h.Accounts.APIKeyName(ctx, scope.Organization.ID, filter.APIKey); err != nil {
			return err
		}
	}
	if bad == nil {
		h.noteListing(c, filter)
	}
	page.Chips = chipsOf(page, selected, keyName)
	if page.Views, err = h.viewsBeside(c, filter); err != nil {
		return err
	}
	page.Range = rangeMenuOf(page, h.Store.Now())
	if fragment {
		return h.render(c, fiber.StatusOK, "log/fragment", page)
	}
	if err := h.fillMenus(ctx, page, kinds, registered, selected); err != nil {
		return err
	}
	page.FirstEvent = page.Organization.Hidden == nil && page.Organization.LoggingEnabled && !page.Organization.Closed() &&
		(page.Empty == nil || page.Empty.Why != "new") && !slices.ContainsFunc(kinds, fromApplication)
	if page.Oversees() {
		if page.Pending, err = h.pendingRetention(ctx, page.Frame); err != nil {
			return err
		}
	}
	status := fiber.StatusOK
	if bad != nil {
		status = fiber.StatusBadRequest
	}
	return h.render(c, status, "log/page", page)
}

// ticksTooMany reports whether the filter form was sent without script and its ticks make the address too
// long. A link with as many is served, as nobody could tick fewer there. Only a form sends what is empty.
func ticksTooMany(c *fiber.Ctx, filter Filter) bool {
	query := string(c.Request().URI().QueryString())
	return strings.Contains(query+"&", "=&") && len(filter.At(nil).Address(c.Path())) > maxAddress
}

// RefusedValue returns the value in the address that Problem is about.
func (p *logPage) RefusedValue() string { return p.Filter.refused }

// LongestAddress returns how long an address may become by ticking, in bytes.
func (p *logPage) LongestAddress() int { return maxAddress }

// Provenance returns the names of the filters by where an event was sent from.
func (p *logPage) Provenance() string { return strings.Join(provenanceNames, " ") }

// reading is how the request reads addresses. kinds are those of the log, or nil for asking where it matters.
func (h *Handlers) reading(c *fiber.Ctx, kinds []entries.Kind) Reading {
	org := organizationOf(c)
	reading := Reading{Zone: time.UTC, Now: h.Store.Now(), InAPI: InAPI(c), DefaultView: scopeOf(c).DefaultView != ""}
	if !reading.InAPI {
		reading.Zone = scopeOf(c).Location
	}
	if org.Hidden.HidesActions() {
		box, err := h.Places.Box(contextOf(c))
		if err != nil {
			h.Log.Error("seal places in the log", "organization", org.Slug, "error", err)
		}
		reading.seal = &cursorSeal{box, org.ID}
	}
	reading.Actions = func() (actions []string) {
		if kinds == nil {
			var err error
			if kinds, err = h.Entries.Kinds(contextOf(c), org); err != nil {
				h.Log.Error("list the recorded actions", "organization", org.Slug, "error", err)
			}
		}
		for _, kind := range kinds {
			actions = append(actions, kind.Action)
		}
		return actions
	}
	return reading
}

// isTyping reports whether htmx asks because somebody types into the search box.
func isTyping(c *fiber.Ctx) bool { return c.Get("HX-Source") == "input#q" }

// sayCanonical has htmx show the one address of what a form or a link asked for in another spelling.
func sayCanonical(c *fiber.Ctx, filter Filter) {
	if address := filter.Address(c.Path()); wantsFragment(c) && address != c.OriginalURL() && (filter.Question() != c.Query(pageQuestion) || formSent(c, "column")) {
		c.Set("HX-Push-Url", address)
	}
}

// formSent reports whether a form with some fields of a name was sent, of which one is empty: no link has such a parameter.
func formSent(c *fiber.Ctx, field string) bool {
	return strings.Contains("&"+string(c.Request().URI().QueryString())+"&", "&"+field+"=&")
}

// withoutParameter takes one parameter out of a query.
func withoutParameter(query, name string) string {
	parts := slices.DeleteFunc(strings.Split(query, "&"), func(part string) bool {
		return part == name || strings.HasPrefix(part, name+"=")
	})
	return strings.Join(parts, "&")
}

// SearchText is what the search box shows: what was typed where not all of it was understood, and otherwise what is
// no filter of its own.
func (p *logPage) SearchText() string {
	if len(p.Filter.Problems) > 0 {
		return p.Typed
	}
	return p.Filter.Question()
}

// fillEntries fills in the entries and what is shown between them. kinds are those of the log, or nil.
func (h *Handlers) fillEntries(ctx context.Context, page *logPage, kinds []entries.Kind) error {
	org, query := page.Organization, page.Filter.Query()
	query.Kinds = kinds
	listed, err := h.Listing.Page(ctx, org, query)
	if err != nil {
		return err
	}
	var gaps []models.Gap
	if page.Filter.Sort == entries.SortTimestamp || !org.LoggingEnabled {
		if gaps, err = h.Listing.LoggingGaps(ctx, org); err != nil {
			return err
		}
	}
	if n := len(gaps); n > 0 && gaps[n-1].To == 0 {
		page.Off = &models.Gap{From: gaps[n-1].From}
	}
	page.Columns, page.Orders = columnsOf(page), ordersOf(page)
	page.Items = itemsOf(page, listed, gapsOn(page, listed, gaps), h.Store.Now())
	page.Count = len(listed.Entries)
	page.Pages = pageLinksOf(page, listed)
	page.New = newOf(page, listed.Entries)
	page.Printed = printedOf(page, listed.Entries)
	page.Partial = partialPageOf(page, listed)
	if page.Count == 0 {
		page.Empty = emptyLogOf(page)
	}
	if page.Filter.Search != "" && page.Filter.Cursor == nil {
		page.People, err = h.peopleCalled(ctx, page)
	}
	return err
}

// emptyLogOf returns why there is nothing.
func emptyLogOf(page *logPage) *emptyLog {
	f := page.Filter
	empty := &emptyLog{First: f.At(nil).Address(page.Path)}
	switch {
	case page.Partial != nil:
		empty.Why = "partial"
		empty.Clear = f.All().Address(page.Path)
	case f.Cursor != nil:
		empty.Why = "end"
	case f.Narrows():
		empty.Why = "filters"
		empty.Clear = f.All().Address(page.Path)
	case page.Organization.Closed():
		empty.Why = "closed"
	case page.Off != nil:
		empty.Why = "off"
	case page.Organization.Hidden.HidesActions():
		empty.Why = "hidden"
	default:
		empty.Why = "new"
	}
	return empty
}

// peopleCalled returns the people whose names the search matches: people are often looked for in the
// search for IDs and actions.
func (h *Handlers) peopleCalled(ctx context.Context, page *logPage) ([]suggestion, error) {
	f := page.Filter
	found, _, err := actors.Find(ctx, h.Store, page.Organization, f.Search, suggestedPeople)
	if err != nil {
		return nil, err
	}
	var people []suggestion
	for _, option := range actorOptions(found, page.User) {
		people = append(people, suggestion{
			actorOption: option,
			Address:     f.Without("q", "").WithActor(option.ID).Address(page.Path),
		})
	}
	return people, nil
}

// fromApplication reports whether a kind of entry is an application's: not one of those that the app makes
// of itself.
func fromApplication(kind entries.Kind) bool {
	act := action.Action(kind.Action)
	return !act.Own() && act != action.OrganizationCreate && act != action.OrganizationUpdate && act != action.OrganizationDelete
}

// fillMenus fills in what the filters offer.
func (h *Handlers) fillMenus(ctx context.Context, page *logPage, kinds []entries.Kind, registered []action.Action, selected []models.Actor) error {
	latest, more, err := actors.Latest(ctx, h.Store, page.Organization, latestActors)
	if err != nil {
		return err
	}
	page.Actions = actionMenuOf(page.Filter.Actions, kinds, registered, page.Organization.Hidden)
	page.EntityTypes = entityTypesOf(page.Filter.EntityType, kinds)
	page.Actors = actorMenuOf(selected, page.User, latest, more)
	return nil
}

// actorsOf returns the actors with ids, in that order. One that nobody ever recorded is called by its ID.
func (h *Handlers) actorsOf(ctx context.Context, org models.Organization, ids []string) ([]models.Actor, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	known, err := actors.ByID(ctx, h.Store, org, ids)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]models.Actor, len(known))
	for _, actor := range known {
		byID[actor.ID] = actor
	}
	actors := make([]models.Actor, len(ids))
	for i, id := range ids {
		actor, found := byID[id]
		if !found {
			actor = models.Actor{ID: id, Name: id}
		}
		actors[i] = actor
	}
	return actors, nil
}

// AuditLogActors serves the actors for what is typed into the User filter: those whose name, e-mail or ID
// contains `text`, or the latest if it is empty. There is only a fragment; asked for as a page it
// redirects to the log.
func (h *Handlers) AuditLogActors(c *fiber.Ctx) error {
	ctx, scope := contextOf(c), scopeOf(c)
	if !wantsFragment(c) {
		return redirect(c, settingsPath(scope.Organization, "audit-logs"))
	}
	text := c.Query("text")
	if len(text) > maxSearchBytes {
		return badParameter("text", fault.TooLarge, "is too long")
	}
	if !isText(text) {
		return badParameter("text", fault.Malformed, "is not text")
	}
	var menu actorMenu
	if text == "" {
		latest, more, err := actors.Latest(ctx, h.Store, scope.Organization, latestActors)
		if err != nil {
			return err
		}
		menu = actorMenuOf(nil, scope.User, latest, more)
	} else {
		found, more, err := actors.Find(ctx, h.Store, scope.Organization, text, foundActors)
		if err != nil {
			return err
		}
		menu = actorMenu{Offered: actorOptions(found, scope.User), Searched: text, More: more}
	}
	return h.render(c, fiber.StatusOK, "log/actor-options", menu)
}

// Terms returns those of the query language, for the help.
func (p *logPage) Terms() []question.Described { return question.Fields }

// ExchangeForms returns the forms in which programs exchange events.
func (p *logPage) ExchangeForms() []exchange.Form { return exchange.Forms }

// Export returns the address of an export of everything the filter lets through.
func (p *logPage) Export(format string) string {
	f := p.Filter
	f.Limit, f.Columns = defaultPageSize, nil
	address := p.Path + "/export?format=" + format
	if query := f.Saved(); query != "" {
		address += "&" + query
	}
	return address
}

// emptyLog is a log with nothing to show.
type emptyLog struct {
	Why   string // "new", "filters", "partial", "closed", "off", "hidden" or "end"
	Clear string // the address without filters
	First string // the address of the first page
}

// suggestion is a person whose name was searched for.
type suggestion struct {
	actorOption
	Address string
}
