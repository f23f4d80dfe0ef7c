package handlers

import (
	"html/template"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/models"
)

// chip is one part of the filter that is on, and the address without it.
type chip struct {
	Name, Value string // as in the address
	Kind, Label string // in words
	Without     string
}

// chipsOf says what is on. actors are those of the filter, in its order.
func chipsOf(page *logPage, actors []models.Actor) []chip {
	f := page.Filter
	var chips []chip
	add := func(name, value, kind, label string) {
		chips = append(chips, chip{name, value, kind, label, f.Without(name, value).Address(page.Path)})
	}
	if f.Search != "" {
		add("q", f.Search, "Search", f.Search)
	}
	for _, action := range f.Actions {
		add("action", action, "Action", action)
	}
	for _, option := range actorOptions(actors, nil) {
		label := option.Name
		if option.Note != "" {
			label += " (" + option.Note + ")"
		}
		add("actor", option.ID, "User", label)
	}
	if f.EntityType != "" {
		add("entity_type", f.EntityType, "Entity type", f.EntityType)
	}
	if f.From.Text != "" {
		add("from", f.From.Text, "From", boundLabel(f.From, f.Zone, page.Location))
	}
	if f.To.Text != "" {
		add("to", f.To.Text, "To", boundLabel(f.To, f.Zone, page.Location))
	}
	return chips
}

// boundLabel is one end of a range in words. A day is meant in zone, which is named where it is
// not the reader's; a moment is shown in the reader's.
func boundLabel(b Bound, zone, reader *time.Location) string {
	switch {
	case b.Date:
		label := b.Text
		if day, err := time.Parse(time.DateOnly, b.Text); err == nil {
			label = day.Format("Jan 2, 2006")
		}
		if zone.String() != reader.String() {
			label += " (" + zone.String() + ")"
		}
		return label
	case strings.HasPrefix(b.Text, "-"):
		amount := strings.TrimLeft(b.Text[1:len(b.Text)-1], "0")
		unit := map[byte]string{'h': "hour", 'd': "day"}[b.Text[len(b.Text)-1]]
		switch amount {
		case "":
			return "now"
		case "1":
			return "1 " + unit + " ago"
		default:
			return amount + " " + unit + "s ago"
		}
	case b.Local && zone.String() != reader.String():
		return shownMoment(b.At.Time().In(zone)) + " (" + zone.String() + ")"
	default:
		return shownMoment(b.At.Time().In(reader))
	}
}

// column is a heading of the table. Only those with an address sort.
type column struct {
	Name, Label string
	Address     string
	Sorted      string // for aria-sort
}

func columnsOf(page *logPage) []column {
	columns := []column{
		{Name: "action", Label: "Action"},
		{Name: "entity_type", Label: "Entity type"},
		{Name: "entity_id", Label: "Entity ID"},
		{Name: "user", Label: "User"},
		{Name: "timestamp", Label: "Timestamp"},
	}
	for i := range columns {
		sort := models.Sort(columns[i].Name)
		if sort == "entity_id" {
			continue
		}
		columns[i].Address = page.Filter.SortedBy(sort).Address(page.Path)
		switch {
		case page.Filter.Sort != sort:
			columns[i].Sorted = "none"
		case page.Filter.Ascending:
			columns[i].Sorted = "ascending"
		default:
			columns[i].Sorted = "descending"
		}
	}
	return columns
}

// order is a choice of the Sort control, which stands in for the headings on narrow pages.
type order struct {
	Label   string
	Address string
	Current bool
}

var orderLabels = []struct {
	sort      models.Sort
	ascending bool
	label     string
}{
	{models.SortTimestamp, false, "Newest first"},
	{models.SortTimestamp, true, "Oldest first"},
	{models.SortAction, true, "Action, A to Z"},
	{models.SortAction, false, "Action, Z to A"},
	{models.SortEntityType, true, "Entity type, A to Z"},
	{models.SortEntityType, false, "Entity type, Z to A"},
	{models.SortUser, true, "User, A to Z"},
	{models.SortUser, false, "User, Z to A"},
}

