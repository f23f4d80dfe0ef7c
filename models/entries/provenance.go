package entries

import (
	"strconv"
	"time"

	"github.com/auditlogs/auditlogs/models"
)

// The provenance of an entry is where the event was sent from: its IP, request, API key or source. Entries are found
// by it through indexes whose runs are one value of one day: what is recorded today goes to a few pages of them,
// however many values there are. Such a question is a run a day, of as many days as are kept.

// day is the column of those indexes besides the value, which all runs have in common.
const day = "day"

// byProvenance are the indexes by column, what few entries share first.
var byProvenance = []struct {
	column string
	index  *index
	value  func(q Query) string
}{
	{"request_id", &index{"audit_entries_by_request_id", "audit_entries", []string{day}}, func(q Query) string { return q.RequestID }},
	{"ip", &index{"audit_entries_by_ip", "audit_entries", []string{day}}, func(q Query) string { return q.IP }},
	{"api_key_id", &index{"audit_entries_by_api_key", "audit_entries", []string{day}}, func(q Query) string { return q.APIKey }},
	{"source", &index{"audit_entries_by_source", "audit_entries", []string{day}}, func(q Query) string { return q.Source }},
}

// narrowed is the runs of the resource that is asked for or, of the provenance, of the filter that is likely to let
// the fewest through; nil without such a filter.
func (l *Log) narrowed(p *plan) []runSet {
	if q := p.query; q.EntityID != "" {
		where, resource := p.unless(byEntity.columns).and(l.wordsMatch(p)), []string{q.EntityType, q.EntityID}
		return []runSet{byEntity.runs(where, resource), byRelated.runs(where, resource)}
	}
	for _, by := range byProvenance {
		if value := by.value(p.query); value != "" {
			set := by.index.runs(p.unless([]string{by.column}).and(l.wordsMatch(p)), l.days(p.span)...)
			set.common = l.dialect.cameFrom(p.org.ID, by.column, value)
			return []runSet{set}
		}
	}
	return nil
}

// days are the days of a span, as a run of each has them.
func (l *Log) days(within span) (days [][]string) {
	const length = models.Micros(24 * time.Hour / time.Microsecond)
	dayOf := func(t time.Time) models.Micros { return models.MicrosOf(t) / length }
	// Clocks of those who record may be ahead, but not by a day.
	last := min(dayOf(previous(within.to).Occurred()), dayOf(l.Now())+1)
	for d := dayOf(within.from.Occurred()); d <= last; d++ {
		days = append(days, []string{strconv.FormatInt(int64(d), 10)})
	}
	return days
}
