package entries

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Hours are a part of the week, as a value of FieldHours says them: mon-fri/08:00-18:00/Europe/Berlin.
type Hours struct {
	first, last int // days, from Sunday on; the last may come before the first
	from, to    int // minutes of each day
	zone        *time.Location
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// ParseHours reads days, hours of each and their zone, which may be left out: then it is zone. Only where that is time.Local
// it may be called Local.
func ParseHours(text string, zone *time.Location) (h Hours, ok bool) {
	parts := strings.SplitN(text, "/", 3)
	if len(parts) < 2 {
		return h, false
	}
	h.zone = zone
	if len(parts) == 3 {
		var err error
		if h.zone, err = time.LoadLocation(parts[2]); err != nil || parts[2] == "" || h.zone == time.Local && zone != time.Local {
			return h, false
		}
	}
	first, last, several := strings.Cut(strings.ToLower(parts[0]), "-")
	if !several {
		last = first
	}
	h.first, h.last = slices.Index(weekdays, first), slices.Index(weekdays, last)
	from, to, _ := strings.Cut(parts[1], "-")
	h.from, h.to = minuteOfDay(from), minuteOfDay(to)
	return h, h.first >= 0 && h.last >= 0 && h.from >= 0 && h.from < h.to
}

// minuteOfDay reads 8, 08:30 or 24:00; -1 is none.
func minuteOfDay(text string) int {
	hour, minute, _ := strings.Cut(text, ":")
	h, badHour := strconv.ParseUint(hour, 10, 8)
	m, badMinute := strconv.ParseUint("0"+minute, 10, 8)
	if at := int(h*60 + m); badHour == nil && badMinute == nil && m < 60 && at <= 24*60 {
		return at
	}
	return -1
}

// String is what ParseHours reads, in one form.
func (h Hours) String() string {
	days := weekdays[h.first]
	if h.last != h.first {
		days += "-" + weekdays[h.last]
	}
	return fmt.Sprintf("%s/%02d:%02d-%02d:%02d/%s", days, h.from/60, h.from%60, h.to/60, h.to%60, h.zone)
}

// Contain reports whether a moment is among them, by the clocks of their zone.
func (h Hours) Contain(moment time.Time) bool {
	local := moment.In(h.zone)
	minute := local.Hour()*60 + local.Minute()
	days := (h.last - h.first + 7) % 7
	return (int(local.Weekday())-h.first+7)%7 <= days && h.from <= minute && minute < h.to
}
