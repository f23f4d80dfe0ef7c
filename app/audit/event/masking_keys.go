package event

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/app/audit/event/internal/latin"
)

// credentialWord is a word that says of a key that its value opens something.
type credentialWord struct {
	text      string
	letters   uint32 // it has, a bit each
	guessable bool
}

var (
	credentialWords [256][]credentialWord // by their first byte
	wordLetters     []uint32              // of all of them
	knownNames      = canonicalNames(knownFacts)
	factEndings     = canonicalNames(facts)
	traceEndings    = canonicalNames(traces)
)

func init() {
	for i, words := range [][]string{guessable, issued} {
		for _, word := range words {
			letters := lettersOf(word)
			credentialWords[word[0]] = append(credentialWords[word[0]], credentialWord{word, letters, i == 0})
			wordLetters = append(wordLetters, letters)
		}
	}
}

// treat returns the treatment of the value of a key in an object that is treated itself as outer is.
func (r *keyRules) treat(key string, outer treatment) treatment {
	owns := r != nil && len(r.masked) > 0
	if !owns && outer == ordinary && !mayOpen(key) {
		return ordinary
	}
	var nameRoom [64]byte // most keys fit: nothing is allocated
	var beginsRoom [64]bool
	name, begins := canonical(key, nameRoom[:0], beginsRoom[:0])
	switch {
	case owns && r.masks(name, begins):
		return hidden
	case r != nil && isNameIn(r.kept, key, name):
		return ordinary
	}
	opens := ordinary
	if mayOpen(key) {
		opens = opening(key, name, begins)
	}
	switch {
	case outer.within() && opens == ordinary && endsIn(factEndings, name, begins, 0):
		return telling
	case outer.within() && (opens == ordinary || opens == heading):
		return sealed
	case outer == heading && opens == ordinary && slices.Contains(headerParts, string(name)):
		return sealed
	default:
		return opens
	}
}

// opening returns the treatment of a key by the words in it.
func opening(key string, name []byte, begins []bool) treatment {
	begin, end, guessed, onlyHeader := 0, 0, false, true // of the last word, and of all
	for i, first := range name {
		for _, word := range credentialWords[first] {
			if hasPrefix(name[i:], word.text) && !isHarmless(name[i:], begins[i:]) {
				if i+len(word.text) > end {
					begin, end = i, i+len(word.text)
				}
				guessed = guessed || word.guessable
				onlyHeader = onlyHeader && word.text == "authorization"
			}
		}
	}
	switch {
	case end == 0:
		return ordinary
	case !endsIn(factEndings, name, begins, end) && (guessed || !endsIn(traceEndings, name, begins, end) && !isMade(name[:begin], begins)) &&
		!isNameIn(knownNames, key, name):
		switch {
		case string(name[begin:]) == "tokens":
			return counting
		case onlyHeader:
			return heading
		case guessed && end == len(name):
			return guarded
		default:
			return sealed
		}
	case onlyHeader:
		return ordinary
	default:
		return telling
	}
}

// isHarmless reports whether a longer word that opens nothing begins with name.
func isHarmless(name []byte, begins []bool) bool {
	return slices.ContainsFunc(harmless, func(word string) bool {
		return hasPrefix(name, word) && (len(name) == len(word) || begins[len(word)])
	})
}

// isMade reports whether the last word before a credential's says that it is none any more.
func isMade(before []byte, begins []bool) bool {
	return endsIn(made, before, begins, 0)
}

// endsIn reports whether what follows the first from bytes of name ends in one of some words, or in its plural.
func endsIn(endings []string, name []byte, begins []bool, from int) bool {
	return slices.ContainsFunc(endings, func(ending string) bool {
		for _, n := range []int{len(name), len(name) - 1} {
			begin := n - len(ending)
			if begin >= from && (begin == from || begins[begin]) && hasPrefix(name[begin:], ending) && (n == len(name) || name[n] == 's') {
				return true
			}
		}
		return false
	})
}

