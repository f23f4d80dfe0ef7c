package models

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/auditlogs/auditlogs/app/audit/event"
)

func TestAnEntryIDIsAUUIDOfItsTime(t *testing.T) {
	for _, at := range []Micros{1, 999, 1000, MicrosOf(time.Now()), MicrosOf(time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC))} {
		first, next := FirstEntryID(at), FirstEntryID(at+1)
		for _, id := range []EntryID{first, NewEntryID(at), DerivedEntryID(at, 0, "m-1"), DerivedEntryID(at, lastPlace, "m-1"), entryID(at, lastPlace, entryMark{255, 255, 255, 255})} {
			if u := uuid.UUID(id); u.Version() != 7 || u.Variant() != uuid.RFC4122 {
				t.Errorf("%s is no UUIDv7", id)
			}
			if !id.IsOf(at) || id.IsOf(at+1) || id.Occurred() != at.Time() || id.Compare(first) < 0 || id.Compare(next) >= 0 {
				t.Errorf("%s is not of %s", id, at.RFC3339())
			}
		}
	}
}

func TestEntryIDsOfOneMomentAreInOrder(t *testing.T) {
	at := MicrosOf(time.Now())
	sequence := func(n int64) event.Event { return event.Event{OccurredAt: at.Time(), Sequence: &n} }
	named := event.Event{OccurredAt: at.Time(), ID: "m-1"}
	for name, ids := range map[string][]EntryID{
		"in the order of calls": {NewEntryID(at), newIDOf(named), NewEntryID(at), newIDOf(named), newIDOf(event.Event{OccurredAt: at.Time()})},
		"by their sequence":     {newIDOf(sequence(0)), newIDOf(sequence(1)), newIDOf(sequence(lastPlace - 1)), newIDOf(sequence(lastPlace))},
		"by their place":        {DerivedEntryID(at, 0, "b"), DerivedEntryID(at, 1, "a"), DerivedEntryID(at, 2, "c")},
	} {
		for i, id := range ids[1:] {
			if ids[i].Compare(id) >= 0 {
				t.Errorf("%s: %s is not before %s", name, ids[i], id)
			}
		}
	}
}

// Earlier versions made all of what follows the time of the hash.
func TestTheMarkOfAnEventIsTheSameInEveryVersion(t *testing.T) {
	at := MicrosOf(time.Now())
	before := FirstEntryID(at)
	sum := sha256.Sum256([]byte("m-1"))
	binary.BigEndian.PutUint64(before[8:], 1<<63|binary.BigEndian.Uint64(sum[:])&(1<<62-1))
	for _, id := range []EntryID{DerivedEntryID(at, 7, "m-1"), newIDOf(event.Event{ID: "m-1", OccurredAt: at.Time()})} {
		if id.mark() != before.mark() {
			t.Errorf("%s and %s differ in their marks", id, before)
		}
	}
}
