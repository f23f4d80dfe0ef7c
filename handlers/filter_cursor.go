package handlers

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/auditlogs/auditlogs/handlers/secrets"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

// A cursor in an address is base64url of: version, side, the entry's 16 bytes, its value in the
// sorted column, and eight bytes of a hash over these and the order. So one that was cut, changed
// or taken to another order is refused instead of leading somewhere else. It is no secret: it
// can only lead to a place in a list its reader may read anyway.
const (
	cursorVersion  = 1
	cursorHead     = 2 + len(models.EntryID{})
	cursorSum      = 8
	maxCursorBytes = 2048
)

var cursorEncoding = base64.RawURLEncoding.Strict()

// cursorSeal seals the cursors of an organization's log.
type cursorSeal struct {
	box *secrets.Box // nil where there is no key: no page but the first
	org int64
}

func (s *cursorSeal) purpose() string { return fmt.Sprint("cursor:", s.org) }

// cursorText is the filter's cursor as it is in addresses.
func (f Filter) cursorText() string {
	text := encodeCursor(*f.Cursor, f.Sort, f.Ascending)
	switch {
	case f.seal == nil:
		return text
	case f.cursorAsked != "": // rather than sealed again, in another way
		return f.cursorAsked
	case f.seal.box == nil:
		return ""
	}
	return cursorEncoding.EncodeToString(f.seal.box.Seal(f.seal.purpose(), []byte(text)))
}

// readCursor is cursorText the other way.
func (f Filter) readCursor(text string) (entries.Cursor, bool) {
	if f.seal != nil {
		sealed, err := cursorEncoding.DecodeString(text)
		if err != nil || f.seal.box == nil {
			return entries.Cursor{}, false
		}
		plain, _, err := f.seal.box.Open(f.seal.purpose(), sealed)
		if err != nil {
			return entries.Cursor{}, false
		}
		text = string(plain)
	}
	return decodeCursor(text, f.Sort, f.Ascending)
}

func encodeCursor(c entries.Cursor, sort entries.Sort, ascending bool) string {
	raw := make([]byte, 0, cursorHead+len(c.Value)+cursorSum)
	raw = append(raw, cursorVersion, flag(c.Before))
	raw = append(raw, c.ID[:]...)
	raw = append(raw, c.Value...)
	return cursorEncoding.EncodeToString(append(raw, sumOf(raw, sort, ascending)...))
}

func decodeCursor(text string, sort entries.Sort, ascending bool) (entries.Cursor, bool) {
	raw, err := cursorEncoding.DecodeString(text)
	if err != nil || len(text) > maxCursorBytes || len(raw) < cursorHead+cursorSum {
		return entries.Cursor{}, false
	}
	body, sum := raw[:len(raw)-cursorSum], raw[len(raw)-cursorSum:]
	if body[0] != cursorVersion || body[1] > 1 || string(sum) != string(sumOf(body, sort, ascending)) {
		return entries.Cursor{}, false
	}
	c := entries.Cursor{Before: body[1] == 1, Value: string(body[cursorHead:])}
	if !isText(c.Value) {
		return entries.Cursor{}, false
	}
	copy(c.ID[:], body[2:cursorHead])
	return c, true
}

func sumOf(body []byte, sort entries.Sort, ascending bool) []byte {
	h := sha256.New()
	h.Write([]byte(sort))
	h.Write([]byte{0, flag(ascending)})
	h.Write(body)
	return h.Sum(nil)[:cursorSum]
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}
