package metadata

import (
	"encoding/binary"
	"errors"
	"slices"
)

// A page is grams in order and, of each, the numbers of the blocks in which it stands, less that of the first block of
// the run. A gram is how many bytes it shares with the one before, how many follow, and these; then come how many
// numbers there are, and each less the one before. All numbers are varints. Where those of a gram do not fit into a
// page, it stands in the next one again.

// pageSize keeps a page short enough for both databases to have it in the row.
const pageSize = 1900

// page is a row.
type page struct {
	OrgID int64
	Run   int64
	Key   []byte // its first gram, the separator, and the first of its numbers
	Data  []byte
}

func (page) TableName() string { return "audit_metadata_pages" }

// pageWriter makes pages of a run.
type pageWriter struct {
	orgID, run int64
	pages      []page
	key, data  []byte
	last       string // gram of the page
}

// add adds a gram, which comes behind all before it.
func (w *pageWriter) add(gram string, blocks []uint64) {
	var numbers []byte
	for len(blocks) > 0 {
		header := len(gram) + 3*binary.MaxVarintLen16
		if len(w.data) > 0 && len(w.data)+header+binary.MaxVarintLen32 > pageSize {
			w.flush()
		}
		numbers = numbers[:0]
		fit, before := 0, uint64(0)
		for _, block := range blocks {
			if fit > 0 && len(w.data)+header+len(numbers)+binary.MaxVarintLen32 > pageSize {
				break
			}
			numbers = binary.AppendUvarint(numbers, block-before)
			before = block
			fit++
		}
		if len(w.data) == 0 {
			w.key = binary.BigEndian.AppendUint64([]byte(gram+separator), blocks[0])
		}
		shared := 0
		for shared < min(len(gram), len(w.last)) && gram[shared] == w.last[shared] {
			shared++
		}
		w.data = binary.AppendUvarint(w.data, uint64(shared))
		w.data = binary.AppendUvarint(w.data, uint64(len(gram)-shared))
		w.data = append(w.data, gram[shared:]...)
		w.data = binary.AppendUvarint(w.data, uint64(fit))
		w.data = append(w.data, numbers...)
		w.last = gram
		blocks = blocks[fit:]
	}
}

// flush ends the page.
func (w *pageWriter) flush() {
	if len(w.data) > 0 {
		w.pages = append(w.pages, page{w.orgID, w.run, w.key, slices.Clone(w.data)})
	}
	w.data, w.last = w.data[:0], ""
}

var errPage = errors.New("a page of the index of metadata cannot be read")

// eachList calls is with every gram of a page and the numbers of its blocks.
func eachList(data []byte, is func(gram string, blocks []uint64)) error {
	var gram []byte
	number := func() uint64 {
		n, length := binary.Uvarint(data)
		if length <= 0 {
			data = nil
			return 0
		}
		data = data[length:]
		return n
	}
	for len(data) > 0 {
		shared, follow := number(), number()
		if shared > uint64(len(gram)) || follow > uint64(len(data)) {
			return errPage
		}
		gram = append(gram[:shared], data[:follow]...)
		data = data[follow:]
		n := number()
		if n == 0 || n > uint64(len(data)) {
			return errPage
		}
		blocks, before := make([]uint64, n), uint64(0)
		for i := range blocks {
			before += number()
			blocks[i] = before
		}
		is(string(gram), blocks)
	}
	return nil
}
