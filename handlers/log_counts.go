package handlers

import (
	"errors"
	"fmt"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/handlers/intake"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/counts"
	"github.com/auditlogs/auditlogs/views"
)

// logCounts is how many entries the filters of the log's address let through, and when they occurred.
type logCounts struct {
	Frame
	Log   string // the address of the entries
	Total string // "2,345 entries", "About 2.3 million entries", "10,000+ entries"
	Chart *chart // nil where there is no entry
	// Since is back to when entries were counted, where not all were; Busy reports that others are being counted.
	Since string
	Busy  bool
	Asked bool // for an exact number
	// Further is where the page goes on counting by itself, and Exactly where to ask for a number that is not rounded.
	Further, Exactly string
}

// chart is the entries by time, a bar for each hour, day or the like.
type chart struct {
	Unit       string // what a bar is: "hour"
	Bars       []bar
	Most       int // entries of the highest bar
	Begin, End string
	Elsewhere  bool // its links lead to another page
	Unknown    int  // how many bars, from the first on, nothing was counted of
}

// bar is the entries of a part of the range.
type bar struct {
	Place             int // among the bars
	From, To          time.Time
	Label             string
	Succeeded, Failed int64
	Address           string // of these entries
	// What the bar is drawn as, of 100: the failed stand on the succeeded.
	SucceededTop, SucceededHeight, FailedTop, FailedHeight float64
}

// Count returns the number of its entries.
func (b bar) Count() int { return int(b.Succeeded + b.Failed) }

// Title returns the bar in words.
func (b bar) Title() string {
	title := b.Label + ": " + views.Count(b.Count(), "entry", "entries")
	if b.Failed > 0 {
		title += fmt.Sprintf(", %s failed or denied", views.Number(int(b.Failed)))
	}
	return title
}

// AuditLogCounts serves the number of entries that the log's address lets through, and a chart of when they occurred: to
// htmx what stands above the table, to others a page of its own. What the counts do not know is counted in steps, the newest
// first: the address carries what has been counted (countSoFar), and exact=1 asks for as many as one request may take.
func (h *Handlers) AuditLogCounts(c *fiber.Ctx) error {
	scope := scopeOf(c)
	filter, err := h.reading(c, nil).Filter(string(c.Request().URI().QueryString()))
	var bad *fault.Field
	if errors.As(err, &bad) && !wantsFragment(c) {
		return redirect(c, filter.Address(settingsPath(scope.Organization, "audit-logs"))) // which says what is wrong
	}
	if err != nil {
		return err
	}
	so, step, err := countSoFar(c, h.Store.Now())
	if err != nil {
		return err
	}
	h.noteCounting(c, filter)
	answer, exact, goneOn := so, c.Query("exact") != "", so.Next != nil
	ctx, org, query := contextOf(c), scope.Organization, filter.Query()
	switch {
	case !goneOn:
		answer, err = counts.Of(ctx, h.Entries, org, query)
	case !exact:
		answer, err = counts.Further(ctx, h.Entries, org, query, so)
	}
	if err != nil {
		return err
	}
	page := &logCounts{Frame: h.frame(c, "Audit Logs", "audit-logs"), Log: settingsPath(org, "audit-logs")}
	if exact && !answer.All {
		answer, err = h.countOn(ctx, org, query, answer)
		if page.Busy = errors.Is(err, intake.ErrBusy); err != nil && !page.Busy {
			return err
		}
	}
	page.Asked = exact
	page.Total = totalOf(answer, exact || goneOn)
	if answer.Count > 0 {
		drawn := filter
		if drawn.From.At == 0 && (goneOn || !answer.All) { // or its bars would become others as it goes on
			drawn.From = Bound{At: org.KeptSince(h.Store.Now())}
		}
		page.Chart = chartOf(drawn, org, answer, h.Store.Now(), scope.Location, page.Log)
		page.Chart.Elsewhere = !wantsFragment(c)
	}
	page.goesOn(filter, answer, exact || goneOn && answer.All, step)
	page.Log = filter.At(nil).Address(page.Log)
	if wantsFragment(c) {
		return h.render(c, fiber.StatusOK, "log/counts", page)
	}
	return h.render(c, fiber.StatusOK, "log/counts-page", page)
}

// Counts returns the address of the counts of what the page shows.
func (p *logPage) Counts() string { return p.Filter.At(nil).Address(p.Path + "/counts") }

