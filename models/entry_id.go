package models

import (
	"crypto/rand"
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// EntryID identifies an entry and carries its time: a UUIDv7 (RFC 9562) whose first 48 bits are
// the milliseconds of the entry's occurred time and whose next 12 the microseconds within them.
// The rest is a per-process counter and random bits. IDs therefore sort as the entries' times do,
// and one made for an earlier moment sorts before all made for later ones.
type EntryID [16]byte

const (
	counterBits = 22
	randomBits  = 40
)

var entryCounter atomic.Uint64

func init() {
	var seed [8]byte
	_, _ = rand.Read(seed[:]) // crypto/rand.Read never fails since Go 1.24
	entryCounter.Store(binary.BigEndian.Uint64(seed[:]) >> 43)
}

// NewEntryID makes an ID for something that occurred at t. Two calls with the same t in one
// process give IDs in the order of the calls (until the 22-bit counter wraps).
func NewEntryID(t Micros) EntryID {
	var random [8]byte
	_, _ = rand.Read(random[:])
	count := entryCounter.Add(1) & (1<<counterBits - 1)
	return entryID(t, count<<randomBits|binary.BigEndian.Uint64(random[:])&(1<<randomBits-1))
}

// DerivedEntryID is always the same ID for something that occurred at t and has the key: storing it a
// second time changes nothing.
func DerivedEntryID(t Micros, key string) EntryID {
	sum := sha256.Sum256([]byte(key))
	return entryID(t, binary.BigEndian.Uint64(sum[:])&(1<<(counterBits+randomBits)-1))
}

// FirstEntryID is the smallest ID an entry that occurred at t can have: entries with a smaller ID
// occurred before t, all others at t or later.
func FirstEntryID(t Micros) EntryID { return entryID(t, 0) }

func entryID(t Micros, low62 uint64) EntryID {
	if t < 0 {
		t = 0
	}
	millis, micros := uint64(t)/1000, uint64(t)%1000
	var id EntryID
	binary.BigEndian.PutUint64(id[:8], millis<<16|0x7000|micros)
	binary.BigEndian.PutUint64(id[8:], 0x8000000000000000|low62)
	return id
}

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

// Occurred is the time the ID carries.
func (id EntryID) Occurred() time.Time {
	head := binary.BigEndian.Uint64(id[:8])
	return time.UnixMicro(int64(head>>16)*1000 + int64(head&0xfff)).UTC()
}

// Value stores the 16 bytes: a uuid on PostgreSQL, a blob on SQLite.
func (id EntryID) Value() (driver.Value, error) { return id[:], nil }

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
