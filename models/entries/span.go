package entries

import (
	"bytes"

	"github.com/auditlogs/auditlogs/models"
)

// span is a range of entry IDs, and so of time: from <= id < to.
type span struct{ from, to models.EntryID }

// lastID is behind every entry.
var lastID = models.EntryID(bytes.Repeat([]byte{0xff}, len(models.EntryID{})))

func (s span) contains(id models.EntryID) bool {
	return id.Compare(s.from) >= 0 && id.Compare(s.to) < 0
}

// behind is what is left of the span once id has been read.
func (s span) behind(id models.EntryID, newestFirst bool) span {
	if newestFirst {
		s.to = lesser(s.to, id)
	} else if after := next(id); after.Compare(s.from) > 0 {
		s.from = after
	}
	return s
}

// through is the span as far as id, which is read last.
func (s span) through(id models.EntryID, newestFirst bool) span {
	if newestFirst {
		s.from = id
	} else {
		s.to = lesser(s.to, next(id))
	}
	return s
}

func lesser(a, b models.EntryID) models.EntryID {
	if a.Compare(b) < 0 {
		return a
	}
	return b
}

// next is the smallest ID above id, as a number: no entry lies between them.
func next(id models.EntryID) models.EntryID {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]++; id[i] != 0 {
			break
		}
	}
	return id
}

// previous is the greatest ID below id.
func previous(id models.EntryID) models.EntryID {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]--; id[i] != 0xff {
			break
		}
	}
	return id
}
