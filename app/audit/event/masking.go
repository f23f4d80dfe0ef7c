package event

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

// Masked stands in the log where a value was kept out of it: under a key that looks like a
// credential (see MaskKeys), and for fields tagged audit:"secret" (see Changes).
const Masked = "[masked]"

// credentials are what a key looks like a credential by, wherever in the key it stands.
var credentials = byFirstByte("password", "passwd", "pwd", "passphrase", "passcode", "secret", "token",
	"authorization", "cookie", "credential", "apikey", "accesskey", "privatekey", "signingkey", "encryptionkey")

// ownKeys are what MaskKeys was given. It is never changed, only replaced.
var (
	ownKeys      atomic.Pointer[[]string]
	addingOwnKey sync.Mutex
)

// MaskKeys adds to the keys of metadata whose values are never stored, in this whole program.
//
// Masked in any case are keys that contain password, passwd, pwd, passphrase, passcode, secret,
// token, authorization, cookie, credential, or an API, access, private, signing or encryption key:
// in upper or lower case, with any separators or none, at any depth. What is added here is looked
// for as whole words: "pin" masks pin, userPin, USER_PINS and "card.pin", but not shipping; "card
// number" masks cardNumber and card-number.
//
// MaskKeys panics on a key that is not ValidMaskKey, as that is a mistake in the program.
func MaskKeys(keys ...string) {
	addingOwnKey.Lock()
	defer addingOwnKey.Unlock()
	var own []string
	if before := ownKeys.Load(); before != nil {
		own = slices.Clone(*before)
	}
	for _, key := range keys {
		if !ValidMaskKey(key) {
			panic(fmt.Sprintf("event.MaskKeys: key %q has neither letters nor digits", key))
		}
		name, _ := canonical(key, nil, nil)
		if !slices.Contains(own, string(name)) {
			own = append(own, string(name))
		}
	}
	ownKeys.Store(&own)
}

// ValidMaskKey reports whether MaskKeys can look for key: it has letters or digits.
func ValidMaskKey(key string) bool {
	name, _ := canonical(key, nil, nil)
	return len(name) > 0
}

// mask replaces, in place, every value in value that is not to be stored.
func mask(value any) {
	switch v := value.(type) {
	case []any:
		for _, child := range v {
			mask(child)
		}
	case map[string]any:
		for key, child := range v {
			if isCredential(key) {
				v[key] = masked(child)
				continue
			}
			mask(child)
			// Environment variables, headers and fields are often written {"name": …, "value": …}.
			if named, ok := child.(string); ok && isNaming(key) && isCredential(named) {
				for key, child := range v {
					if isNamed(key) {
						v[key] = masked(child)
					}
				}
			}
		}
	}
}

// masked returns what is stored of a value under a credential's key. Of a Change each side is masked by
// itself, so that what was set, replaced or removed can still be seen.
func masked(value any) any {
	object, _ := value.(map[string]any)
	if !isChange(object) {
		return maskedWhole(value)
	}
	for side, child := range object {
		object[side] = maskedWhole(child)
	}
	return object
}

// maskedWhole keeps null and booleans, which hold no credential.
func maskedWhole(value any) any {
	switch value.(type) {
	case nil, bool:
		return value
	default:
		return Masked
	}
}

// isChange reports whether an object has the form of a Change.
func isChange(object map[string]any) bool {
	for key := range object {
		if key != "before" && key != "after" {
			return false
		}
	}
	return len(object) > 0
}

// isNaming reports whether a member with the key names what the other members of its object are about.
func isNaming(key string) bool {
	return strings.EqualFold(key, "name") || strings.EqualFold(key, "key") || strings.EqualFold(key, "field")
}

// isNamed reports whether a member with the key is the value of what another member names.
func isNamed(key string) bool {
	return strings.EqualFold(key, "value") || strings.EqualFold(key, "before") || strings.EqualFold(key, "after")
}

// isCredential reports whether the value of a key is to be masked.
func isCredential(key string) bool {
	var nameRoom [64]byte // most keys fit: nothing is allocated
	var beginsRoom [64]bool
	name, begins := canonical(key, nameRoom[:0], beginsRoom[:0])
	for i, first := range name {
		for _, word := range credentials[first] {
			if hasPrefix(name[i:], word) {
				return true
			}
		}
	}
	own := ownKeys.Load()
	if own == nil {
		return false
	}
	wordEnds := func(i int) bool { return i == len(name) || begins[i] }
	for _, word := range *own {
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

func hasPrefix(name []byte, word string) bool {
	return len(name) >= len(word) && string(name[:len(word)]) == word
}

// canonical appends to name the letters and digits of key, in lower case and UTF-8, and to begins
// whether a word begins at each of these bytes: after a separator, where digits and letters meet,
// and where camelCase has a capital.
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
		} else {
			// By way of the capital, as two small letters may have one: ſ is an s.
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

func byFirstByte(words ...string) (table [256][]string) {
	for _, word := range words {
		table[word[0]] = append(table[word[0]], word)
	}
	return table
}
