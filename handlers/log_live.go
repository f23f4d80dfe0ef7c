package handlers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/handlers/intake"
	"github.com/auditlogs/auditlogs/handlers/live"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
	"github.com/auditlogs/auditlogs/views"
)

const (
	// streamLife is how long a stream lasts, but for a part of it that differs: browsers then come back. It is long enough
	// for one view a minute in the access log.
	streamLife = 55 * time.Second
	// streamBeat is how often a stream says that it is there, and that its reader may still read.
	streamBeat = 15 * time.Second
	// eventPatience is how long a reader may take for eventPart of an event, and a server for its end.
	eventPatience, eventPart = 10 * time.Second, 64 << 10
	// streamAgain is after how long who is refused a stream is to come again, and up to twice that: not all at once.
	streamAgain = 10 * time.Second

	eventStream = "text/event-stream"
)

// Pace is how streams go on: how long, how often they say so, for how long they wait for their readers, and after how
// long who is refused one is to come again.
type Pace struct{ Life, Beat, Patience, Again time.Duration }

// UsualPace is that of a server.
var UsualPace = Pace{streamLife, streamBeat, eventPatience, streamAgain}

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
	if errors.Is(err, live.ErrFullPerson) || errors.Is(err, live.ErrFull) {
		again := h.LivePace.Again
		c.Set(fiber.HeaderRetryAfter, strconv.Itoa(int((again + rand.N(again)).Seconds())))
	}
	switch {
	case errors.Is(err, live.ErrFullPerson):
		return fmt.Errorf("%w: %w", fiber.ErrTooManyRequests, err)
	case errors.Is(err, live.ErrFull):
		return fmt.Errorf("%w: %w", intake.ErrBusy, err)
	case err != nil:
		return err
	}
	h.noteListing(c, filter)
	life := h.LivePace.Life
	s := &liveStream{handlers: h, watch: watch, token: scope.Session.ID, filter: filter, ends: time.Now().Add(life*9/10 + rand.N(life/10)),
		scope: Scope{Organization: scope.Organization, Role: scope.Role, Location: scope.Location}}
	c.Set(fiber.HeaderContentType, eventStream)
	c.Set("X-Accel-Buffering", "no") // of proxies
	s.takeOver(c.Context(), first)
	return nil
}

// liveStream is a stream of events. It is written past fasthttp, which keeps 45 kB for every connection that it answers.
type liveStream struct {
	handlers *Handlers
	watch    *live.Watch
	scope    Scope
	filter   Filter
	token    string // of the session
	ends     time.Time
}

// takeOver has the stream be the rest of what its connection is for. The watch ends with the connection, whoever ends that.
func (s *liveStream) takeOver(ctx *fasthttp.RequestCtx, first *live.Frame) {
	conn := ctx.Conn()
	if ours, bounded := conn.(*intake.Conn); bounded {
		ours.Release(s.watch.End) // streams have bounds of their own
	}
	ctx.SetConnectionClose() // where the stream ends
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(net.Conn) {
		head := ctx.Response.Header.AppendBytes(nil)
		go s.send(conn, head, first) // fasthttp keeps what it has for the connection until this returns
	})
}

// send sends the events until the end.
func (s *liveStream) send(conn net.Conn, head []byte, first *live.Frame) {
	defer conn.Close()
	defer func() { // nobody else would catch it, and the process would end
		if r := recover(); r != nil {
			s.handlers.Log.Error("a stream of entries ended", "panic", r)
		}
	}()
	text := s.first(first)
	if text != nil {
		text = slices.Concat(head, []byte("retry: 2000\n"), text)
	}
	for ; text != nil; text = s.next() {
		for part := range slices.Chunk(text, eventPart) {
			if s.handlers.Live.Ended() || conn.SetWriteDeadline(time.Now().Add(s.handlers.LivePace.Patience)) != nil {
				return
			}
			if _, err := conn.Write(part); err != nil {
				return
			}
		}
	}
}

// first is the first event; nil where it cannot be made.
func (s *liveStream) first(frame *live.Frame) []byte {
	switch {
	case frame == nil:
		return eventOf(s.watch.Place(), "reload")
	case len(frame.Entries) == 0:
		return eventOf(s.watch.Place(), "")
	}
	return s.rows(frame)
}

// next is the next event; nil at the end.
func (s *liveStream) next() []byte {
	ctx, cancel := context.WithTimeout(context.Background(), min(s.handlers.LivePace.Beat, time.Until(s.ends)))
	defer cancel()
	frame, err := s.watch.Next(ctx)
	switch {
	case err != nil && (!errors.Is(err, context.DeadlineExceeded) || !time.Now().Before(s.ends)):
		return nil
	case (err != nil || frame.Access) && !s.mayRead():
		return nil
	case err != nil || len(frame.Entries) == 0:
		return eventOf(s.watch.Place(), "")
	}
	return s.rows(frame)
}

// rows is the event of a frame's entries, made once for all who are shown them in the same way.
func (s *liveStream) rows(frame *live.Frame) []byte {
	now := s.handlers.Store.Now()
	day := now.In(s.scope.Location).Format(time.DateOnly) // days are called by how long ago they are
	text, err := frame.Rendered(s.scope.Location.String()+day, func() ([]byte, error) {
		page := &logPage{Frame: Frame{Scope: &s.scope}, Filter: s.filter,
			Path: settingsPath(s.scope.Organization, "audit-logs"), Opened: s.filter.forAnybody().Address("")}
		page.Columns = columnsOf(page)
		page.Items = liveItems(page, frame.Entries, now)
		var html bytes.Buffer
		if err := s.handlers.Views.Render(&html, "log/items", page); err != nil {
			return nil, err
		}
		rows := bytes.ReplaceAll(bytes.TrimSpace(views.VisibleHTML(html.Bytes())), []byte("\n"), []byte("\ndata: "))
		return eventOf(s.watch.PlaceOf(frame), string(rows)), nil
	})
	if err != nil {
		s.handlers.Log.Error("a stream of entries ended", "error", err)
		return nil
	}
	return text
}

func eventOf(place, data string) []byte { return fmt.Appendf(nil, "id: %s\ndata: %s\n\n", place, data) }

// mayRead reports whether the session is still that of somebody who may read the same.
func (s *liveStream) mayRead() bool {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	found, err := s.handlers.Accounts.SignedInBy(ctx, s.token)
	if err != nil && !errors.Is(err, models.ErrNotFound) {
		s.handlers.Log.Error("a stream of entries ended", "error", err)
	}
	for _, access := range found.Access {
		if org := s.scope.Organization; access.ID == org.ID {
			return err == nil && access.Role == s.scope.Role && reflect.DeepEqual(access.Hidden, org.Hidden)
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
