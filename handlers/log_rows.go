package handlers

import (
	"html/template"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
	"github.com/auditlogs/auditlogs/views"
)

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
	Outcome              string // "failed" or "denied"; empty where it succeeded
	ActorName            string
	Kind                 views.Kind        // of the actor
	For                  *principal        // for whom the actor acted; nil where that was itself
	ByLink               bool              // the actor is whose password a link set: whoever had the link
	Source               string            // of what was automated
	ByKey, Key           string            // the API key it came with, by ID and name; empty where none was
	ActorNote            string            // what tells a namesake apart: the e-mail, or the ID
	ActorTitle           string            // what the row has no room for
	Links                template.HTMLAttr // href and hx-get: the entry's own address
	Glyph                views.Glyph
	Datetime             string // in UTC, for machines
	Time                 string
	Late                 string // "recorded 3 h later", "imported" or the like, where nothing above says it for several

	Brief   *views.Brief    // what it changed, in a history
	Related *event.Resource // the resource of a history as it is related to it, where it is about another one

	ShowsType, ShowsID, ShowsUser bool
	Cells                         []cell // of further columns

	CutID                       bool   // it may be too long for its place, and is cut in the middle then
	EntityNameEnd, ActorNameEnd string // what is left of the end of a name that is cut so
}

// principal is for whom somebody acted.
type principal struct {
	Name string
	Note string // what tells a namesake apart
	Kind views.Kind
}

func principalOf(entry *models.Entry, names views.Namesakes) *principal {
	p := entry.OnBehalfOf
	if p == nil {
		return nil
	}
	return &principal{p.Name, names.Note(p.ID, p.Name, p.Email), views.KindOf(p.Type, p.ID)}
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
	longMarkedName = 12 // of an actor with a mark beside it
	longVerb       = 20
)

// itemsOf puts the entries in a row with what stands between them. gaps are those that belong on
// this page, in the order of the list.
func itemsOf(page *logPage, listed entries.Page, gaps []models.Gap, now time.Time) []item {
	var items []item
	f := page.Filter
	now = now.In(page.Location)
	under, together := "", 0
	names, further := views.NamesakesOf(listed.Entries), f.furtherColumns()
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
		row.Cells = cellsOf(page, entry, further)
		switch unmarked := borrowed(entry) && row.ByKey == ""; {
		case unmarked && !wasImported(entry):
			row.Late = "of another system"
		case unmarked || together == 0:
			row.Late = lateMark(entry)
		}
		together = max(0, together-1)
		items = append(items, item{Entry: row})
	}
	for _, gap := range gaps {
		items = append(items, item{Gap: &gapRow{gap.From, gap.To}})
	}
	return items
}

func rowOf(page *logPage, entry *models.Entry, names views.Namesakes, occurred time.Time, year int) *entryRow {
	id := entry.ID.String()
	path := template.HTMLEscapeString(page.Path + "/" + id + page.Opened)
	_, verb, _ := strings.Cut(entry.Action, ":")
	row := &entryRow{
		ID:     id,
		Action: entry.Action, LongVerb: len(verb) > longVerb, EntityType: entry.EntityType,
		Outcome:  views.OutcomeInWords(entry.Outcome),
		EntityID: entry.EntityID, EntityName: entry.EntityName,
		ActorName: entry.ActorName, Kind: views.KindOf(entry.ActorType, entry.ActorID), For: principalOf(entry, names), Source: entry.Source,
		ByKey: entry.APIKeyID, Key: entry.APIKeyName,
		ByLink:    entry.Action == string(action.UserPasswordReset),
		ActorNote: names.Note(entry.ActorID, entry.ActorName, entry.ActorEmail),
		Links:     template.HTMLAttr(`href="` + path + `" hx-get="` + path + `"`),
		Glyph:     views.GlyphOf(entry.Action),
		Datetime:  views.Datetime(entry.OccurredAt),
		Time:      occurred.Format("Jan 2, 15:04:05") + views.OffsetIfTwice(occurred),
		CutID:     len(entry.EntityID) > longID,
		ShowsType: page.Filter.Shows("entity_type"), ShowsID: page.Filter.Shows("entity_id"), ShowsUser: page.Filter.Shows("user"),
	}
	long := longActorName
	if row.Kind.Word != "" {
		long = longMarkedName
	}
	row.ActorNameEnd = endOf(entry.ActorName, long)
	if occurred.Year() != year {
		row.Time = views.Moment(occurred)
	}
	if entry.EntityName == entry.EntityID {
		row.EntityName = ""
	}
	row.EntityNameEnd = endOf(row.EntityName, longEntityName)
	row.ActorTitle = titleOf(entry, row, long)
	return row
}

// titleOf is what the cell of the user says when it is pointed at: a name of more than long bytes may be cut.
func titleOf(entry *models.Entry, row *entryRow, long int) string {
	var parts []string
	if len(entry.ActorName) > long {
		parts = append(parts, entry.ActorName)
	}
	for _, part := range []string{entry.ActorEmail, row.ActorNote} {
		if part != "" && part != entry.ActorName && !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	if p := entry.OnBehalfOf; p != nil {
		for _, part := range []string{"for " + p.Name, p.Email} {
			if part != "" && part != p.Name {
				parts = append(parts, part)
			}
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
