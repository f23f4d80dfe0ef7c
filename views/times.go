package views

import (
	"fmt"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/models"
)

// Moment is a moment as pages show it: "Nov 20, 2026, 14:03:22".
func Moment(t time.Time) string {
	return t.Format("Jan 2, 2006, 15:04:05") + OffsetIfTwice(t)
}

// Datetime is a moment for the datetime attribute of <time>, in UTC.
func Datetime(m models.Micros) string { return m.Time().Format("2006-01-02T15:04:05.999999Z") }

// OffsetIfTwice is the offset of a moment from UTC, behind a space (" +02:00"), where clocks in its zone
// show the same time once more an hour later or earlier: then it takes the offset to tell the two
// apart. Otherwise it is empty.
func OffsetIfTwice(t time.Time) string {
	begin, end := t.ZoneBounds()
	_, offset := t.Zone()
	putBack := func(seconds int) time.Duration { return time.Duration(seconds) * time.Second }
	if !begin.IsZero() {
		if _, before := begin.Add(-1).Zone(); t.Sub(begin) < putBack(before-offset) {
			return t.Format(" -07:00")
		}
	}
	if !end.IsZero() {
		if _, after := end.Zone(); end.Sub(t) <= putBack(offset-after) {
			return t.Format(" -07:00")
		}
	}
	return ""
}

// ExactTime is a moment to the microsecond, in the reader's zone and in UTC.
type ExactTime struct {
	ISO  string // for machines, in UTC
	Here string // in the reader's zone, which is named
	Zone string // the reader's zone, as in "Europe/Berlin"
	UTC  string // empty where the reader's zone is UTC
}

func ExactTimeOf(t time.Time, zone *time.Location) ExactTime {
	if zone == nil {
		zone = time.UTC
	}
	t = t.UTC()
	here := t.In(zone)
	view := ExactTime{
		ISO:  models.MicrosOf(t).RFC3339(),
		Here: here.Format("Mon, Jan 2, 2006, 15:04:05") + fraction(t) + " " + zoneAbbreviation(here),
		Zone: zone.String(),
	}
	if name, offset := here.Zone(); name != "UTC" || offset != 0 {
		view.UTC = t.Format("2006-01-02 15:04:05") + fraction(t) + " UTC"
	}
	return view
}

// fraction is the part of a second, as far as it is known.
func fraction(t time.Time) string {
	switch micros := t.Nanosecond() / 1000; {
	case micros == 0:
		return ""
	case micros%1000 == 0:
		return t.Format(".000")
	default:
		return t.Format(".000000")
	}
}

// zoneAbbreviation is the short name of t's zone; zones without one are named by their offset.
func zoneAbbreviation(t time.Time) string {
	name, _ := t.Zone()
	if strings.HasPrefix(name, "+") || strings.HasPrefix(name, "-") {
		return "UTC" + name
	}
	return name
}

// DifferenceInWords is a length of time, as precise as one number can be.
func DifferenceInWords(d time.Duration) string {
	suffix := " later"
	if d < 0 {
		d, suffix = -d, " earlier"
	}
	switch {
	case d < 59*time.Minute+30*time.Second:
		return fmt.Sprintf("%.0f min", d.Minutes()) + suffix
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours()) + suffix
	default:
		return fmt.Sprintf("%.0f days", d.Hours()/24) + suffix
	}
}
