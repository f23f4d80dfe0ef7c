package entries

import (
	"slices"
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
	field  Field // of terms that look at this column alone; FieldText for none
}{
	{"request_id", &index{"audit_entries_by_request_id", "audit_entries", []string{day}}, func(q Query) string { return q.RequestID }, FieldRequest},
	{"ip", &index{"audit_entries_by_ip", "audit_entries", []string{day}}, func(q Query) string { return q.IP }, FieldIP},
	{"api_key_id", &index{"audit_entries_by_api_key", "audit_entries", []string{day}}, func(q Query) string { return q.APIKey }, FieldText},
	{"source", &index{"audit_entries_by_source", "audit_entries", []string{day}}, func(q Query) string { return q.Source }, FieldSource},
}

// narrowed is the runs of the resource that is asked for or, of the provenance, of the filter that is likely to let
// the fewest through; nil without such a filter.
func (l *Log) narrowed(p *plan) []runSet {
	if q := p.query; q.EntityID != "" {
		where, resource := p.unless(byEntity.columns).and(l.wordsMatch(p)), []string{q.EntityType, q.EntityID}
		return []runSet{byEntity.runs(where, resource), byRelated.runs(where, resource)}
	}
	days := l.days(p.span)
	for _, by := range byProvenance {
		var values []string
		if value := by.value(p.query); value != "" {
			values = []string{value}
		} else if by.field != FieldText {
			values = p.oneOf(by.field)
		}
		if len(values) == 0 || len(values) > 1 && len(values)*len(days) > l.Limits.Runs/2 {
			continue
		}
		var sets []runSet
		for _, value := range values {
			set := by.index.runs(p.unless([]string{by.column}).and(l.wordsMatch(p)), days...)
			set.common = l.dialect.cameFrom(p.org.ID, by.column, value)
			sets = append(sets, set)
		}
		return sets
	}
	return nil
}

// oneOf are the values of a term that lets through only entries with one of them in a field.
func (p *plan) oneOf(field Field) []string {
	for _, m := range p.terms {
		if values := m.literals(); m.Field == field && !m.Not && len(values) == len(m.Values) && len(m.networks) == 0 {
			slices.Sort(values)
			return slices.Compact(values)
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
