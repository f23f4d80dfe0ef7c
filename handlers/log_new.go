package handlers

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
	"github.com/auditlogs/auditlogs/views"
)

// mostNew is how many new entries are counted.
const mostNew = 100

// logNew says how many entries have come since a list was read, and leads to the list with them.
type logNew struct {
	Text string // "12 new entries"; empty where there are none
	List string
}

// AuditLogNew serves the number of entries that the log's address lets through and that are newer than its cursor: what
// the page asks for now and then. There is only a fragment; asked for as a page it redirects to the log.
func (h *Handlers) AuditLogNew(c *fiber.Ctx) error {
	org := scopeOf(c).Organization
	filter, err := h.reading(c, nil).Filter(string(c.Request().URI().QueryString()))
	answer := logNew{List: filter.At(nil).Address(settingsPath(org, "audit-logs"))}
	if !wantsFragment(c) {
		return redirect(c, answer.List)
	}
	if err != nil {
		return err
	}
	h.noteCounting(c, filter)
	query, shown := filter.Query(), models.EntryID{}
	if filter.Cursor != nil {
		shown = filter.Cursor.ID
		query.From = max(query.From, models.MicrosOf(shown.Occurred()))
	}
	found, all, err := h.Entries.First(contextOf(c), org, query, mostNew)
	if err != nil {
		return err
	}
	n := 0
	for n < len(found) && found[n].ID.Compare(shown) > 0 {
		n++
	}
	switch {
	case n == 0:
	case n == len(found) && !all:
		answer.Text = views.Number(n) + "+ new entries"
	default:
		answer.Text = views.Count(n, "new entry", "new entries")
	}
	return h.render(c, fiber.StatusOK, "log/new", answer)
}

// newOf is where to ask how many entries have come since a page was listed; empty where new ones are not the first of it.
func newOf(page *logPage, listed []models.Entry) string {
	f := page.Filter
	if !newestComeFirst(f, page.Organization) {
		return ""
	}
	if len(listed) > 0 {
		f = f.At(entries.CursorBefore(f.Sort, &listed[0]))
	}
	return f.Address(page.Path + "/new")
}

// newestComeFirst reports whether new entries come at the head of what a filter shows.
func newestComeFirst(f Filter, org models.Organization) bool {
	return f.Cursor == nil && f.DefaultOrder() && f.To.At == 0 && !org.Closed()
}

// Live returns where the entries are streamed as they are committed, up to the place that is to be gone on from.
func (p *logPage) Live() string {
	address := p.Filter.At(nil).Address(p.Path + "/live")
	if strings.Contains(address, "?") {
		return address + "&place="
	}
	return address + "?place="
}

// List returns the address of the newest entries.
func (p *logPage) List() string { return p.Filter.At(nil).Address(p.Path) }
