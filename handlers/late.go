package handlers

import (
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/views"
)

// Entries written more than lateFrom after (or before) they happened say so, and so do those that were
// imported or restored: each by itself or, where several came together, once for all.
const (
	lateFrom = time.Minute
	// togetherFrom is how many neighbours, each written within togetherWithin of the one before, came
	// together.
	togetherFrom   = 3
	togetherWithin = 10 * time.Minute
)

// lateness is how long after it happened an entry was recorded.
func lateness(e *models.Entry) time.Duration {
	return e.RecordedAt.Time().Sub(e.OccurredAt.Time())
}

// late reports whether an entry was recorded late, and not merely imported since.
func late(e *models.Entry) bool {
	return e.Origin != models.OriginImport && lateness(e).Abs() > lateFrom
}

// lateMark is what an entry says by itself of how it came into the log; empty where that is as usual.
func lateMark(e *models.Entry) string {
	switch {
	case e.Origin == models.OriginImport, borrowed(e) && wasImported(e):
		return "imported"
	case e.Origin == models.OriginRestore:
		return "restored"
	case late(e):
		return "recorded " + views.DifferenceInWords(lateness(e))
	default:
		return ""
	}
}

// borrowed reports whether another system's entry has an action that the app records of itself: it must not look like
// the app's own, not even in a row among many that were imported or restored. The app's own have no native action.
func borrowed(e *models.Entry) bool {
	return action.Action(e.Action).Reserved() && (wasImported(e) || e.APIKeyID != "" || e.NativeAction != "")
}

// wasImported reports whether an entry was imported, be it into the log that it was restored from.
func wasImported(e *models.Entry) bool {
	return e.Origin == models.OriginImport || e.Origin == models.OriginRestore && models.OriginalOf(*e).Origin == models.OriginImport
}

// cameTogether is how many entries, from the first on, came into the log together and not as usual;
// zero where they are too few for one mark.
func cameTogether(entries []models.Entry) int {
	n := 0
	for ; n < len(entries) && lateMark(&entries[n]) != ""; n++ {
		if n > 0 && !together(&entries[n-1], &entries[n]) {
			break
		}
	}
	if n < togetherFrom {
		return 0
	}
	return n
}

// together reports whether two neighbours came into the log together. When a restored one was written
// is not known: recorded it was long ago.
func together(a, b *models.Entry) bool {
	return a.Origin == b.Origin &&
		(a.Origin == models.OriginRestore || b.RecordedAt.Time().Sub(a.RecordedAt.Time()).Abs() <= togetherWithin)
}

// togetherRow stands above entries that came into the log together.
type togetherRow struct {
	Origin   models.Origin
	Count    int
	At       models.Micros // when the last of them was recorded
	Lateness string        // "3 h to 9 days later"
}

func togetherOf(entries []models.Entry) *togetherRow {
	row := &togetherRow{Origin: entries[0].Origin, Count: len(entries)}
	least, most := lateness(&entries[0]), lateness(&entries[0])
	for i := range entries {
		row.At = max(row.At, entries[i].RecordedAt)
		least, most = min(least, lateness(&entries[i])), max(most, lateness(&entries[i]))
	}
	row.Lateness = views.DifferenceInWords(most)
	if shortest := views.DifferenceInWords(least); shortest != row.Lateness {
		row.Lateness = strings.TrimSuffix(shortest, " later") + " to " + row.Lateness
	}
	return row
}
