package handlers

import (
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

// historyPage is everything that happened to one resource, newest first. Its table is the log's.
type historyPage struct {
	logPage
	EntityType, EntityID string
	Name                 string   // the latest; empty when it has none but its ID
	EarlierNames         []string // latest first
	ResourceURL          string   // the resource outside of this app; empty when nobody said where it is
	First                string   // the address of the first page, without a filter

	Resource string // the address without a query
	Actors   []actorOption
	Actions  []actionOption
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
	ctx, scope := contextOf(c), scopeOf(c)
	entityType, entityID, err := resourceOf(c)
	if err != nil {
		return err
	}
	filter, err := ParseFilter(historyQuery(c), scope.Location, h.Store.Now())
	if err != nil {
		return err
	}
	query := filter.Query()
	query.EntityType, query.EntityID = entityType, entityID
	listed, err := h.Entries.Page(ctx, scope.Organization, query)
	if err != nil {
		return err
	}
	page := &historyPage{
		logPage: logPage{
			Frame:  h.frame(c, "History of "+entityType+" "+entityID, "audit-logs"),
			Filter: filter,
			Path:   settingsPath(scope.Organization, "audit-logs"), // where the entries of the table lead
			Now:    models.MicrosOf(h.Store.Now()),
			Count:  len(listed.Entries),
		},
		EntityType: entityType,
		EntityID:   entityID,
		First:      historyPath(scope.Organization, entityType, entityID),
	}
	page.Resource, _, _ = strings.Cut(page.First, "?")
	h.noteReading(c, accesslog.KindHistory, page.FirstFiltered())
	page.Columns = unsorted(columnsOf(&page.logPage))
	page.Items = itemsOf(&page.logPage, listed, nil, h.Store.Now())
	page.sayRelated(listed.Entries)
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

	lately, err := history.Lately(ctx, h.Entries, scope.Organization, entityType, entityID)
	if err != nil {
		return err
	}
	for i, name := range lately.Names[:min(len(lately.Names), mostNames)] {
		switch {
		case i > 0:
			page.EarlierNames = append(page.EarlierNames, name)
		case name != entityID:
			page.Name = name
		}
	}
	links, err := h.Store.ResourceLinks(ctx, scope.Organization)
	if err != nil {
		return err
	}
	page.ResourceURL = resourceURL(listed.Entries, entityType, entityID, links)
	if err := h.fillHistoryFilter(ctx, page, lately); err != nil {
		return err
	}
	return h.render(c, fiber.StatusOK, "history/page", page)
}

// resourceOf is the resource the address names.
func resourceOf(c *fiber.Ctx) (entityType, entityID string, err error) {
	entityType, err = url.PathUnescape(c.Params("entity_type"))
	if err != nil || !action.ValidEntityType(entityType) {
		return "", "", badParameter("entity_type", fault.Invalid, "must be lower case letters, digits and _, such as notification_channel")
	}
	entityID = c.Query("id")
	switch {
	case entityID == "":
		return "", "", badParameter("id", fault.Required, "is missing: it says which %s is meant", entityType)
	case len(entityID) > maxEntityIDBytes:
		return "", "", badParameter("id", fault.TooLarge, "is longer than any ID")
	case !isText(entityID):
		return "", "", badParameter("id", fault.Malformed, "is not text")
	}
	return entityType, entityID, nil
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
func (h *Handlers) fillHistoryFilter(ctx context.Context, page *historyPage, lately history.Resource) error {
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
func historyQuery(c *fiber.Ctx) string {
	last := map[string]string{}
	for part := range strings.SplitSeq(string(c.Request().URI().QueryString()), "&") {
		name, _, _ := strings.Cut(part, "=")
		if slices.Contains(historyParameters, name) {
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
