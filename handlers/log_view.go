package handlers

import (
	"html/template"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
	"github.com/auditlogs/auditlogs/views"
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
		return views.Moment(b.At.Time().In(zone)) + " (" + zone.String() + ")"
	default:
		return views.Moment(b.At.Time().In(reader))
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
		sort := entries.Sort(columns[i].Name)
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
	sort      entries.Sort
	ascending bool
	label     string
}{
	{entries.SortTimestamp, false, "Newest first"},
	{entries.SortTimestamp, true, "Oldest first"},
	{entries.SortAction, true, "Action, A to Z"},
	{entries.SortAction, false, "Action, Z to A"},
	{entries.SortEntityType, true, "Entity type, A to Z"},
	{entries.SortEntityType, false, "Entity type, Z to A"},
	{entries.SortUser, true, "User, A to Z"},
	{entries.SortUser, false, "User, Z to A"},
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
	if p.Problem != nil {
		return ""
	}
	if p.Count == 0 && p.Partial != nil {
		return p.Partial.Text
	}
	if p.Count == 0 {
		return "No entries"
	}
	return views.Count(p.Count, "entry", "entries") + where + ", " + p.orderInWords()
}

// orderInWords is the order within a sentence: "newest first", "sorted by action, A to Z".
func (p *logPage) orderInWords() string {
	order := p.Filter.OrderLabel()
	if p.Filter.Sort == entries.SortTimestamp {
		return strings.ToLower(order)
	}
	return "sorted by " + strings.ToLower(order[:1]) + order[1:]
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
	Entry    *entryRow
	Heading  *heading
	Gap      *gapRow
	Together *togetherRow
}

// entryRow is an entry as its line shows it. There are many on a page: fields of its own, and ready as
// they are shown, cost the template least.
type entryRow struct {
	ID                   string
	Action, EntityType   string
	LongVerb             bool   // the verb alone may be too long for its column
	EntityID, EntityName string // the name is empty where it is the ID
	ActorName            string
	Automated            bool
	ByLink               bool              // the actor is whose password a link set: whoever had the link
	Source               string            // of what was automated
	ByKey, Key           string            // the API key it came with, by ID and name; empty where none was
	ActorNote            string            // what tells a namesake apart: the e-mail, or the ID
	ActorTitle           string            // what the row has no room for
	Links                template.HTMLAttr // href and hx-get: the entry's own address
	Glyph                views.Glyph
	Datetime             string // in UTC, for machines
	Time                 string
	Late                 string // "recorded 3 h later" or "imported", where nothing above says it for several

	Brief *views.Brief // what it changed, in a history

	CutID                       bool   // it may be too long for its place, and is cut in the middle then
	EntityNameEnd, ActorNameEnd string // what is left of the end of a name that is cut so
}

// heading separates days, or the values of the sorted column, and of users also those who share a name.
type heading struct {
	Label string
	Note  string // what tells a namesake apart
	Mono  bool
	Next  string // the address of the next value
}

// gapRow is a time during which nothing was recorded.
type gapRow struct{ From, To models.Micros }

// From how many bytes on a text may not fit its place in a row.
const (
	longID         = 18
	longEntityName = 20
	longActorName  = 16
	longVerb       = 20
)

// itemsOf puts the entries in a row with what stands between them. gaps are those that belong on
// this page, in the order of the list.
func itemsOf(page *logPage, listed entries.Page, gaps []models.Gap, now time.Time) []item {
	var items []item
	f := page.Filter
	now = now.In(page.Location)
	under, together := "", 0
	names := views.NamesakesOf(listed.Entries)
	for i := range listed.Entries {
		entry := &listed.Entries[i]
		for len(gaps) > 0 && precedes(gaps[0], entry.OccurredAt, f.Ascending) {
			items = append(items, item{Gap: &gapRow{gaps[0].From, gaps[0].To}})
			gaps = gaps[1:]
		}
		occurred := entry.OccurredAt.Time().In(page.Location)
		if value := valueOf(f.Sort, entry, occurred); i == 0 || value != under {
			under = value
			h := headingOf(f.Sort, entry, names, occurred, now)
			behind := behindValue(f.Sort, entry)
			if last := &listed.Entries[len(listed.Entries)-1]; f.Sort != entries.SortTimestamp &&
				(listed.Next != nil || entries.CursorAfter(f.Sort, last).Value != behind.Value) {
				h.Next = f.At(behind).Address(page.Path)
			}
			items = append(items, item{Heading: h})
		}
		if together == 0 {
			if together = cameTogether(listed.Entries[i:]); together > 0 {
				items = append(items, item{Together: togetherOf(listed.Entries[i : i+together])})
			}
		}
		row := rowOf(page, entry, names, occurred, now.Year())
		if together > 0 {
			together--
		} else {
			row.Late = lateMark(entry)
		}
		items = append(items, item{Entry: row})
	}
	for _, gap := range gaps {
		items = append(items, item{Gap: &gapRow{gap.From, gap.To}})
	}
	return items
}

