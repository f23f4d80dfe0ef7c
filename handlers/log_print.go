package handlers

import (
	"strings"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
	"github.com/auditlogs/auditlogs/views"
)

// printedOf returns which entries are on a page, of which list, and what lies on either side: on paper
// there is nothing else to tell.
func printedOf(page *logPage, entries []models.Entry) string {
	if len(entries) == 0 {
		return ""
	}
	before, after := page.Pages.Previous != "", page.Pages.Next != ""
	said := views.Count(len(entries), "entry", "entries")
	switch narrows := page.Filter.Narrows(); {
	case !before && !after && narrows:
		said = "Every entry the filters show: " + said
	case !before && !after:
		said = "Every entry: " + said
	case narrows:
		said += " of those the filters show"
	}
	said += ", " + page.orderInWords()
	first, last := placeOf(page, &entries[0]), placeOf(page, &entries[len(entries)-1])
	if said += ": " + first; last != first {
		said += " to " + last
	}
	said += "."

	earlier, later := "More entries", "more"
	if page.Filter.DefaultOrder() {
		earlier, later = "Newer entries", "older ones"
	}
	switch {
	case before && after:
		said += " " + earlier + " come before this page, and " + later + " follow."
	case before:
		said += " This is the last page: " + strings.ToLower(earlier) + " come before it."
	case after:
		said += " This is the first page: " + later + " follow."
	}
	return said
}

// placeOf is where an entry stands in the order of its page: its time, or its value.
func placeOf(page *logPage, entry *models.Entry) string {
	switch page.Filter.Sort {
	case entries.SortAction:
		return entry.Action
	case entries.SortEntityType:
		return entry.EntityType
	case entries.SortUser:
		return entry.ActorName
	}
	return views.Moment(entry.OccurredAt.Time().In(page.Location))
}
