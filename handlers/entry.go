package handlers

import (
	"context"
	"fmt"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accesslog"
	"github.com/auditlogs/auditlogs/models/entries"
)

// entryPage is one entry on a page of its own.
type entryPage struct {
	Frame
	Entry entryView
	Span  int // columns of the table that it opens in
	List  entryList
}

// entryList is the list that an entry's page belongs to: the addresses of its entries before and after it, and of its
// page that begins with it. They are empty where there is none.
type entryList struct {
	Whole                    bool // it is the log, newest first
	Back, Previous, Next     string
	PreviousLabel, NextLabel string
}

// Entry shows one entry: as the row that opens under its line in the log where htmx asks, as a
// page of its own otherwise. The query is that of the list it is opened from. A malformed, unknown, expired or foreign ID is the same 404.
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
	list, err := h.reading(c, nil).Filter(string(c.Request().URI().QueryString()))
	if err != nil {
		return err
	}
	list.Cursor = nil
	page := entryPage{
		Frame: h.frame(c, entry.Action, "audit-logs"),
		Entry: viewEntry(h.base(c), scope.Organization, entry, links, list, scope.Location),
		Span:  list.ColumnCount(),
	}
	if wantsFragment(c) {
		h.noteReading(c, accesslog.KindEntry, page.Entry.Path)
		return h.render(c, fiber.StatusOK, "entry/row", page)
	}
	if page.List, err = h.neighbours(ctx, scope.Organization, list, &entry, log); err != nil {
		return err
	}
	h.noteReading(c, accesslog.KindEntry, page.Entry.Path)
	return h.render(c, fiber.StatusOK, "entry/page", page)
}

// neighbours finds the entries before and after one in a list.
func (h *Handlers) neighbours(ctx context.Context, org models.Organization, list Filter, entry *models.Entry, log string) (entryList, error) {
	links := entryList{Whole: !list.Narrows() && list.DefaultOrder(), Back: list.Address(log), PreviousLabel: "Previous", NextLabel: "Next"}
	if list.DefaultOrder() {
		links.PreviousLabel, links.NextLabel = "Newer", "Older"
	}
	of := list.forAnybody() // in the addresses of entries
	previous, looked, err := h.Entries.Neighbour(ctx, org, list.Query(), entries.CursorBefore(list.Sort, entry))
	switch {
	case err != nil:
		return links, err
	case previous != nil:
		links.Previous = of.Address(log + "/" + previous.ID.String())
		links.Back = list.At(entries.CursorAfter(list.Sort, previous)).Address(log)
	case looked != nil:
		links.Previous, links.PreviousLabel = list.At(looked).Address(log), keepLooking
	}
	next, looked, err := h.Entries.Neighbour(ctx, org, list.Query(), entries.CursorAfter(list.Sort, entry))
	switch {
	case err != nil:
		return links, err
	case next != nil:
		links.Next = of.Address(log + "/" + next.ID.String())
	case looked != nil:
		links.Next, links.NextLabel = list.At(looked).Address(log), keepLooking
	}
	return links, nil
}

// base is the scheme and host of links that are pasted elsewhere: as configured, or else as this
// request came in.
func (h *Handlers) base(c *fiber.Ctx) string {
	if h.BaseURL != "" {
		return h.BaseURL
	}
	return c.BaseURL()
}
