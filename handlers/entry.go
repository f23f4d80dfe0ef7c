package handlers

import (
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accesslog"
)

// entryPage is one entry on a page of its own.
type entryPage struct {
	Frame
	Entry   entryView
	LogPath string
}

// Entry shows one entry: as the row that opens under its line in the log where htmx asks, as a
// page of its own otherwise. A malformed, unknown, expired or foreign ID is the same 404.
func (h *Handlers) Entry(c *fiber.Ctx) error {
	ctx, scope := contextOf(c), scopeOf(c)
	id, err := models.ParseEntryID(c.Params("entry"))
	if err != nil {
		return fmt.Errorf("%w: %w", models.ErrNotFound, err)
	}
	entry, err := h.Store.FindEntry(ctx, scope.Organization, id)
	if err != nil {
		return err
	}
	links, err := h.Store.ResourceLinks(ctx, scope.Organization)
	if err != nil {
		return err
	}
	log := settingsPath(scope.Organization, "audit-logs")
	from, ok := h.filterBehind(c, log)
	if !ok {
		from = wholeLog(scope.Location)
	}
	page := entryPage{
		Frame:   h.frame(c, entry.Action, "audit-logs"),
		Entry:   viewEntry(h.base(c), scope.Organization, entry, links, from, scope.Location),
		LogPath: log,
	}
	h.noteReading(c, accesslog.KindEntry, page.Entry.Path)
	if wantsFragment(c) {
		return h.render(c, fiber.StatusOK, "entry/row", page)
	}
	return h.render(c, fiber.StatusOK, "entry/page", page)
}

// filterBehind is the filter of the log's page that the request comes from, if it comes from one.
func (h *Handlers) filterBehind(c *fiber.Ctx, log string) (Filter, bool) {
	from := c.Get("HX-Current-URL")
	if from == "" {
		from = c.Get(fiber.HeaderReferer)
	}
	path, query, _ := strings.Cut(localPart(from), "?")
	if path != log {
		return Filter{}, false
	}
	filter, err := h.reading(c, nil).Filter(query)
	return filter, err == nil
}

// base is the scheme and host of links that are pasted elsewhere: as configured, or else as this
// request came in.
func (h *Handlers) base(c *fiber.Ctx) string {
	if h.BaseURL != "" {
		return h.BaseURL
	}
	return c.BaseURL()
}
