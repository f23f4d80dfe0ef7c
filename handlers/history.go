package handlers

import (
	"cmp"
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accesslog"
	"github.com/auditlogs/auditlogs/models/entries"
	"github.com/auditlogs/auditlogs/models/history"
	"github.com/auditlogs/auditlogs/views"
)

// historyPage is everything that happened to one resource, or that one actor did, newest first. Its table is the log's.
type historyPage struct {
	logPage
	history.Subject
	Kind         string       // the type of the resource, or "user"
	ID, Name     string       // the latest; empty when it has none but its ID
	EarlierNames []string     // of a resource, latest first
	Actor        models.Actor // as it was called last, where it is the subject
	ResourceURL  string       // the resource outside of this app; empty when nobody said where it is
	First        string       // the address of the first page, without a filter

	Resource string // the address without a query
	Actors   []actorOption
	Actions  []actionOption
	Profile  *profile // nil where there is no entry
}

// FirstFiltered is the address of the first page of what the filter shows.
func (p *historyPage) FirstFiltered() string { return p.at(p.Filter.At(nil).Address(p.Path)) }

const (
	maxEntityIDBytes = 512
	// mostNames is how many names of a resource are shown.
	mostNames = 10
)

// History shows what happened to the resource the address names: its type in the path, its ID in
// `id`. Names and links are those of its latest entries, and a resource nobody recorded anything
// of is an empty page: that nothing happened is an answer too. It can be filtered by one user and one
// action.
func (h *Handlers) History(c *fiber.Ctx) error {
	entityType, err := url.PathUnescape(c.Params("entity_type"))
	if err != nil || !action.ValidEntityType(entityType) {
		return badParameter("entity_type", fault.Invalid, "must be lower case letters, digits and _, such as notification_channel")
	}
	id, err := subjectID(c, entityType)
	if err != nil {
		return err
	}
	return h.historyOf(c, history.Subject{EntityType: entityType, EntityID: id}, historyPath(scopeOf(c).Organization, entityType, id))
}

// ActorHistory shows what the actor did that the address names by `id`, and what others did on its behalf, as History
// does of a resource.
func (h *Handlers) ActorHistory(c *fiber.Ctx) error {
	id, err := subjectID(c, "user")
	if err != nil {
		return err
	}
	return h.historyOf(c, history.Subject{ActorID: id}, actorPath(scopeOf(c).Organization, id))
}

// historyOf shows the history of a subject, which has its first page at an address.
func (h *Handlers) historyOf(c *fiber.Ctx, of history.Subject, first string) error {
	ctx, scope := contextOf(c), scopeOf(c)
	filter, err := ParseFilter(historyQuery(c, of), scope.Location, h.Store.Now())
	if err != nil {
		return err
	}
	listed, err := h.Entries.Page(ctx, scope.Organization, of.In(filter.Query()))
	if err != nil {
		return err
	}
	page := &historyPage{
		logPage: logPage{
			Filter: filter,
			Path:   settingsPath(scope.Organization, "audit-logs"), // where the entries of the table lead
			Now:    models.MicrosOf(h.Store.Now()),
			Count:  len(listed.Entries),
		},
		Subject: of,
		Kind:    cmp.Or(of.EntityType, "user"),
		ID:      cmp.Or(of.EntityID, of.ActorID),
		First:   first,
	}
	page.Frame = h.frame(c, "History of "+page.Kind+" "+page.ID, "audit-logs")
	page.Resource, _, _ = strings.Cut(page.First, "?")
	h.noteReading(c, accesslog.KindHistory, page.FirstFiltered())
	page.Columns = unsorted(columnsOf(&page.logPage))
	page.Items = itemsOf(&page.logPage, listed, nil, h.Store.Now())
	if of.ActorID == "" {
		page.sayRelated(listed.Entries)
	}
	page.Pages = page.links(listed)
	if page.Partial = partialPageOf(&page.logPage, listed); page.Partial != nil {
		page.Partial.Address = page.at(page.Partial.Address)
	}
	page.Printed = printedOf(&page.logPage, listed.Entries)
	if err := h.fillBriefs(ctx, page, listed.Entries); err != nil {
		return err
	}
	if wantsFragment(c) {
		return h.render(c, fiber.StatusOK, "history/fragment", page)
	}

	lately, err := history.LatelyOf(ctx, h.Entries, scope.Organization, of)
	if err != nil {
		return err
	}
	if of.ActorID == "" {
		err = h.nameResource(ctx, page, listed.Entries, lately)
	} else {
		page.nameActor(lately)
	}
	if err != nil {
		return err
	}
	if err := h.fillHistoryFilter(ctx, page, lately); err != nil {
		return err
	}
	if len(lately.Entries) > 0 {
		if page.Profile, err = h.profileOf(ctx, page, lately); err != nil {
			return err
		}
	}
	return h.render(c, fiber.StatusOK, "history/page", page)
}

// nameResource says what a resource is called, was called, and where it is.
func (h *Handlers) nameResource(ctx context.Context, page *historyPage, listed []models.Entry, lately history.Lately) error {
	for i, name := range lately.Names[:min(len(lately.Names), mostNames)] {
		switch {
		case i > 0:
			page.EarlierNames = append(page.EarlierNames, name)
		case name != page.ID:
			page.Name = name
		}
	}
	links, err := h.Store.ResourceLinks(ctx, page.Organization)
	page.ResourceURL = resourceURL(listed, page.EntityType, page.EntityID, links)
	return err
}

