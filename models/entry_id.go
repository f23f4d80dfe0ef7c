package models

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/auditlogs/auditlogs/app/audit/event"
)

// EntryID identifies an entry and carries its time: a UUIDv7 (RFC 9562) whose first 48 bits are
// the milliseconds of the entry's occurred time and whose next 12 the microseconds within them. IDs
// therefore sort as the entries' times do, and one made for an earlier moment sorts before all made
// for later ones.
//
// Then comes the entry's place among those of its microsecond, and at last its mark: bits of a hash of the
// event's own ID, or random ones. Earlier versions made all 62 bits of that hash, so that the mark of one and
// the same event is the same in both; or a counter of 22 bits and 40 random ones.
type EntryID [16]byte

// entryMark tells events of one microsecond apart.
type entryMark [4]byte

const lastPlace = event.MaxSequence

// places counts the entries of this process. It begins with the second in which that started, so that what
// short processes record one after the other stays in order, too.
var places atomic.Uint64

func init() { places.Store(uint64(time.Now().Unix()) % (lastPlace / 2)) }

func nextPlace() uint32 { return uint32(places.Add(1) & lastPlace) }

// NewEntryID makes an ID for something that occurred at t. Two calls with the same t in one
// process give IDs in the order of the calls (until the place, of 30 bits, wraps).
func NewEntryID(t Micros) EntryID {
	var random entryMark
	_, _ = rand.Read(random[:]) // crypto/rand.Read never fails since Go 1.24
	return entryID(t, nextPlace(), random)
}

// DerivedEntryID makes the ID, at a place of its microsecond, of an event that has an ID of its own.
func DerivedEntryID(t Micros, place uint32, eventID string) EntryID {
	sum := sha256.Sum256([]byte(eventID))
	return entryID(t, place, entryMark(sum[4:])) // the last of the 62 bits that earlier versions took
}

// newIDOf makes an ID for the entry of a resolved event.
func newIDOf(e event.Event) EntryID {
	id := NewEntryID(MicrosOf(e.OccurredAt))
	if e.Sequence != nil {
		id = id.at(uint32(*e.Sequence))
	}
	if e.ID != "" {
		return DerivedEntryID(MicrosOf(e.OccurredAt), id.place(), e.ID)
	}
	return id
}

// FirstEntryID is the smallest ID an entry that occurred at t can have: entries with a smaller ID
// occurred before t, all others at t or later.
func FirstEntryID(t Micros) EntryID { return entryID(t, 0, entryMark{}) }

func entryID(t Micros, place uint32, mark entryMark) (id EntryID) {
	if t < 0 {
		t = 0
	}
	millis, micros := uint64(t)/1000, uint64(t)%1000
	binary.BigEndian.PutUint64(id[:8], millis<<16|0x7000|micros)
	copy(id[12:], mark[:])
	return id.at(place)
}

// at is the ID at another place.
func (id EntryID) at(place uint32) EntryID {
	binary.BigEndian.PutUint32(id[8:], 0x80000000|place)
	return id
}

func (id EntryID) place() uint32 { return binary.BigEndian.Uint32(id[8:]) & lastPlace }

// mark is the same in every version.
func (id EntryID) mark() entryMark { return entryMark(id[12:]) }

// ParseEntryID reads the usual text form of a UUID.
func ParseEntryID(s string) (EntryID, error) {
	if len(s) != 36 {
		return EntryID{}, fmt.Errorf("entry ID %q is not a UUID", s)
	}
	id, err := uuid.Parse(s)
	if err != nil {
		return EntryID{}, fmt.Errorf("entry ID %q: %w", s, err)
	}
	return EntryID(id), nil
}

// IsOf reports whether it is the ID of something that occurred at t.
func (id EntryID) IsOf(t Micros) bool {
	first := FirstEntryID(t)
	return [8]byte(id[:8]) == [8]byte(first[:8]) && id[8]&0xc0 == first[8]&0xc0
}

// String is the usual text form of a UUID.
func (id EntryID) String() string { return uuid.UUID(id).String() }

// IsZero reports whether the ID is not set.
func (id EntryID) IsZero() bool { return id == EntryID{} }

// Compare is negative where id comes before other, positive where it comes behind, and 0 where they are the same.
func (id EntryID) Compare(other EntryID) int { return bytes.Compare(id[:], other[:]) }

// Occurred is the time the ID carries.
func (id EntryID) Occurred() time.Time { return time.UnixMicro(int64(id.occurred())).UTC() }

func (id EntryID) occurred() Micros {
	head := binary.BigEndian.Uint64(id[:8])
	return Micros(head>>16)*1000 + Micros(head&0xfff)
}

// Value stores the 16 bytes: a uuid on PostgreSQL where the driver knows that it is one, a blob on SQLite.
func (id EntryID) Value() (driver.Value, error) { return id[:], nil }

// GormValue is Value, and on PostgreSQL text: drivers do not always ask for the type of a parameter.
func (id EntryID) GormValue(_ context.Context, db *gorm.DB) clause.Expr {
	var value any = id[:]
	if db.Name() == (postgres{}).name() {
		value = id.String()
	}
	return clause.Expr{SQL: "?", Vars: []any{value}}
}

// Scan reads what Value stored; NULL gives the zero ID.
func (id *EntryID) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*id = EntryID{}
		return nil
	case []byte:
		if len(v) == len(id) {
			copy(id[:], v)
			return nil
		}
		return id.Scan(string(v))
	case string:
		parsed, err := ParseEntryID(v)
		*id = parsed
		return err
	default:
		return fmt.Errorf("cannot read an entry ID from %T", src)
	}
}

// GormDataType keeps GORM from taking the array for a list of values.
func (EntryID) GormDataType() string { return "uuid" }
