package event

import (
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// ParseTime reads a time of RFC 3339 as it is written there: with t and z in lower case, too, and with the second
// 60 of a leap second, which no clock of Go's has and which is taken as the first instant after it. The error
// is a *fault.Field about field, also for an empty text: that is no time, and not now.
func ParseTime(field, text string) (time.Time, error) {
	const minute = len("2006-01-02T15:04")
	written := strings.ToUpper(text)
	leap := len(written) > minute && strings.HasPrefix(written[minute:], ":60")
	if leap {
		written = written[:minute] + ":59" + written[minute+len(":60"):]
	}
	at, err := time.Parse(time.RFC3339Nano, written)
	known := err == nil && !at.IsZero() // which would mean now
	if leap && known {
		at = at.Truncate(time.Second).Add(time.Second)
		known = at.Equal(firstOfMonth(at)) // where the only leap seconds are
	}
	if !known {
		return time.Time{}, fault.Newf(field, fault.Invalid, "%.60q is not a time such as 2026-11-20T14:03:22Z (RFC 3339)", text)
	}
	return at, nil
}

func firstOfMonth(at time.Time) time.Time {
	at = at.UTC()
	return time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
}
