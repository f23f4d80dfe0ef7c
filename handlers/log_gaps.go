package handlers

import (
	"context"
	"slices"
	"time"

	"github.com/auditlogs/auditlogs/models"
)

// gapsOn are the times without logging that stand between the entries of a page, in its order:
// each on one page of the list only. They have a place in the order of time, and only there.
func (h *Handlers) gapsOn(ctx context.Context, page *logPage, entries models.EntryPage, gaps []models.Gap) ([]models.Gap, error) {
	f := page.Filter
	if f.Sort != models.SortTimestamp || len(entries.Entries) == 0 {
		return nil, nil
	}
	gaps = slices.DeleteFunc(slices.Clone(gaps), func(gap models.Gap) bool {
		return gap.To == 0 || // it goes on: the banner says so
			f.From.At != 0 && gap.To <= f.From.At || f.To.At != 0 && gap.From >= f.To.At
	})
	if !f.Ascending {
		slices.Reverse(gaps)
	}
	first, last := &entries.Entries[0], &entries.Entries[len(entries.Entries)-1]
	if entries.Next != nil {
		gaps = slices.DeleteFunc(gaps, func(gap models.Gap) bool { return !precedes(gap, last, f.Ascending) })
	}
	// What precedes the first entry may belong to an earlier page: unless it comes after that
	// page's last entry. Few logs ever have a gap, so this is rarely asked.
	if entries.Previous != nil && len(gaps) > 0 && precedes(gaps[0], first, f.Ascending) {
		query := f.Query()
		query.Cursor, query.Limit = entries.Previous, 1
		before, err := h.Listing.Entries(ctx, page.Organization, query)
		if err != nil {
			return nil, err
		}
		gaps = slices.DeleteFunc(gaps, func(gap models.Gap) bool {
			return len(before.Entries) > 0 && precedes(gap, &before.Entries[0], f.Ascending)
		})
	}
	return gaps, nil
}

// switching is how long the entry of a switch may have been written after the switch itself.
const switching = models.Micros(time.Second / time.Microsecond)

// precedes says that a gap comes before entry in the list. It goes by the gap's beginning: what is
// recorded even while logging is off happened after that.
func precedes(gap models.Gap, entry *models.Entry, ascending bool) bool {
	during := entry.OccurredAt > gap.From+switching
	return during == ascending
}