func ordersOf(page *logPage) []order {
	orders := make([]order, 0, len(orderLabels))
	for _, o := range orderLabels {
		f := page.Filter.At(nil)
		f.Sort, f.Ascending = o.sort, o.ascending
		orders = append(orders, order{o.label, f.Address(page.Path), o.label == page.Filter.OrderLabel()})
	}
	return orders
}

// OrderLabel is the order in words: "Newest first".
func (f Filter) OrderLabel() string {
	for _, o := range orderLabels {
		if o.sort == f.Sort && o.ascending == f.Ascending {
			return o.label
		}
	}
	return ""
}

// Summary says how many entries are shown and in which order, for those who can't see it.
func (p *logPage) Summary() string { return p.summary("") }

// ShownSummary says the same beside the table, where a number must not read as that of all pages.
func (p *logPage) ShownSummary() string {
	if p.Pages.Previous != "" || p.Pages.Next != "" {
		return p.summary(" on this page")
	}
	return p.summary("")
}

func (p *logPage) summary(where string) string {
	order := p.Filter.OrderLabel()
	if p.Filter.Sort == models.SortTimestamp {
		order = strings.ToLower(order)
	} else {
		order = "sorted by " + strings.ToLower(order[:1]) + order[1:]
	}
	if p.Problem != nil {
		return ""
	}
	if p.Count == 0 {
		return "No entries"
	}
	return count(p.Count, "entry", "entries") + where + ", " + order
}

// FilterCount is how many filters are on besides the search, which is always in sight.
func (p *logPage) FilterCount() int {
	if p.Filter.Search != "" {
		return p.Filter.Parts() - 1
	}
	return p.Filter.Parts()
}

// CSV and NDJSON are the addresses of exports of everything the filter lets through.
func (p *logPage) CSV() string    { return p.export("csv") }
func (p *logPage) NDJSON() string { return p.export("ndjson") }

func (p *logPage) export(format string) string {
	f := p.Filter.At(nil)
	f.Limit = defaultPageSize
	address := p.Path + "/export?format=" + format
	if query := f.String(); query != "" {
		address += "&" + query
	}
	return address
}

// item is one thing in the table: an entry, or what separates entries.
type item struct {
	Entry   *entryRow
	Heading *heading
	Gap     *gapRow
}

// entryRow is an entry as its line shows it. There are many on a page: fields of its own, and ready as
// they are shown, cost the template least.
type entryRow struct {
	ID                            string
	Action, EntityType            string
	EntityID, EntityName          string
	ActorName, ActorEmail, Source string
	Links                         template.HTMLAttr // href and hx-get: the entry's own address
	Glyph                         actionGlyph
	Datetime                      string // in UTC, for machines
	Time                          string
	Late                          string // "recorded 3 h later", where that is more than a minute
	Cut                           bool   // the ID may be too long for its column
}

// heading separates days, or the values of the sorted column.
type heading struct {
	Label string
	Mono  bool
	Next  string // the address of the next value
}

// gapRow is a time during which nothing was recorded.
type gapRow struct{ From, To models.Micros }

// longID is from how many characters on an ID may not fit its column.
const longID = 18

// itemsOf puts the entries in a row with what stands between them. gaps are those that belong on
// this page, in the order of the list.
func itemsOf(page *logPage, entries models.EntryPage, gaps []models.Gap, now time.Time) []item {
	var items []item
	f := page.Filter
	now = now.In(page.Location)
	under := ""
	for i := range entries.Entries {
		entry := &entries.Entries[i]
		for len(gaps) > 0 && precedes(gaps[0], entry.OccurredAt, f.Ascending) {
			items = append(items, item{Gap: &gapRow{gaps[0].From, gaps[0].To}})
			gaps = gaps[1:]
		}
		occurred := entry.OccurredAt.Time().In(page.Location)
		if value := valueOf(f.Sort, entry, occurred); i == 0 || value != under {
			under = value
			h := headingOf(f.Sort, entry, occurred, now)
			if last := &entries.Entries[len(entries.Entries)-1]; f.Sort != models.SortTimestamp &&
				(entries.Next != nil || valueOf(f.Sort, last, occurred) != value) {
				h.Next = f.At(behindValue(f.Sort, entry)).Address(page.Path)
			}
			items = append(items, item{Heading: h})
		}
		items = append(items, item{Entry: rowOf(page, entry, occurred, now.Year())})
	}
	for _, gap := range gaps {
		items = append(items, item{Gap: &gapRow{gap.From, gap.To}})
	}
	return items
}

