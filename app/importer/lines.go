package importer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

const (
	maxLine       = 4 << 20 // bytes
	maxBatch      = 1000    // lines
	maxBatchBytes = 4 << 20
)

// line is a line of a history, or an item of one that is a JSON array, and what it stands for or why it is refused.
type line struct {
	unit   string // "line", or "item" of an array
	number int    // from 1
	raw    []byte // with its end; nil where it is longer than maxLine
	event  event.Event
	err    error

	exported exported // of the line of an export, what event was made of
}

// batch is some lines in a row.
type batch struct {
	lines []line
	size  int
	end   int64 // how many bytes of the history end with them
}

func (b *batch) full() bool { return len(b.lines) >= maxBatch || b.size >= maxBatchBytes }

// lineReader makes batches of a history. However long that is, no more than one batch waits in
// memory; and however slowly lines trickle in, none is held back to fill one.
type lineReader struct {
	in           *bufio.Reader
	organization string // for lines that name none
	restore      bool
	items        bool // of an array are read, rather than lines
	ended        bool // the array is
	number       int
	offset       int64
	// batches holds the one that waits. It grows there until somebody takes it.
	batches chan batch
	err     error // why the history broke off, once the channel is closed
}

func newLineReader(history io.Reader, config Config) *lineReader {
	return &lineReader{
		in: bufio.NewReaderSize(history, 256<<10), organization: config.Organization, restore: config.Restore, batches: make(chan batch, 1),
	}
}

// read sends the history in batches and closes the channel.
func (r *lineReader) read(ctx context.Context) {
	defer close(r.batches)
	next := r.next
	if r.skipMark(); r.beginsArray() {
		next, r.items = r.nextItem, true
	}
	for {
		raw, tooLong, err := next()
		r.number++
		if text := bytes.TrimSpace(raw); len(text) > 0 || tooLong {
			if !r.send(ctx, r.parse(raw, text, tooLong)) {
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				r.err = fmt.Errorf("read the history after %s %d: %w", r.unit(), r.number-1, err)
			}
			return
		}
	}
}

// send adds l to the batch that waits, or begins one. Only this goroutine puts anything into the
// channel, so what it has just emptied has room.
func (r *lineReader) send(ctx context.Context, l line) bool {
	var b batch
	select {
	case b = <-r.batches:
	default:
	}
	if b.full() {
		r.batches <- b
		b = batch{}
	}
	b.lines, b.size, b.end = append(b.lines, l), b.size+len(l.raw), r.offset
	select {
	case r.batches <- b:
		return true
	case <-ctx.Done():
		return false
	}
}

// next reads up to the end of a line. Of one that is too long nothing is kept.
func (r *lineReader) next() (raw []byte, tooLong bool, err error) {
	for {
		piece, err := r.in.ReadSlice('\n')
		r.offset += int64(len(piece))
		if tooLong = tooLong || len(raw)+len(piece) > maxLine; tooLong {
			raw = nil
		} else {
			raw = append(raw, piece...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return raw, tooLong, err
		}
	}
}

// skipMark reads the byte order mark with which some programs begin a file.
func (r *lineReader) skipMark() {
	const mark = "\ufeff"
	if begin, _ := r.in.Peek(len(mark)); string(begin) == mark {
		n, _ := r.in.Discard(len(mark))
		r.offset += int64(n)
	}
}

// beginsArray reports whether the history is a JSON array, and reads its bracket then.
func (r *lineReader) beginsArray() bool {
	for n := 1; ; n++ { // as much as there is: a history may trickle in
		begin, err := r.in.Peek(n)
		switch space := len(bytes.TrimSpace(begin)) == 0; {
		case space && err == nil:
		case space || begin[n-1] != '[':
			return false
		default:
			discarded, _ := r.in.Discard(n)
			r.offset += int64(discarded)
			return true
		}
	}
}

// nextItem reads up to the comma behind an item of the array, or to the array's end. Line breaks become spaces, so that
// an item is a line. Of one that is too long nothing is kept.
func (r *lineReader) nextItem() (raw []byte, tooLong bool, err error) {
	if r.ended {
		return nil, false, r.endOfArray()
	}
	depth, quoted, escaped := 0, false, false
	for {
		char, err := r.in.ReadByte()
		if errors.Is(err, io.EOF) {
			err = fault.Newf("event", fault.Malformed, "the array ends before it is complete")
		}
		if err != nil {
			return nil, false, err
		}
		r.offset++
		switch {
		case escaped:
			escaped = false
		case quoted:
			escaped, quoted = char == '\\', char != '"'
		case char == '"':
			quoted = true
		case char == '{' || char == '[':
			depth++
		case depth > 0 && (char == '}' || char == ']'):
			depth--
		case depth == 0 && char == ',':
			return raw, tooLong, nil
		case depth == 0 && char == ']':
			r.ended = true
			return raw, tooLong, nil
		case isSpace(char) && len(raw) == 0:
			continue
		case isSpace(char):
			char = ' '
		}
		if tooLong = tooLong || len(raw) == maxLine; tooLong {
			raw = nil
		} else {
			raw = append(raw, char)
		}
	}
}

// endOfArray returns io.EOF, or another error where anything but space follows the array.
func (r *lineReader) endOfArray() error {
	for {
		char, err := r.in.ReadByte()
		switch {
		case err != nil:
			return err
		case !isSpace(char):
			return fault.Newf("event", fault.Malformed, "the array is followed by something else")
		}
		r.offset++
	}
}

func isSpace(char byte) bool { return char == ' ' || char == '\t' || char == '\r' || char == '\n' }

// unit is what is counted.
func (r *lineReader) unit() string {
	if r.items {
		return "item"
	}
	return "line"
}

// parse reads text, which is raw without the space around it.
func (r *lineReader) parse(raw, text []byte, tooLong bool) line {
	l := line{unit: r.unit(), number: r.number, raw: raw}
	if tooLong {
		l.err = fault.Newf("event", fault.TooLarge, "is longer than %d MiB", maxLine>>20)
		return l
	}
	if r.restore || isExported(text) {
		l.exported, l.err = parseExported(text)
		if l.exported.organization == "" {
			l.exported.organization = r.organization
		}
		l.event = l.exported.event()
		return l
	}
	// Not json.Unmarshal, whose errors name no field.
	if l.err = l.event.UnmarshalJSON(text); l.err != nil {
		return l
	}
	if l.event.Organization == "" && l.event.ExternalID == "" {
		l.event.Organization = r.organization
	}
	if l.event.ID == "" {
		l.event.ID = lineID(l.number, text)
	}
	return l
}

// lineID returns the ID of an event that has none: the same for the same line of the same history.
func lineID(number int, text []byte) string {
	hash := sha256.New()
	hash.Write([]byte(strconv.Itoa(number) + "\n"))
	hash.Write(text)
	return "import-" + hex.EncodeToString(hash.Sum(nil)[:16])
}
