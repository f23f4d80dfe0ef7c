package importer

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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
	bufferSize    = 256 << 10
)

// line is a line of a history, or an item of one that is a JSON array, and what it stands for or why it is refused.
type line struct {
	unit   string // "line", or "item" of an array
	number int    // from 1
	raw    []byte // with its end; nil where it is longer than maxLine
	head   []byte // the line with the headings of CSV
	event  event.Event
	err    error
	note   string // what else there is to say

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
	format       *format // nil is our own, or CSV
	columns      Columns
	table        *table // of CSV, or nil
	items        bool   // of an array are read, rather than lines
	around       bool   // an object is around the array
	ended        bool   // the array is
	number       int
	offset       int64
	dropped      int      // quotes in what was not kept of a line that is too long
	zipped       *counter // what is read of a history in gzip
	turned
	// batches holds the one that waits. It grows there until somebody takes it.
	batches chan batch
	err     error // why the history broke off, once the channel is closed
}

func newLineReader(history io.Reader, config Config) *lineReader {
	return &lineReader{
		in: bufio.NewReaderSize(history, bufferSize), organization: config.Organization, restore: config.Restore,
		format: formatNamed(config.Format), columns: config.Columns, batches: make(chan batch, 1),
	}
}

// read sends the history in batches and closes the channel.
func (r *lineReader) read(ctx context.Context) {
	defer close(r.batches)
	if r.err = r.unzip(); r.err != nil {
		return
	}
	if r.format != nil {
		r.order = r.format.order
	}
	next := r.next
	switch r.skipMark(); {
	case r.columns == nil && (r.beginsArray() || r.beginsObjectAroundList()):
		next, r.items = r.nextItem, true
	case r.columns != nil || r.format == &cloudTrail && !r.begins('{'):
		if r.err = r.readHeadings(); r.err != nil {
			return
		}
		next = r.nextRow
	}
	for {
		raw, tooLong, err := next()
		r.number++
		if text := bytes.TrimSpace(raw); len(text) > 0 || tooLong {
			if !r.turn(ctx, r.parse(raw, text, tooLong)) {
				return
			}
		}
		if err != nil {
			if !r.release(ctx) {
				return
			}
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
	b.lines, b.size, b.end = append(b.lines, l), b.size+len(l.raw), r.position()
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
			r.dropped += bytes.Count(raw, quote) + bytes.Count(piece, quote)
			raw = nil
		} else {
			raw = append(raw, piece...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return raw, tooLong, err
		}
	}
}

// parse reads text, which is raw without the space around it.
func (r *lineReader) parse(raw, text []byte, tooLong bool) line {
	if r.format == &cloudTrail && bytes.HasPrefix(text, []byte("[")) { // of GetQueryResults
		raw = joinedCells(text)
		text = raw
	}
	l := line{unit: r.unit(), number: r.number, raw: raw}
	if r.table != nil {
		l.head = r.table.head
	}
	if tooLong {
		l.err = fault.Newf("event", fault.TooLarge, "is longer than %d MiB", maxLine>>20)
		return l
	}
	switch entry := r.entry(text); {
	case entry != nil:
		l.exported, l.err = parseExported(entry)
		if l.exported.organization == "" {
			l.exported.organization = r.organization
		}
		l.event = l.exported.event()
		return l
	case r.columns != nil:
		l.event, l.err = r.columns.read(r.table, text)
	case r.table != nil:
		l.event, l.err = r.table.read(r.format, text)
	case r.format != nil:
		l.event, l.err = r.format.read(text)
	default: // not json.Unmarshal, whose errors name no field
		l.err = l.event.UnmarshalJSON(text)
	}
	if l.err != nil {
		return l
	}
	if r.format != nil && r.organization != "" { // what others call the organization need not be known here
		l.event.Organization, l.event.ExternalID = r.organization, ""
	}
	if l.event.Organization == "" && l.event.ExternalID == "" {
		l.event.Organization = r.organization
	}
	if l.event.ID == "" {
		l.event.ID = lineID(l.number, text)
	}
	return l
}

// entry returns the line of an export that text is, or that it holds; nil for anything else.
func (r *lineReader) entry(text []byte) []byte {
	switch {
	case r.restore:
		return text
	case r.format == &cloudEvents:
		var around struct{ Data json.RawMessage }
		if json.Unmarshal(text, &around) == nil && isExported(around.Data) {
			return around.Data
		}
	case r.format == nil && r.columns == nil && isExported(text):
		return text
	}
	return nil
}

// lineID returns the ID of an event that has none: the same for the same line of the same history.
func lineID(number int, text []byte) string {
	hash := sha256.New()
	hash.Write([]byte(strconv.Itoa(number) + "\n"))
	hash.Write(text)
	return "import-" + hex.EncodeToString(hash.Sum(nil)[:16])
}
