package handlers

import (
	"slices"
	"time"

	"github.com/auditlogs/auditlogs/models"
)

// gapsOn are the times without logging that stand between the entries of a page, in its order:
// each on one page of the list only. They have a place in the order of time, and only there.
func gapsOn(page *logPage, entries models.EntryPage, gaps []models.Gap) []models.Gap {
	f := page.Filter
	if f.Sort != models.SortTimestamp {
		return nil
	}
	var last models.Micros
	switch n := len(entries.Entries); {
	case entries.Looked != nil && !entries.Looked.Before:
		last = models.MicrosOf(entries.Looked.ID.Occurred())
	case n > 0:
		last = entries.Entries[n-1].OccurredAt
	case entries.Looked != nil:
		last = models.MicrosOf(f.Cursor.ID.Occurred())
	default:
		return nil
	}
	gaps = slices.DeleteFunc(slices.Clone(gaps), func(gap models.Gap) bool {
		return gap.To == 0 || // it goes on: the banner says so
			f.From.At != 0 && gap.To <= f.From.At || f.To.At != 0 && gap.From >= f.To.At ||
			// It belongs to a later page, or to an earlier one.
			entries.Next != nil && !precedes(gap, last, f.Ascending) ||
			!entries.Ahead.IsZero() && precedes(gap, models.MicrosOf(entries.Ahead.Occurred()), f.Ascending)
	})
	if !f.Ascending {
		slices.Reverse(gaps)
	}
	return gaps
}

// switching is how long the entry of a switch may have been written after the switch itself.
const switching = models.Micros(time.Second / time.Microsecond)

// precedes says that a gap comes in the list before an entry that occurred then. It goes by the gap's
// beginning: what is recorded even while logging is off happened after that.
func precedes(gap models.Gap, occurred models.Micros, ascending bool) bool {
	during := occurred > gap.From+switching
	return during == ascending
}
