// Package metadata finds texts in the metadata of entries by an index, which who follows the log keeps: recording
// does nothing for it.
//
// # Letters and blocks
//
// A term of the query language asks for any part of a value, in any case: meta:admin finds "OrgAdminRole". Words in order
// would have to be read from the first to the last for that, and nearly every entry has words of its own. So the index
// holds grams: four letters in a row of a folded value (models.Fold), from each of its letters on. Of a text asked for, all
// of these stand in what holds it; and grams that begin with a shorter one lie side by side. A text of fewer than three
// letters, or of one beyond ASCII, is not looked for.
//
// A gram leads to blocks, which are up to 64 entries that were read together, in their order. Who asks reads the entries of
// the blocks that hold all grams of a text and compares them with it (package entries): the index may name an entry too
// many and leaves none out. Where so many blocks are named that reading the log as it lies is as good, it says so.
//
// # Runs and pages
//
// What is read at once becomes a run, or several where it has many grams: these in order, each with the numbers of its blocks, in pages that fit into a row
// (page.go). Runs do not change. Sixteen of a level are merged into one of the next (merge.go), until one holds hundreds of
// thousands of entries. Who adds a run does a share of that before, some pages in a transaction; until the last of them is
// written, the runs that are merged are asked. An organization's entries that are too few for a run wait in its head.
//
// All but the writing is done outside of transactions (Prepare), as on SQLite recording waits for these.
//
// # What is not in it
//
// Entries that wait, and those that have not been read yet, are candidates as they are (find.go), up to a few thousand;
// where there are more, as while the index is built for a log that has grown, it is not asked. What has not been read is
// found first, and then all else in one state of the database: what was read or merged meanwhile is in the index.
//
// The clean-up deletes blocks of which all entries have expired, and runs (models/cleanup.go), and writes runs that hold
// letters of such blocks anew (Forget).
package metadata

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// gramLength is how many letters of a text are looked up together. With three, words of a language share nearly all of
// theirs with others; with five there is more to store.
const gramLength = 4

// separator stands behind a gram where it is looked up; a text with it is not indexed.
const separator = "\x00"

// eachGram calls add for every gram of a folded text: the letters from each of its letters on, so that the last ones are
// shorter. Of one letter there is none.
func eachGram(text string, add func(gram string)) {
	var starts [gramLength]int // of the last letters
	n := 0
	for i := range text {
		if n >= gramLength {
			addGram(text[starts[n%gramLength]:i], add)
		}
		starts[n%gramLength] = i
		n++
	}
	for k := max(0, n-gramLength); k < n-1; k++ {
		addGram(text[starts[k%gramLength]:], add)
	}
}

func addGram(gram string, add func(gram string)) {
	if !strings.Contains(gram, separator) {
		add(gram)
	}
}

// grams are those of some blocks, which are numbered in order.
type grams struct {
	block  uint64
	short  []uint64            // a gram of up to four bytes in the upper half, and a block it stands in
	long   map[string][]uint64 // the blocks of others
	recent [1 << 12]uint32     // short ones of the block, each at its hash: most of them come again
}

func (g *grams) begin(block int) {
	g.block = uint64(block)
	clear(g.recent[:])
}

// cut takes the grams of a folded text.
func (g *grams) cut(text string) {
	for i := range len(text) {
		if text[i] == 0 || text[i] >= utf8.RuneSelf {
			eachGram(text, g.add)
			return
		}
	}
	var gram uint32
	for i := range len(text) {
		if gram = gram<<8 | uint32(text[i]); i >= gramLength-1 {
			g.addShort(gram)
		}
	}
	for n := min(len(text), gramLength-1); n > 1; n-- {
		g.addShort(gram << (8 * (gramLength - n)))
	}
}

func (g *grams) add(gram string) {
	if len(gram) > 4 {
		if g.long == nil {
			g.long = map[string][]uint64{}
		}
		if list := g.long[gram]; len(list) == 0 || list[len(list)-1] != g.block {
			g.long[gram] = append(list, g.block)
		}
		return
	}
	var short [4]byte
	copy(short[:], gram)
	g.addShort(binary.BigEndian.Uint32(short[:]))
}

func (g *grams) addShort(gram uint32) {
	if at := &g.recent[gram*0x9E3779B1>>20]; *at != gram {
		*at = gram
		g.short = append(g.short, uint64(gram)<<32|g.block)
	}
}

// each calls add with the grams in order and the blocks of each.
func (g *grams) each(add func(gram string, blocks []uint64)) {
	slices.Sort(g.short)
	long := slices.Sorted(maps.Keys(g.long))
	var blocks []uint64
	for short := slices.Compact(g.short); len(short) > 0; {
		gram := short[0] >> 32
		var letters [4]byte
		binary.BigEndian.PutUint32(letters[:], uint32(gram))
		text := strings.TrimRight(string(letters[:]), separator)
		blocks = blocks[:0]
		for len(short) > 0 && short[0]>>32 == gram {
			blocks = append(blocks, short[0]&math.MaxUint32)
			short = short[1:]
		}
		for ; len(long) > 0 && long[0] < text; long = long[1:] {
			add(long[0], g.long[long[0]])
		}
		add(text, blocks)
	}
	for _, gram := range long {
		add(gram, g.long[gram])
	}
}

// keys are those from one to before another.
type keys struct{ from, to string }

// mostGrams are enough of a text to tell where it stands.
const mostGrams = 8

// keysOf are the keys of grams that every text has which holds some folded parts; none where that says too little.
func keysOf(parts []string) (all []keys) {
	var short []keys
	for _, part := range parts {
		if strings.Contains(part, separator) || !utf8.ValidString(part) {
			continue
		}
		switch letters := utf8.RuneCountInString(part); {
		case letters >= gramLength:
			eachGram(part, func(gram string) {
				if utf8.RuneCountInString(gram) == gramLength {
					all = append(all, keys{gram + separator, gram + "\x01"})
				}
			})
		case letters == gramLength-1, letters > 1 && len(part) > letters:
			short = append(short, keys{part, part + "\xff"}) // those that begin so
		}
	}
	if len(all) == 0 {
		return short
	}
	if n := len(all); n > mostGrams { // some, from the first to the last
		some := make([]keys, mostGrams)
		for i := range some {
			some[i] = all[i*(n-1)/(mostGrams-1)]
		}
		return some
	}
	return all
}