func rowOf(page *logPage, entry *models.Entry, occurred time.Time, year int) *entryRow {
	id := entry.ID.String()
	path := template.HTMLEscapeString(page.Path + "/" + id)
	row := &entryRow{
		ID:     id,
		Action: entry.Action, EntityType: entry.EntityType,
		EntityID: entry.EntityID, EntityName: entry.EntityName,
		ActorName: entry.ActorName, ActorEmail: entry.ActorEmail, Source: entry.Source,
		Links:    template.HTMLAttr(`href="` + path + `" hx-get="` + path + `"`),
		Glyph:    glyphOf(entry.Action),
		Datetime: datetime(entry.OccurredAt),
		Time:     occurred.Format("Jan 2, 15:04:05") + offsetIfTwice(occurred),
		Cut:      len(entry.EntityID) > longID,
	}
	if occurred.Year() != year {
		row.Time = occurred.Format("Jan 2, 2006, 15:04:05")
	}
	if difference := entry.RecordedAt.Time().Sub(occurred); difference.Abs() > time.Minute {
		row.Late = "recorded " + differenceInWords(difference)
	}
	return row
}

// valueOf is what entries are set apart by: their day, or their value in the sorted column.
func valueOf(sort models.Sort, entry *models.Entry, occurred time.Time) string {
	if sort == models.SortTimestamp {
		return occurred.Format(time.DateOnly)
	}
	return models.CursorAfter(sort, entry).Value
}

// behindValue is the place behind all entries that have the value of this one in the sorted
// column: no entry has the zero ID, so everything with the value comes before it.
func behindValue(sort models.Sort, entry *models.Entry) *models.Cursor {
	cursor := models.CursorAfter(sort, entry)
	cursor.ID = models.EntryID{}
	return cursor
}

// headingOf is what stands above the entries of a day, or of a value.
func headingOf(sort models.Sort, entry *models.Entry, occurred, now time.Time) *heading {
	switch sort {
	case models.SortAction:
		return &heading{Label: entry.Action, Mono: true}
	case models.SortEntityType:
		return &heading{Label: entry.EntityType, Mono: true}
	case models.SortUser:
		return &heading{Label: entry.ActorName}
	}
	label := occurred.Format("Monday, January 2")
	if occurred.Year() != now.Year() {
		label += occurred.Format(", 2006")
	}
	switch occurred.Format(time.DateOnly) {
	case now.Format(time.DateOnly):
		label = "Today · " + label
	case now.AddDate(0, 0, -1).Format(time.DateOnly):
		label = "Yesterday · " + label
	}
	return &heading{Label: label}
}

// pageLinks lead to the neighbouring pages; empty where there is none.
type pageLinks struct {
	First, Previous, Next                string
	FirstLabel, PreviousLabel, NextLabel string
}

func pageLinksOf(page *logPage, entries models.EntryPage) pageLinks {
	f := page.Filter
	links := pageLinks{FirstLabel: "First", PreviousLabel: "Previous", NextLabel: "Next"}
	if f.DefaultOrder() {
		links = pageLinks{FirstLabel: "Newest", PreviousLabel: "Newer", NextLabel: "Older"}
	}
	if entries.Previous != nil {
		links.First = f.At(nil).Address(page.Path)
		links.Previous = f.At(entries.Previous).Address(page.Path)
	}
	if entries.Next != nil {
		links.Next = f.At(entries.Next).Address(page.Path)
	}
	return links
}

// emptyLog is a log with nothing to show.
type emptyLog struct {
	Why    string // "new", "filters", "off" or "end"
	Clear  string // the address without filters
	First  string // the address of the first page
	People []suggestion
}

// suggestion is a person whose name was searched for.
type suggestion struct {
	models.Actor
	Address string
}