// nameActor says what an actor is called, and was called.
func (p *historyPage) nameActor(lately history.Lately) {
	if len(lately.Actors) == 0 {
		return
	}
	p.Actor = lately.Actors[0]
	if p.Actor.Name != p.Actor.ID {
		p.Name = p.Actor.Name
	}
	for _, actor := range lately.Actors {
		p.Actor.Email = cmp.Or(p.Actor.Email, actor.Email) // of whom others acted for there may be less
	}
	for _, actor := range lately.Actors[1:min(len(lately.Actors), mostNames)] {
		if actor.Name != p.Actor.Name && !slices.Contains(p.EarlierNames, actor.Name) {
			p.EarlierNames = append(p.EarlierNames, actor.Name)
		}
	}
}

// subjectID is the ID in an address of the history of something.
func subjectID(c *fiber.Ctx, kind string) (string, error) {
	switch id := c.Query("id"); {
	case id == "":
		return "", badParameter("id", fault.Required, "is missing: it says which %s is meant", kind)
	case len(id) > maxEntityIDBytes:
		return "", badParameter("id", fault.TooLarge, "is longer than any ID")
	case !isText(id):
		return "", badParameter("id", fault.Malformed, "is not text")
	default:
		return id, nil
	}
}

// sayRelated writes under the lines of entries about other resources what this one was to them.
func (p *historyPage) sayRelated(entries []models.Entry) {
	related := map[string]*event.Resource{}
	for _, entry := range entries {
		if entry.EntityType == p.EntityType && entry.EntityID == p.EntityID {
			continue
		}
		i := slices.IndexFunc(entry.Related, func(r event.Resource) bool { return r.Type == p.EntityType && r.ID == p.EntityID })
		if i >= 0 {
			related[entry.ID.String()] = &entry.Related[i]
		}
	}
	for _, item := range p.Items {
		if item.Entry != nil {
			item.Entry.Related = related[item.Entry.ID]
		}
	}
}

// fillBriefs writes under each line what changed.
func (h *Handlers) fillBriefs(ctx context.Context, page *historyPage, entries []models.Entry) error {
	found, err := history.ShortMetadataOf(ctx, h.Store, page.Organization, entries, views.MaxBriefMetadata)
	if err != nil {
		return err
	}
	briefs := make(map[string]*views.Brief, len(found))
	for _, short := range found {
		if short.TooLong {
			briefs[short.ID.String()] = &views.Brief{TooLong: true}
		} else {
			briefs[short.ID.String()] = views.BriefOf(short.Metadata)
		}
	}
	for _, item := range page.Items {
		if item.Entry != nil {
			item.Entry.Brief = briefs[item.Entry.ID]
		}
	}
	return nil
}

// fillHistoryFilter offers those who did something to the resource lately, and what they did, besides
// what is chosen.
func (h *Handlers) fillHistoryFilter(ctx context.Context, page *historyPage, lately history.Lately) error {
	if page.ActorID != "" {
		lately.Actors = nil // there is but one
	}
	chosen, err := h.actorsOf(ctx, page.Organization, page.Filter.Actors)
	if err != nil {
		return err
	}
	for _, actor := range chosen {
		if !slices.ContainsFunc(lately.Actors, sameActor(actor)) {
			lately.Actors = append(lately.Actors, actor)
		}
	}
	page.Actors = actorOptions(lately.Actors, page.User)
	for i := range page.Actors {
		page.Actors[i].Checked = slices.Contains(page.Filter.Actors, page.Actors[i].ID)
	}
	for _, action := range page.Filter.Actions {
		if !slices.Contains(lately.Actions, action) {
			lately.Actions = append(lately.Actions, action)
		}
	}
	for _, action := range lately.Actions {
		page.Actions = append(page.Actions, actionOption{Action: action, Checked: slices.Contains(page.Filter.Actions, action)})
	}
	return nil
}

// historyParameters are the names of the log's address that a history knows as well.
var historyParameters = []string{"action", "actor", "limit", "cursor"}

// historyQuery is what the query says of the page to show: the last value of each name. Whatever else the
// log's address knows means nothing here.
func historyQuery(c *fiber.Ctx, of history.Subject) string {
	last := map[string]string{}
	for part := range strings.SplitSeq(string(c.Request().URI().QueryString()), "&") {
		name, _, _ := strings.Cut(part, "=")
		if slices.Contains(historyParameters, name) && (of.ActorID == "" || name != "actor") {
			last[name] = part
		}
	}
	return strings.Join(slices.Sorted(maps.Values(last)), "&")
}

// unsorted are columns whose headings lead nowhere: a history has one order.
func unsorted(columns []column) []column {
	for i := range columns {
		columns[i].Address, columns[i].Sorted = "", ""
	}
	return columns
}

// links lead to the neighbouring pages.
func (p *historyPage) links(listed entries.Page) pageLinks {
	links := pageLinksOf(&p.logPage, listed)
	for _, link := range []*string{&links.First, &links.Previous, &links.Next} {
		*link = p.at(*link)
	}
	return links
}

// at is the address in the history for one in the log; empty for none.
func (p *historyPage) at(address string) string {
	if address == "" {
		return ""
	}
	if _, query, _ := strings.Cut(address, "?"); query != "" {
		return p.First + "&" + query
	}
	return p.First
}

// resourceURL is where the resource is found outside of this app: as its latest entry that says so
// does, or else as the organization's template does.
func resourceURL(entries []models.Entry, entityType, entityID string, links models.ResourceLinks) string {
	for _, entry := range entries {
		if entry.URL != "" && entry.EntityType == entityType && entry.EntityID == entityID {
			return models.ResourceURL(entry, links)
		}
	}
	return models.ResourceURL(models.Entry{EntityType: entityType, EntityID: entityID}, links)
}
