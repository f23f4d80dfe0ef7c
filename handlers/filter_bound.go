package handlers

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/models"
)

// Bound is one end of a range of time.
type Bound struct {
	Text  string        // as the address says it
	At    models.Micros // the moment it means; zero for none
	Date  bool          // a whole day, rather than a moment
	Local bool          // a time in the filter's zone
	Ago   time.Duration // how long before now, where it says so
}

var relativeTime = regexp.MustCompile(`^-([0-9]{1,5})([hd])$`)

// parseBound reads a date (a whole day in zone, of which end means the last moment), a time in zone
// (of one that clocks show twice, end means the later), an RFC 3339 instant, or a time before now
// such as -24h or -7d.
func parseBound(text string, zone *time.Location, now time.Time, end bool) (Bound, bool) {
	b := Bound{Text: text}
	var at time.Time
	if m := relativeTime.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1]) // at most five digits
		b.Ago = time.Duration(n) * time.Hour
		if m[2] == "d" {
			b.Ago *= 24
		}
		at = now.Add(-b.Ago)
	} else if day, err := time.Parse(time.DateOnly, text); err == nil {
		b.Date = true
		if end {
			day = day.AddDate(0, 0, 1)
		}
		at, _ = instantsOf(day, zone)
	} else if wall, err := parseLocal(text); err == nil {
		b.Local = true
		first, last := instantsOf(wall, zone)
		if at = first; end {
			at = last
		}
	} else if instant, err := parseInstant(text); err == nil {
		at = instant
	} else {
		return Bound{}, false
	}
	// Nothing occurred before 1970, and zero would mean no bound at all.
	b.At = max(1, models.Micros(at.UnixMicro()))
	return b, true
}

// parseInstant reads RFC 3339, whose letters may be small. A plus sign that was not encoded arrives
// as a space.
func parseInstant(text string) (time.Time, error) {
	text = strings.ToUpper(text)
	if head, zone, found := strings.Cut(text, " "); found && strings.Contains(head, "T") {
		text = head + "+" + zone
	}
	return time.Parse(time.RFC3339, text)
}

// localTime is how addresses and the fields of the range write a time without its zone; seconds, and
// parts of them, may be left out.
const localTime = "2006-01-02T15:04:05"

func parseLocal(text string) (wall time.Time, err error) {
	if wall, err = time.Parse(localTime, text); err != nil {
		wall, err = time.Parse("2006-01-02T15:04", text)
	}
	return wall, err
}

// instantsOf are the moments at which clocks in zone show what wall shows in UTC: two where they are
// put back over it, otherwise twice the same. Where they are put forward over it nothing shows it,
// and it is the moment of the change.
func instantsOf(wall time.Time, zone *time.Location) (first, last time.Time) {
	wall = wall.UTC()
	near := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), wall.Nanosecond(), zone)
	begin, end := near.ZoneBounds()
	for _, offset := range []int{offsetAt(begin.Add(-1), zone), offsetAt(near, zone), offsetAt(end, zone)} {
		at := wall.Add(-time.Duration(offset) * time.Second).In(zone)
		if at.Format(localTime) != wall.Format(localTime) {
			continue
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
		if at.After(last) {
			last = at
		}
	}
	if first.IsZero() {
		if near.Sub(begin).Abs() < end.Sub(near).Abs() {
			return begin, begin
		}
		return end, end
	}
	return first, last
}

func offsetAt(t time.Time, zone *time.Location) int {
	_, offset := t.In(zone).Zone()
	return offset
}

// localText is a moment as parseBound reads it: without its zone, unless clocks in zone show the
// same twice.
func localText(at time.Time, zone *time.Location, end bool) string {
	if text := fieldText(at, zone, end); text != "" {
		return text
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// fieldText is a moment as a field of the range shows it; empty where it cannot say which it is.
func fieldText(at time.Time, zone *time.Location, end bool) string {
	text := strings.TrimSuffix(at.In(zone).Format(localTime), ":00")
	if back, ok := parseBound(text, zone, at, end); !ok || back.At != models.MicrosOf(at) {
		return ""
	}
	return text
}
