package importer

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// table is CSV: what its first line says.
type table struct {
	head     []byte // the line
	comma    rune
	headings []string
	rows     int // lines that the last row has
}

// readHeadings reads the first line. The separator is the one of comma, semicolon and tab that it has most of.
func (r *lineReader) readHeadings() error {
	head, tooLong, err := r.nextRow()
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the headings: %w", err)
	}
	t := &table{head: head, comma: ','}
	for _, other := range ";\t" {
		if bytes.Count(head, []byte(string(other))) > bytes.Count(head, []byte(string(t.comma))) {
			t.comma = other
		}
	}
	if t.headings, err = t.cells(head); err != nil || tooLong {
		return fault.Newf("event", fault.Malformed, "the first line has no headings of CSV: %v", err)
	}
	there := make(map[string]bool, len(t.headings))
	for _, heading := range t.headings {
		if there[heading] {
			return fault.Newf("event", fault.Malformed, "the heading %.60q is there twice", heading)
		}
		there[heading] = true
	}
	r.table = t
	r.number++
	return nil
}

// nextRow reads a row, which has several lines where there are line breaks in quotes. Where one that is too long ends in
// quotes, nothing behind it can be told apart.
func (r *lineReader) nextRow() (row []byte, tooLong bool, err error) {
	if r.table != nil {
		r.number += r.table.rows // as many more than one
		r.table.rows = 0
	}
	for quotes := 0; ; {
		r.dropped = 0
		raw, long, err := r.next()
		quotes += bytes.Count(raw, quote) + r.dropped
		open := quotes%2 == 1
		switch tooLong = long || len(row)+len(raw) > maxLine; {
		case tooLong && open && err == nil:
			return nil, false, fmt.Errorf("the quote that begins in line %d is not closed within %d MiB", r.number+1, maxLine>>20)
		case tooLong:
			return nil, true, err
		}
		if row = append(row, raw...); err != nil || !open {
			return row, false, err
		}
		if r.table != nil {
			r.table.rows++
		}
	}
}

var quote = []byte(`"`)

func (t *table) cells(row []byte) ([]string, error) {
	reader := csv.NewReader(bytes.NewReader(row))
	reader.Comma, reader.FieldsPerRecord = t.comma, -1
	cells, err := reader.Read()
	var wrong *csv.ParseError
	switch {
	case errors.As(err, &wrong):
		return nil, fault.Newf("event", fault.Malformed, "is not CSV: %s", wrong.Err)
	case errors.Is(err, io.EOF):
		return nil, fault.Newf("event", fault.Malformed, "is empty")
	case err == nil && t.headings != nil && len(cells) != len(t.headings):
		return nil, fault.Newf("event", fault.Malformed, "has %d cells; the headings are %d", len(cells), len(t.headings))
	}
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells, err
}

// record returns a row as an object.
func (t *table) record(row []byte) (record, error) {
	cells, err := t.cells(row)
	if err != nil {
		return nil, err
	}
	r := record{}
	for i, heading := range t.headings {
		if cells[i] != "" {
			r[heading] = cells[i]
		}
	}
	return r, nil
}

// read returns the event of a row in which a system's record stands.
func (t *table) read(f *format, row []byte) (event.Event, error) {
	r, err := t.record(row)
	if err != nil {
		return event.Event{}, err
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return event.Event{}, err
	}
	return f.read(raw)
}