// totalOf returns an answer's number in words, rounded where it is large and need not be exact.
func totalOf(answer counts.Answer, exact bool) string {
	const million = 1_000_000
	switch n := answer.Count; {
	case !answer.All && n == 0:
		return "None so far"
	case !answer.All:
		return views.Number(n) + "+ entries"
	case n > million && !exact:
		return fmt.Sprintf("About %.1f million entries", float64(n)/million)
	case n > counts.Most && !exact:
		return "About " + views.Number((n+500)/1000*1000) + " entries"
	default:
		return views.Count(n, "entry", "entries")
	}
}

// units are what a bar may be, the finest first, and the longest range that is drawn in them.
var units = []struct {
	name    string
	longest time.Duration
	begin   func(t time.Time) time.Time // of the unit t lies in
	next    func(begin time.Time) time.Time
	label   string
}{
	{"quarter of an hour", 24 * time.Hour, beginOfQuarter, func(t time.Time) time.Time { return t.Add(15 * time.Minute) }, "Jan 2, 15:04"},
	{"hour", 7 * 24 * time.Hour, beginOfHour, func(t time.Time) time.Time { return t.Add(time.Hour) }, "Jan 2, 15:04"},
	{"day", 100 * 24 * time.Hour, beginOfDay, func(t time.Time) time.Time { return dayAfter(t, 1) }, "Mon, Jan 2, 2006"},
	{"week", 1 << 62, beginOfWeek, func(t time.Time) time.Time { return dayAfter(t, 7) }, "week of Jan 2, 2006"},
}

func beginOfQuarter(t time.Time) time.Time {
	return models.QuarterOf(models.MicrosOf(t)).Begin().Time().In(t.Location())
}

// beginOfHour goes by what clocks show, in a zone such as +05:30 and where an hour comes twice.
func beginOfHour(t time.Time) time.Time {
	return t.Add(-time.Duration(t.Minute())*time.Minute - time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
}

func beginOfDay(t time.Time) time.Time { return dayAfter(t, 0) }

func beginOfWeek(t time.Time) time.Time { return dayAfter(t, -(int(t.Weekday())+6)%7) }

// dayAfter is the beginning of the day so many days after that of t: later than midnight where clocks are put forward then.
func dayAfter(t time.Time, days int) time.Time {
	begin, _ := instantsOf(time.Date(t.Year(), t.Month(), t.Day()+days, 0, 0, 0, 0, time.UTC), t.Location())
	return begin
}

// chartOf draws an answer over the range of the filter, or from its first entry to now.
func chartOf(filter Filter, org models.Organization, answer counts.Answer, now time.Time, zone *time.Location, path string) *chart {
	buckets := answer.Buckets
	first, last := buckets[0].Quarter.Begin(), buckets[len(buckets)-1].Quarter.Begin()
	from := first
	if filter.From.At != 0 {
		from = max(filter.From.At, org.KeptSince(now))
	}
	to := max(last+1, models.MicrosOf(now))
	if filter.To.At != 0 {
		to = min(to, filter.To.At)
	}
	begin, end := from.Time().In(zone), max(to, from+1).Time().In(zone)
	unit := units[0]
	for _, coarser := range units[1:] {
		if end.Sub(begin) > unit.longest {
			unit = coarser
		}
	}
	drawn := &chart{Unit: unit.name}
	for at := unit.begin(begin); at.Before(end); at = unit.next(at) {
		next := unit.next(at)
		b := bar{Place: len(drawn.Bars), From: at, To: next, Label: at.Format(unit.label)}
		for len(buckets) > 0 && buckets[0].Quarter.Begin().Time().Before(next) {
			b.Succeeded += int64(buckets[0].Succeeded)
			b.Failed += int64(buckets[0].Failed)
			buckets = buckets[1:]
		}
		if b.From.Before(begin) && filter.From.At != 0 {
			b.From = begin
		}
		if b.To.After(end) && filter.To.At != 0 {
			b.To = end
		}
		b.Address = filter.Between(b.From, b.To).Address(path)
		drawn.Most = max(drawn.Most, b.Count())
		drawn.Bars = append(drawn.Bars, b)
	}
	for i := range drawn.Bars {
		b := &drawn.Bars[i]
		b.SucceededHeight, b.FailedHeight = drawn.height(b.Succeeded), drawn.height(b.Failed)
		b.SucceededTop = 100 - b.SucceededHeight
		b.FailedTop = b.SucceededTop - b.FailedHeight
	}
	drawn.Begin, drawn.End = drawn.Bars[0].Label, drawn.Bars[len(drawn.Bars)-1].Label
	return drawn
}

// height is that of so many entries, of 100: what is there can be seen.
func (c *chart) height(entries int64) float64 {
	if entries == 0 {
		return 0
	}
	return max(float64(entries)/float64(c.Most)*98, 2)
}
