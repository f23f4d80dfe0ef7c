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
	Text string        // as the address says it
	At   models.Micros // the moment it means; zero for none
	Date bool          // a whole day, rather than a moment
	Ago  time.Duration // how long before now, where it says so
}

var relativeTime = regexp.MustCompile(`^-([0-9]{1,5})([hd])$`)

// parseBound reads a date (a whole day in zone, of which end means the last moment), an RFC 3339
// instant, or a time before now such as -24h or -7d.
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
		at = startOfDay(day, zone)
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

// startOfDay is the first moment of a day in zone: midnight; the first of two, where the clocks
// are put back over it, and the moment of the change where they are put forward over it.
func startOfDay(day time.Time, zone *time.Location) time.Time {
	year, month, date := day.Date()
	at := time.Date(year, month, date, 0, 0, 0, 0, zone)
	if at.Day() != date {
		_, at = at.ZoneBounds() // it is still the day before, whose last stretch ends at the change
	} else if earlier := at.Add(-time.Hour); earlier.Day() == date {
		at = earlier
	}
	return at
}
