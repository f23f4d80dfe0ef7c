package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// lineSum sums up the lines written to it, whatever their order: PostgreSQL puts a row wherever there is room, and so
// answers with those of a table in another order than they were stored in.
type lineSum struct {
	line hash.Hash // of what was written of the line so far; nil before the first
	sum  [sha256.Size / 8]uint64
}

func (s *lineSum) Write(text []byte) (int, error) {
	if s.line == nil {
		s.line = sha256.New()
	}
	for rest, ended := text, true; len(rest) > 0; {
		var line []byte
		line, rest, ended = bytes.Cut(rest, []byte("\n"))
		s.line.Write(line)
		if !ended {
			break
		}
		var digest [sha256.Size]byte
		s.line.Sum(digest[:0])
		for i := range s.sum {
			s.sum[i] += binary.BigEndian.Uint64(digest[8*i:])
		}
		s.line.Reset()
	}
	return len(text), nil
}
