package handlers

import (
	"slices"
	"time"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

// gapsOn are the times without logging that stand between the entries of a page, in its order:
// each on one page of the list only. They have a place in the order of time, and only there.
func gapsOn(page *logPage, listed entries.Page, gaps []models.Gap) []models.Gap {
	f := page.Filter
	if f.Sort != entries.SortTimestamp {
		return nil
	}
	var last models.Micros
	switch n := len(listed.Entries); {
	case listed.Looked != nil && !listed.Looked.Before:
		last = models.MicrosOf(listed.Looked.ID.Occurred())
	case n > 0:
		last = listed.Entries[n-1].OccurredAt
	case listed.Looked != nil:
		last = models.MicrosOf(f.Cursor.ID.Occurred())
	default:
		return nil
	}
	gaps = slices.DeleteFunc(slices.Clone(gaps), func(gap models.Gap) bool {
		return gap.To == 0 || // it goes on: the banner says so
			f.From.At != 0 && gap.To <= f.From.At || f.To.At != 0 && gap.From >= f.To.At ||
			// It belongs to a later page, or to an earlier one.
			listed.Next != nil && !precedes(gap, last, f.Ascending) ||
			!listed.Ahead.IsZero() && precedes(gap, models.MicrosOf(listed.Ahead.Occurred()), f.Ascending)
	})
	if !f.Ascending {
		slices.Reverse(gaps)
	}
	return gaps
}

// switching is how long the entry of a switch may have been written after the switch itself.
const switching = models.Micros(time.Second / time.Microsecond)

// precedes reports whether a gap comes in the list before an entry that occurred then. It goes by the gap's
// beginning: what is recorded even while logging is off happened after that.
func precedes(gap models.Gap, occurred models.Micros, ascending bool) bool {
	during := occurred > gap.From+switching
	return during == ascending
}
