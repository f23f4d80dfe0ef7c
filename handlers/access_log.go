package handlers

import (
	"context"
	"encoding/hex"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accesslog"
)

// noteListing notes in the access log that the entries were read which a filter lets through.
func (h *Handlers) noteListing(c *fiber.Ctx, filter Filter) {
	h.note(c, h.Access.Note, listingKind(filter), listingAddress(c, filter))
}

// noteCounting notes the same where they were only counted.
func (h *Handlers) noteCounting(c *fiber.Ctx, filter Filter) {
	h.note(c, h.Access.NoteBeside, listingKind(filter), listingAddress(c, filter))
}

func listingKind(filter Filter) accesslog.Kind {
	if filter.Question() != "" {
		return accesslog.KindSearch
	}
	return accesslog.KindView
}

func listingAddress(c *fiber.Ctx, filter Filter) string {
	filter = filter.forAnybody()
	filter.Limit, filter.Columns, filter.inAPI = defaultPageSize, nil, false
	return filter.Address(settingsPath(organizationOf(c), "audit-logs"))
}

// noteReading notes in the access log that the request reads what a page's address shows.
func (h *Handlers) noteReading(c *fiber.Ctx, kind accesslog.Kind, address string) {
	h.note(c, h.Access.Note, kind, address)
}

func (h *Handlers) note(c *fiber.Ctx, note func(orgID int64, reader accesslog.Reader, kind accesslog.Kind, address, ip string), kind accesslog.Kind, address string) {
	var reader accesslog.Reader
	if key := callerOf(c).key; key.ID != "" {
		reader = accesslog.Reader{ID: key.ID, Name: key.Name}
	} else if user := scopeOf(c).User; user != nil {
		reader = accesslog.Reader{ID: user.ID, Name: user.Name, Email: user.Email}
	}
	note(organizationOf(c).ID, reader, kind, address, event.RequestFrom(contextOf(c)).IP)
}

// organizationOf is the organization that a request asks about, with a session or a key.
func organizationOf(c *fiber.Ctx) models.Organization {
	if InAPI(c) {
		return callerOf(c).org
	}
	return scopeOf(c).Organization
}

const (
	viewsShown   = 50
	readersShown = 200
)

// accessLogPage is Settings → Access Log: who read the log.
type accessLogPage struct {
	Frame
	Path    string
	Days    int // that rows are kept
	Views   []viewRow
	Readers []accesslog.Reader // to choose from
	Kinds   []accesslog.Kind

	Reader, Kind string // chosen
	Newer, Older string // the neighbouring pages; empty where there is none
	FirstPage    string
}

// viewRow is a row of the access log as the page shows it.
type viewRow struct {
	accesslog.View
	What       []string // what was read: the filters, or which entry or resource
	Hidden     bool     // from the role of who sees the page
	ReaderPath string   // all of the same reader
}

// AccessLog handles GET /orgs/:slug/settings/access-log with `reader`, `kind` and `cursor`.
func (h *Handlers) AccessLog(c *fiber.Ctx) error {
	ctx, org := contextOf(c), scopeOf(c).Organization
	page := accessLogPage{
		Frame: h.frame(c, "Access Log", "access-log"), Path: settingsPath(org, "access-log"), Days: h.AccessLogDays,
		Kinds: accesslog.Kinds, Reader: c.Query("reader"), Kind: c.Query("kind"),
	}
	query := accesslog.Query{
		ReaderID: page.Reader, Kind: accesslog.Kind(page.Kind), Limit: viewsShown,
		Since: h.Store.Now().AddDate(0, 0, -h.AccessLogDays),
	}
	switch {
	case len(page.Reader) > maxActorBytes || !isText(page.Reader):
		return badParameter("reader", fault.Invalid, "is not the ID of a user or an API key")
	case page.Kind != "" && !slices.Contains(accesslog.Kinds, query.Kind):
		return badParameter("kind", fault.Invalid, "must be view, search, entry, history, export or access_log")
	}
	if text := c.Query("cursor"); text != "" {
		cursor, ok := parseViewCursor(text)
		if !ok {
			return badParameter("cursor", fault.Invalid, "does not belong to this list; begin again at its first page")
		}
		query.Cursor = &cursor
	}
	page.FirstPage = page.at(nil)
	h.noteReading(c, accesslog.KindAccessLog, page.FirstPage)
	h.writeAccessLog(ctx)
	found, err := h.Access.Page(ctx, org.ID, query)
	if err != nil {
		return err
	}
	if page.Readers, err = h.Access.Readers(ctx, org.ID, readersShown); err != nil {
		return err
	}
	if page.Reader != "" && !slices.ContainsFunc(page.Readers, func(r accesslog.Reader) bool { return r.ID == page.Reader }) {
		page.Readers = append(page.Readers, accesslog.Reader{ID: page.Reader, Name: page.Reader})
	}
	for _, view := range found.Views {
		row := viewRow{View: view, What: whatWasRead(view), ReaderPath: page.Path + "?" + url.Values{"reader": {view.Reader.ID}}.Encode()}
		row.Hidden = org.Hidden != nil && view.Address != "" // what was asked may name what is hidden
		page.Views = append(page.Views, row)
	}
	if found.Previous != nil {
		page.Newer = page.at(found.Previous)
	}
	if found.Next != nil {
		page.Older = page.at(found.Next)
	}
	return h.render(c, fiber.StatusOK, "access-log/page", page)
}

// writeAccessLog has what was read a moment ago shown, where it can be written soon.
func (h *Handlers) writeAccessLog(ctx context.Context) {
	soon, cancel := context.WithTimeout(ctx, useNotedWithin)
	defer cancel()
	if err := h.Access.Write(soon); err != nil {
		h.Log.WarnContext(ctx, "write the access log", "error", err)
	}
}

// at is the address of the page at a cursor; nil is the first.
func (p accessLogPage) at(cursor *accesslog.Cursor) string {
	values := url.Values{}
	for name, value := range map[string]string{"reader": p.Reader, "kind": p.Kind} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if cursor != nil {
		values.Set("cursor", viewCursorText(*cursor))
	}
	if len(values) == 0 {
		return p.Path
	}
	return p.Path + "?" + values.Encode()
}

func viewCursorText(cursor accesslog.Cursor) string {
	side := "after"
	if cursor.Before {
		side = "before"
	}
	return side + "." + strconv.FormatInt(int64(cursor.Minute), 36) + "." + hex.EncodeToString(cursor.Digest)
}

func parseViewCursor(text string) (cursor accesslog.Cursor, ok bool) {
	side, place, _ := strings.Cut(text, ".")
	minute, digest, _ := strings.Cut(place, ".")
	at, err := strconv.ParseInt(minute, 36, 64)
	if err != nil || side != "before" && side != "after" || len(digest) > 64 {
		return cursor, false
	}
	cursor = accesslog.Cursor{Before: side == "before", Minute: models.Micros(at)}
	cursor.Digest, err = hex.DecodeString(digest)
	return cursor, err == nil
}

// whatWasRead is what an address shows, in parts: each filter, or the entry or the resource.
func whatWasRead(view accesslog.View) (parts []string) {
	if view.Address == "" {
		return nil
	}
	path, query, _ := strings.Cut(view.Address, "?")
	last := path[strings.LastIndexByte(path, '/')+1:]
	switch view.Kind {
	case accesslog.KindEntry, accesslog.KindHistory:
		parts = append(parts, last)
	}
	for part := range strings.SplitSeq(query, "&") {
		if text, err := url.QueryUnescape(part); err == nil && text != "" {
			parts = append(parts, text)
		}
	}
	return parts
}