// masks reports whether one of the keys to be masked stands in name as whole words.
func (r *keyRules) masks(name []byte, begins []bool) bool {
	wordEnds := func(i int) bool { return i == len(name) || begins[i] }
	for _, word := range r.masked {
		for i := range name {
			if begins[i] && hasPrefix(name[i:], word) {
				if end := i + len(word); wordEnds(end) || name[end] == 's' && wordEnds(end+1) {
					return true
				}
			}
		}
	}
	return false
}

// isNameIn reports whether key, whose canonical name is given, is among names, or the last part of a path such as
// spec.key is.
func isNameIn(names []string, key string, name []byte) bool {
	if slices.Contains(names, string(name)) {
		return true
	}
	dot := strings.LastIndexByte(key, '.')
	return dot >= 0 && slices.Contains(names, canonicalName(key[dot:]))
}

func hasPrefix(name []byte, word string) bool {
	return len(name) >= len(word) && string(name[:len(word)]) == word
}

// mayOpen reports whether key has all letters of a credential's word, or letters that are none of English.
func mayOpen(key string) bool {
	letters := lettersOf(key)
	if letters&foreign != 0 {
		return true
	}
	for _, word := range wordLetters {
		if letters&word == word {
			return true
		}
	}
	return false
}

// foreign is the bit of what is not ASCII.
const foreign = 1 << 31

// lettersOf returns the letters in a key, in either case, a bit each.
func lettersOf(key string) (letters uint32) {
	for i := range len(key) {
		letters |= letterBits[key[i]]
	}
	return letters
}

var letterBits = func() (bits [256]uint32) {
	for char := range bits {
		switch {
		case char >= utf8.RuneSelf:
			bits[char] = foreign
		case isAlphanumeric(byte(char)) && char >= 'A':
			bits[char] = 1 << ((char | 0x20) - 'a')
		}
	}
	return bits
}()

func canonicalName(key string) string {
	name, _ := canonical(key, nil, nil)
	return string(name)
}

func canonicalNames(keys []string) []string {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = canonicalName(key)
	}
	return names
}

// canonical appends to name the letters and digits of key, in lower case and UTF-8, the Latin ones in whatever form as
// ASCII (ｐáſſ is pass), and to begins whether a word begins at each of these bytes: after a separator, where digits and
// letters meet, and where camelCase has a capital.
func canonical(key string, name []byte, begins []bool) ([]byte, []bool) {
	before := separator
	for i, r := range key {
		class := classOf(r)
		if class == separator {
			before = class
			continue
		}
		begin := class != before && !(before == upper && class == lower)
		if class == upper && before == upper { // the last capital of a run belongs to what follows: APIKey
			next, _ := utf8.DecodeRuneInString(key[i+utf8.RuneLen(r):])
			begin = classOf(next) == lower
		}
		length := len(name)
		if r < utf8.RuneSelf {
			if class == upper {
				r += 'a' - 'A'
			}
			name = append(name, byte(r))
		} else if ascii, decomposes := latin.Decompose(r); decomposes {
			for _, char := range []byte(strings.ToLower(ascii)) {
				if isAlphanumeric(char) {
					name = append(name, char)
				}
			}
		} else {
			// By way of the capital, as two small letters may have one.
			name = utf8.AppendRune(name, unicode.ToLower(unicode.ToUpper(r)))
		}
		for range len(name) - length {
			begins, begin = append(begins, begin), false
		}
		before = class
	}
	return name, begins
}

type runeClass int

const (
	separator runeClass = iota
	lower
	upper
	digit
)

func classOf(r rune) runeClass {
	switch {
	case 'a' <= r && r <= 'z':
		return lower
	case 'A' <= r && r <= 'Z':
		return upper
	case '0' <= r && r <= '9':
		return digit
	case r < utf8.RuneSelf || r == utf8.RuneError:
		return separator
	}
	ascii, decomposes := latin.Decompose(r)
	switch {
	case decomposes:
		return classOf(rune(strings.TrimLeft(ascii, "_")[0]))
	case unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r): // letters that nobody sees, such as the Hangul filler
		return separator
	case unicode.IsUpper(r):
		return upper
	case unicode.IsLetter(r):
		return lower
	case unicode.IsDigit(r):
		return digit
	default:
		return separator
	}
}