func rowOf(page *logPage, entry *models.Entry, names views.Namesakes, occurred time.Time, year int) *entryRow {
	id := entry.ID.String()
	path := template.HTMLEscapeString(page.Path + "/" + id)
	_, verb, _ := strings.Cut(entry.Action, ":")
	row := &entryRow{
		ID:     id,
		Action: entry.Action, LongVerb: len(verb) > longVerb, EntityType: entry.EntityType,
		EntityID: entry.EntityID, EntityName: entry.EntityName,
		ActorName: entry.ActorName, Automated: entry.BySystem(), Source: entry.Source,
		ByKey: entry.APIKeyID, Key: entry.APIKeyName,
		ByLink:       entry.Action == string(action.UserPasswordReset),
		ActorNote:    names.Note(entry.ActorID, entry.ActorName, entry.ActorEmail),
		Links:        template.HTMLAttr(`href="` + path + `" hx-get="` + path + `"`),
		Glyph:        views.GlyphOf(entry.Action),
		Datetime:     views.Datetime(entry.OccurredAt),
		Time:         occurred.Format("Jan 2, 15:04:05") + views.OffsetIfTwice(occurred),
		CutID:        len(entry.EntityID) > longID,
		ActorNameEnd: endOf(entry.ActorName, longActorName),
	}
	if occurred.Year() != year {
		row.Time = views.Moment(occurred)
	}
	if entry.EntityName == entry.EntityID {
		row.EntityName = ""
	}
	row.EntityNameEnd = endOf(row.EntityName, longEntityName)
	row.ActorTitle = titleOf(entry, row)
	return row
}

// titleOf is what the cell of the user says when it is pointed at.
func titleOf(entry *models.Entry, row *entryRow) string {
	var parts []string
	if len(entry.ActorName) > longActorName {
		parts = append(parts, entry.ActorName)
	}
	for _, part := range []string{entry.ActorEmail, row.ActorNote} {
		if part != "" && part != entry.ActorName && !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	if entry.Source != "" {
		parts = append(parts, "source "+entry.Source)
	}
	return strings.Join(parts, ", ")
}

// endOf is the end of a name that may be too long for its place, empty where it is not. Names written
// from right to left are cut at their end: cut in the middle, beginning and end would change places.
func endOf(name string, long int) string {
	if len(name) <= long || strings.ContainsFunc(name, func(r rune) bool {
		return unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko)
	}) {
		return ""
	}
	const kept = 6
	letters := []rune(name)
	end := max(0, len(letters)-kept)
	for end > 0 && unicode.Is(unicode.M, letters[end]) {
		end--
	}
	return string(letters[end:])
}

// valueOf is what entries are set apart by: their day, or their value in the sorted column, and of
// users also who it is.
func valueOf(sort entries.Sort, entry *models.Entry, occurred time.Time) string {
	switch sort {
	case entries.SortTimestamp:
		return occurred.Format(time.DateOnly)
	case entries.SortUser:
		return entry.ActorKey + "\n" + entry.ActorID
	default:
		return entries.CursorAfter(sort, entry).Value
	}
}

// behindValue is the place behind all entries that have the value of this one in the sorted
// column: no entry has the zero ID, so everything with the value comes before it.
func behindValue(sort entries.Sort, entry *models.Entry) *entries.Cursor {
	cursor := entries.CursorAfter(sort, entry)
	cursor.ID = models.EntryID{}
	return cursor
}

// headingOf is what stands above the entries of a day, or of a value.
func headingOf(sort entries.Sort, entry *models.Entry, names views.Namesakes, occurred, now time.Time) *heading {
	switch sort {
	case entries.SortAction:
		return &heading{Label: entry.Action, Mono: true}
	case entries.SortEntityType:
		return &heading{Label: entry.EntityType, Mono: true}
	case entries.SortUser:
		return &heading{Label: entry.ActorName, Note: names.Note(entry.ActorID, entry.ActorName, entry.ActorEmail)}
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

// keepLooking leads on from where a page ended before it was full.
const keepLooking = "Keep looking"

func pageLinksOf(page *logPage, listed entries.Page) pageLinks {
	f := page.Filter
	links := pageLinks{FirstLabel: "First", PreviousLabel: "Previous", NextLabel: "Next"}
	if f.DefaultOrder() {
		links = pageLinks{FirstLabel: "Newest", PreviousLabel: "Newer", NextLabel: "Older"}
	}
	if listed.Previous != nil {
		links.First = f.At(nil).Address(page.Path)
		links.Previous = f.At(listed.Previous).Address(page.Path)
	}
	if listed.Next != nil {
		links.Next = f.At(listed.Next).Address(page.Path)
	}
	switch {
	case listed.Looked == nil:
	case listed.Looked.Before:
		links.PreviousLabel = keepLooking
	default:
		links.NextLabel = keepLooking
	}
	return links
}

// partialPage says how far was looked where the page ended before it was full.
type partialPage struct {
	Text    string // "No match back to Nov 3, 14:02"
	Address string // goes on from there
}

func partialPageOf(page *logPage, listed entries.Page) *partialPage {
	if listed.Looked == nil {
		return nil
	}
	partial := &partialPage{Text: "Looked ", Address: page.Filter.At(listed.Looked).Address(page.Path)}
	if page.Count == 0 {
		partial.Text = "No match "
	}
	partial.Text += page.lookedTo(*listed.Looked)
	return partial
}

// lookedTo says how far was looked: "back to Nov 3, 14:02".
func (p *logPage) lookedTo(place entries.Cursor) string {
	if p.Filter.Sort != entries.SortTimestamp {
		return "as far as " + place.Value
	}
	at := place.ID.Occurred().In(p.Location)
	moment := at.Format("Jan 2, 15:04")
	if at.Year() != p.Now.Time().In(p.Location).Year() {
		moment = at.Format("Jan 2, 2006, 15:04")
	}
	if place.Before == p.Filter.Ascending {
		return "back to " + moment
	}
	return "up to " + moment
}

// emptyLog is a log with nothing to show.
type emptyLog struct {
	Why   string // "new", "filters", "partial", "closed", "off" or "end"
	Clear string // the address without filters
	First string // the address of the first page
}

// suggestion is a person whose name was searched for.
type suggestion struct {
	actorOption
	Address string
}
