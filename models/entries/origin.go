package entries

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/models"
)

// Where an entry came from (its IP, request, API key or source) is found through indexes whose runs are one
// value of one day: what is recorded today goes to a few pages of them, however many values there are. Such a
// question is a run a day, of as many days as are kept.

// originColumns are what an entry's origin is known by, what few entries share first.
var originColumns = []string{"request_id", "ip", "api_key_id", "source"}

const dayOf = "day of "

// isDayOf reports whether a column of runs is the day of an index of origins.
func isDayOf(column string) bool { return strings.HasPrefix(column, dayOf) }

// origin is the query's filter by origin that is likely to let the fewest through.
func (p *plan) origin() (filter, bool) {
	filters := p.filters()
	for _, column := range originColumns {
		if i := slices.IndexFunc(filters, func(f filter) bool { return f.column == column }); i >= 0 {
			return filters[i], true
		}
	}
	return filter{}, false
}

// originRuns are the runs of an origin in a span, without what other filters ask for.
func (l *Log) originRuns(p *plan, f filter, within span) runSet {
	set := runSet{columns: []string{dayOf + f.column}, indexed: 1, of: l.merge.hasOrigin(p.org.ID, f.column, f.values[0])}
	// Clocks of those who record may be ahead, but not by a day.
	last := min(dayAt(previous(within.to)), int64(models.MicrosOf(l.Now().Add(24*time.Hour)))/day)
	for d := dayAt(within.from); d <= last; d++ {
		set.runs = append(set.runs, run{0, []string{strconv.FormatInt(d, 10)}})
	}
	return set
}

// day is how many microseconds a day has.
const day = 86_400_000_000

func dayAt(id models.EntryID) int64 { return int64(models.MicrosOf(id.Occurred())) / day }
