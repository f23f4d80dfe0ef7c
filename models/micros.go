package models

import "time"

// Micros is a moment as both databases store it: microseconds since 1970-01-01 UTC. Zero means
// "not set". An integer, because text times with zone offsets do not compare.
type Micros int64

// MicrosOf cuts t to the microsecond. The zero time gives zero.
func MicrosOf(t time.Time) Micros {
	if t.IsZero() {
		return 0
	}
	return Micros(t.UnixMicro())
}

// RFC3339 is the moment in UTC, to the microsecond and always of the same length.
func (m Micros) RFC3339() string { return m.Time().Format("2006-01-02T15:04:05.000000Z") }

// Time is the moment in UTC; the zero time when not set.
func (m Micros) Time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMicro(int64(m)).UTC()
}
