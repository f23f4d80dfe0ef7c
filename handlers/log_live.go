package handlers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/handlers/intake"
	"github.com/auditlogs/auditlogs/handlers/live"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
	"github.com/auditlogs/auditlogs/views"
)

const (
	// streamLife is how long a stream lasts, but for a part of it that differs: browsers then come back. It is shorter than
	// an answer may take to be written, and long enough for one view a minute in the access log.
	streamLife = 55 * time.Second
	// streamBeat is how often a stream says that it is there, and that its reader may still read.
	streamBeat = 15 * time.Second

	eventStream = "text/event-stream"
)

// Pace is how streams go on.
type Pace struct{ Life, Beat time.Duration }

// UsualPace is that of a server.
var UsualPace = Pace{streamLife, streamBeat}

// AuditLogLive streams the entries that the log's address lets through, as they are committed, as server-sent events: rows
// of the table, with the ID of a place to come back to. One that is "reload" says that the list has to be read anew, as
// nothing is known of what came before, and an empty one only has a place. There are only streams; asked for as a page it
// redirects to the log.
func (h *Handlers) AuditLogLive(c *fiber.Ctx) error {
	scope := scopeOf(c)
	filter, err := h.reading(c, nil).Filter(string(c.Request().URI().QueryString()))
	list := filter.At(nil).Address(settingsPath(scope.Organization, "audit-logs"))
	if c.Method() != fiber.MethodGet || !strings.Contains(c.Get(fiber.HeaderAccept), eventStream) {
		return redirect(c, list)
	}
	switch {
	case err != nil:
		return err
	case !newestComeFirst(filter, scope.Organization):
		return badParameter("sort", fault.Invalid, "must leave the newest entries first, up to now")
	}
	if err := entries.Allowed(scope.Organization, filter.Query()); err != nil {
		return err
	}
	watch, first, err := h.Live.Watch(contextOf(c), live.Asked{
		Person: scope.User.ID, Organization: scope.Organization, Query: filter.Query(),
		Key: fmt.Sprintf("%d %+v %s", scope.Organization.ID, scope.Organization.Hidden, list),
	}, c.Get("Last-Event-ID", c.Query("place")))
	switch {
	case errors.Is(err, live.ErrFullPerson):
		return fmt.Errorf("%w: %w", fiber.ErrTooManyRequests, err)
	case errors.Is(err, live.ErrFull):
		return fmt.Errorf("%w: %w", intake.ErrBusy, err)
	case err != nil:
		return err
	}
	h.noteListing(c, filter)
	if conn, ours := c.Context().Conn().(*intake.Conn); ours {
		conn.Release() // streams have bounds of their own
	}
	s := &liveStream{handlers: h, watch: watch, first: first, token: scope.Session.ID,
		page: logPage{
			Frame:  Frame{Scope: &Scope{Organization: scope.Organization, Role: scope.Role, Location: scope.Location}},
			Filter: filter, Path: settingsPath(scope.Organization, "audit-logs"), Opened: filter.forAnybody().Address(""),
		}}
	life := h.LivePace.Life
	s.ends = time.Now().Add(life*9/10 + rand.N(life/10))
	c.Set(fiber.HeaderContentType, eventStream)
	c.Set("X-Accel-Buffering", "no") // of proxies
	c.Context().SetConnectionClose()
	c.Context().SetBodyStream(s, -1)
	return nil
}

// liveStream is a stream of events: the body of an answer.
type liveStream struct {
	handlers *Handlers
	watch    *live.Watch
	first    *live.Frame
	page     logPage
	token    string // of the session
	ends     time.Time

	begun  bool
	unread []byte
}

func (s *liveStream) Read(p []byte) (n int, err error) {
	defer func() { // nobody else would catch it, and the process would end
		if r := recover(); r != nil {
			s.handlers.Log.Error("a stream of entries ended", "panic", r)
			n, err = 0, io.EOF
		}
	}()
	if len(s.unread) == 0 {
		if s.unread = s.next(); s.unread == nil {
			return 0, io.EOF
		}
	}
	n = copy(p, s.unread)
	s.unread = s.unread[n:]
	return n, nil
}

// Close is called at the end, and when the client is gone.
func (s *liveStream) Close() error {
	s.watch.End()
	return nil
}

// next is the next event; nil at the end.
func (s *liveStream) next() []byte {
	if !s.begun {
		s.begun = true
		switch {
		case s.first == nil:
			return s.event("retry: 2000\n", "reload")
		case len(s.first.Entries) == 0:
			return s.event("retry: 2000\n", "")
		}
		return s.rows(s.first)
	}
	ctx, cancel := context.WithTimeout(context.Background(), min(s.handlers.LivePace.Beat, time.Until(s.ends)))
	defer cancel()
	frame, err := s.watch.Next(ctx)
	switch {
	case err != nil && (!errors.Is(err, context.DeadlineExceeded) || !time.Now().Before(s.ends)):
		return nil
	case (err != nil || frame.Access) && !s.mayRead():
		return nil
	case err != nil || len(frame.Entries) == 0:
		return s.event("", "")
	}
	return s.rows(frame)
}

// rows is the event of a frame's entries.
func (s *liveStream) rows(frame *live.Frame) []byte {
	day := s.handlers.Store.Now().In(s.page.Location).Format(time.DateOnly) // days are called by how long ago they are
	html, err := frame.Rendered(s.page.Location.String()+day, func() ([]byte, error) {
		page := s.page
		page.Columns = columnsOf(&page)
		page.Items = liveItems(&page, frame.Entries, s.handlers.Store.Now())
		var text bytes.Buffer
		if err := s.handlers.Views.Render(&text, "log/items", &page); err != nil {
			return nil, err
		}
		return bytes.ReplaceAll(bytes.TrimSpace(views.VisibleHTML(text.Bytes())), []byte("\n"), []byte("\ndata: ")), nil
	})
	if err != nil {
		s.handlers.Log.Error("a stream of entries ended", "error", err)
		return nil
	}
	return s.event("", string(html))
}

func (s *liveStream) event(head, data string) []byte {
	return fmt.Appendf(nil, "%sid: %s\ndata: %s\n\n", head, s.watch.Place(), data)
}

// mayRead reports whether the session is still that of somebody who may read the same.
func (s *liveStream) mayRead() bool {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	found, err := s.handlers.Accounts.SignedInBy(ctx, s.token)
	if err != nil && !errors.Is(err, models.ErrNotFound) {
		s.handlers.Log.Error("a stream of entries ended", "error", err)
	}
	for _, access := range found.Access {
		if org := s.page.Organization; access.ID == org.ID {
			return err == nil && access.Role == s.page.Role && reflect.DeepEqual(access.Hidden, org.Hidden)
		}
	}
	return false
}

// liveItems are entries and their days as the list shows them.
func liveItems(page *logPage, found []models.Entry, now time.Time) (items []item) {
	names, further, under := views.NamesakesOf(found), page.Filter.furtherColumns(), ""
	for i := range found {
		entry := &found[i]
		occurred := entry.OccurredAt.Time().In(page.Location)
		if day := occurred.Format(time.DateOnly); day != under {
			under = day
			items = append(items, item{Heading: headingOf(entries.SortTimestamp, entry, names, occurred, now.In(page.Location))})
		}
		row := rowOf(page, entry, names, occurred, now.In(page.Location).Year())
		row.Cells, row.Late = cellsOf(page, entry, further), lateMark(entry)
		items = append(items, item{Entry: row})
	}
	return items
}
