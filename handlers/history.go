package handlers

import (
	"net/url"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/models"
)

// historyPage is everything that happened to one resource, newest first. Its table is the log's.
type historyPage struct {
	logPage
	EntityType, EntityID string
	Name                 string   // the latest; empty when it has none but its ID
	EarlierNames         []string // latest first
	ResourceURL          string   // the resource outside of this app; empty when nobody said where it is
	First                string   // the address of the first page
}

const (
	maxEntityIDBytes = 512
	// mostNames is how many names of a resource are shown.
	mostNames = 10
)

// History shows what happened to the resource the address names: its type in the path, its ID in
// `id`. Names and links are those of its latest entries, and a resource nobody recorded anything
// of is an empty page: that nothing happened is an answer too.
func (h *Handlers) History(c *fiber.Ctx) error {
	ctx, scope := contextOf(c), scopeOf(c)
	entityType, entityID, err := resourceOf(c)
	if err != nil {
		return err
	}
	filter, err := ParseFilter(pageOnly(c), scope.Location, h.Store.Now())
	if err != nil {
		return err
	}
	query := filter.Query()
	query.EntityType, query.EntityID = entityType, entityID
	entries, err := h.Store.Entries(ctx, scope.Organization, query)
	if err != nil {
		return err
	}
	page := &historyPage{
		logPage: logPage{
			Frame:  h.frame(c, "History of "+entityType+" "+entityID, "audit-logs"),
			Filter: filter,
			Path:   settingsPath(scope.Organization, "audit-logs"), // where the entries of the table lead
			Now:    models.MicrosOf(h.Store.Now()),
			Count:  len(entries.Entries),
		},
		EntityType: entityType,
		EntityID:   entityID,
		First:      historyPath(scope.Organization, entityType, entityID),
	}
	page.Columns = unsorted(columnsOf(&page.logPage))
	page.Items = itemsOf(&page.logPage, entries, nil, h.Store.Now())
	page.Pages = page.links(entries)
	page.Printed = printedOf(&page.logPage, entries.Entries)
	if wantsFragment(c) {
		return h.render(c, fiber.StatusOK, "history/fragment", page)
	}

	names, err := h.Store.ResourceNames(ctx, scope.Organization, entityType, entityID, mostNames)
	if err != nil {
		return err
	}
	for i, name := range names {
		switch {
		case i > 0:
			page.EarlierNames = append(page.EarlierNames, name.EntityName)
		case name.EntityName != entityID:
			page.Name = name.EntityName
		}
	}
	links, err := h.Store.ResourceLinks(ctx, scope.Organization)
	if err != nil {
		return err
	}
	page.ResourceURL = resourceURL(entries.Entries, entityType, entityID, links)
	return h.render(c, fiber.StatusOK, "history/page", page)
}

// resourceOf is the resource the address names.
func resourceOf(c *fiber.Ctx) (entityType, entityID string, err error) {
	entityType, err = url.PathUnescape(c.Params("entity_type"))
	if err != nil || !audit.ValidEntityType(entityType) {
		return "", "", &BadInput{Field: "entity_type", Value: c.Params("entity_type"), Reason: "must be lower case letters, digits and _, such as notification_channel"}
	}
	entityID = c.Query("id")
	switch {
	case entityID == "":
		return "", "", &BadInput{Field: "id", Reason: "is missing: it says which " + entityType + " is meant"}
	case len(entityID) > maxEntityIDBytes:
		return "", "", &BadInput{Field: "id", Value: entityID, Reason: "is longer than any ID"}
	case !isText(entityID):
		return "", "", &BadInput{Field: "id", Reason: "is not text"}
	}
	return entityType, entityID, nil
}

// pageOnly is what the query says of the page to show. Whatever else the log's address knows means
// nothing here.
func pageOnly(c *fiber.Ctx) string {
	parts := strings.Split(string(c.Request().URI().QueryString()), "&")
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool {
		return !strings.HasPrefix(part, "cursor=") && !strings.HasPrefix(part, "limit=")
	}), "&")
}

// unsorted are columns whose headings lead nowhere: a history has one order.
func unsorted(columns []column) []column {
	for i := range columns {
		columns[i].Address, columns[i].Sorted = "", ""
	}
	return columns
}

// links lead to the neighbouring pages.
func (p *historyPage) links(entries models.EntryPage) pageLinks {
	links := pageLinksOf(&p.logPage, entries)
	for _, link := range []*string{&links.First, &links.Previous, &links.Next} {
		if *link == "" {
			continue
		}
		_, query, _ := strings.Cut(*link, "?")
		*link = p.First
		if query != "" {
			*link += "&" + query
		}
	}
	return links
}

// resourceURL is where the resource is found outside of this app: as its latest entry that says so
// does, or else as the organization's template does.
func resourceURL(entries []models.Entry, entityType, entityID string, links models.ResourceLinks) string {
	for _, entry := range entries {
		if entry.URL != "" {
			return models.ResourceURL(entry, links)
		}
	}
	return models.ResourceURL(models.Entry{EntityType: entityType, EntityID: entityID}, links)
}
