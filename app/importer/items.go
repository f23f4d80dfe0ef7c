package importer

import (
	"errors"
	"io"
	"regexp"
	"slices"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

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
	if !r.begins('[') {
		return false
	}
	_, err := r.readByte()
	r.number = 0
	return err == nil
}

// begins reports whether what is next is char, and reads the space before it.
func (r *lineReader) begins(char byte) bool {
	for {
		next, err := r.in.Peek(1)
		if err != nil || !isSpace(next[0]) {
			return err == nil && next[0] == char
		}
		if char, _ := r.readByte(); char == '\n' && !r.items {
			r.number++
		}
	}
}

func (r *lineReader) readByte() (byte, error) {
	char, err := r.in.ReadByte()
	if err == nil {
		r.offset++
	}
	return char, err
}

// beginsObjectAroundList reports whether the history is an object around a list of records, and reads up to the
// list's first item then.
func (r *lineReader) beginsObjectAroundList() bool {
	if r.format == nil || len(r.format.lists) == 0 || !r.begins('{') {
		return false
	}
	for n := 1; n < 200; n++ { // as much as there is: a history may trickle in
		begin, err := r.in.Peek(n)
		if name := firstName.FindSubmatch(begin); name != nil {
			return (slices.Contains(r.format.lists, string(name[1])) || slices.Contains(r.format.besides, string(name[1]))) && r.skipToList(0)
		}
		if err != nil {
			return false
		}
	}
	return false
}

var firstName = regexp.MustCompile(`^\{\s*"([^"]*)"`)

// skipToList reads up to the first item of a list, from so deep in the object around it, and reports whether there
// is one before the object ends.
func (r *lineReader) skipToList(depth int) bool {
	quoted, escaped := false, false
	var name []byte // the last text, as far as it may be the list's name
	for {
		char, err := r.readByte()
		switch {
		case err != nil:
			return false
		case escaped:
			escaped = false
		case quoted:
			if escaped, quoted = char == '\\', char != '"'; quoted && len(name) < 64 {
				name = append(name, char)
			}
		case char == '"':
			quoted, name = true, name[:0]
		case char == '[' && depth == 1 && slices.Contains(r.format.lists, string(name)):
			if newest := r.format.newestIn; newest != "" && newest == string(name) {
				r.order = newestFirst
			}
			if !r.around {
				r.around, r.number = true, 0
			}
			return true
		case char == '{' || char == '[':
			depth++
		case char == '}' || char == ']':
			if depth--; depth == 0 {
				return false
			}
		}
	}
}

// nextList reads up to the first item of another list, as there is in files that are joined. The error is io.EOF
// at the end.
func (r *lineReader) nextList() error {
	if r.around && r.skipToList(1) {
		return nil
	}
	r.begins(' ') // reads space
	switch _, err := r.in.Peek(1); {
	case err != nil:
		return err
	case r.around && r.beginsObjectAroundList():
		return nil
	}
	return fault.Newf("event", fault.Malformed, "the array is followed by something else")
}

// nextItem reads up to the comma behind an item of the array, or to the array's end. Line breaks become spaces, so that
// an item is a line. Of one that is too long nothing is kept.
func (r *lineReader) nextItem() (raw []byte, tooLong bool, err error) {
	if r.ended {
		if err := r.nextList(); err != nil {
			return nil, false, err
		}
		r.ended = false
	}
	depth, quoted, escaped := 0, false, false
	for {
		char, err := r.readByte()
		if errors.Is(err, io.EOF) {
			err = fault.Newf("event", fault.Malformed, "the array ends before it is complete")
		}
		if err != nil {
			return nil, false, err
		}
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

func isSpace(char byte) bool { return char == ' ' || char == '\t' || char == '\r' || char == '\n' }

// unit is what is counted.
func (r *lineReader) unit() string {
	if r.items {
		return "item"
	}
	return "line"
}
