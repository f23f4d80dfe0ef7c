package models

import "time"

// Quarter is a quarter of an hour, by its number since 1970: the days of every zone consist of them.
type Quarter int64

const quarterLength = Micros(15 * time.Minute / time.Microsecond)

// QuarterOf is the one a moment lies in.
func QuarterOf(t Micros) Quarter { return Quarter(t / quarterLength) }

// Begin is its first moment.
func (q Quarter) Begin() Micros { return Micros(q) * quarterLength }

// QuarterFrom is the first one that does not begin before t.
func QuarterFrom(t Micros) Quarter { return QuarterOf(t + quarterLength - 1) }
