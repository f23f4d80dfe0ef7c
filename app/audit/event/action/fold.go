package action

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/app/audit/event/internal/latin"
)

// Fold returns the action under which something is recorded that another system calls native, such as
// user.signed_in, iam:CreateRole or "Login failed". It is the same each time, in every version:
//
//   - A valid action stays as it is.
//   - Entity and verb are what stands before and after the last colon, full stop or slash that has a letter or
//     a digit on both sides. Without one, all of it is the verb, and the entity is the type of the entity.
//   - In each, characters are decomposed (NFKD) and marks dropped: é is e, ﬁ is fi.
//   - A word begins at a capital that follows a small letter, and at one that follows a capital or a digit and
//     is followed by a small letter, unless that is an s that ends the word: CreateDBInstance is
//     create_db_instance, DescribeVPCs is describe_vpcs.
//   - Letters are lower case, and everything between words is one underscore, and none at the ends.
//   - Where no Latin letter or digit is left, the entity is the type of the entity, and without one "event"; the
//     verb is "other". One that begins with a digit gets an n before it.
//   - Where that has more than MaxLength bytes, the verb is cut to 80, and the entity from the left to what is
//     left of 90, and _ with the first eight digits of native's SHA-256 is added.
//
// Two names may become one action: what it was called is Event.NativeAction.
func Fold(native, entityType string) Action {
	if a := Action(native); a.Valid() {
		return a
	}
	entity, verb := "", native
	if i := lastSeparator(native); i >= 0 {
		entity, verb = native[:i], native[i+1:]
	}
	entity, verb = cmp.Or(words(entity), words(entityType), "event"), cmp.Or(words(verb), "other")
	entity, verb = digitsLater(entity), digitsLater(verb)
	if len(entity)+1+len(verb) > MaxLength {
		const hashed, longestVerb = 8, 80
		verb = strings.TrimRight(verb[:min(len(verb), longestVerb)], "_")
		if more := len(entity) + len(verb) + len(":_") + hashed - MaxLength; more > 0 {
			entity = cmp.Or(strings.TrimLeft(entity[more:], "_0123456789"), "event")
		}
		hash := sha256.Sum256([]byte(native))
		verb += "_" + hex.EncodeToString(hash[:])[:hashed]
	}
	return Action(entity + ":" + verb)
}

// FoldType returns the type of entity that another system calls name, such as AppInstance, by the rules of
// Fold: app_instance. It is empty where no Latin letter or digit is left.
func FoldType(name string) string {
	if name = words(name); name != "" {
		name = digitsLater(name)
	}
	return name[:min(len(name), MaxLength)]
}

// lastSeparator returns where the last separator with a letter or a digit on both sides is in name, or -1.
func lastSeparator(name string) int {
	for end := len(name); ; {
		i := strings.LastIndexAny(name[:end], ":./")
		if i < 0 {
			return -1
		}
		before, _ := utf8.DecodeLastRuneInString(name[:i])
		after, _ := utf8.DecodeRuneInString(name[i+1:])
		if unicode.In(before, unicode.L, unicode.N, unicode.M) && unicode.In(after, unicode.L, unicode.N) {
			return i
		}
		end = i
	}
}

// words returns the words of name in lower case, with an underscore between two.
func words(name string) string {
	ascii := make([]byte, 0, len(name))
	for _, r := range name {
		if r < utf8.RuneSelf {
			ascii = append(ascii, byte(r))
		} else if to, decomposes := latin.Decompose(r); decomposes {
			ascii = append(ascii, to...)
		} else if !unicode.Is(unicode.M, r) {
			ascii = append(ascii, '_')
		}
	}
	at := func(i int) byte { // 'A', 'a' or '0' for what stands there, or 0
		switch {
		case i < 0 || i >= len(ascii):
			return 0
		case 'A' <= ascii[i] && ascii[i] <= 'Z':
			return 'A'
		case 'a' <= ascii[i] && ascii[i] <= 'z':
			return 'a'
		case '0' <= ascii[i] && ascii[i] <= '9':
			return '0'
		default:
			return 0
		}
	}
	var out strings.Builder
	for i := range ascii {
		if at(i) == 0 {
			continue
		}
		begins := at(i-1) == 0
		if at(i) == 'A' && !begins {
			plural := at(i+1) == 'a' && ascii[i+1] == 's' && at(i+2) != 'a'
			begins = at(i-1) == 'a' || at(i+1) == 'a' && !plural
		}
		if begins && out.Len() > 0 {
			out.WriteByte('_')
		}
		out.WriteByte(ascii[i])
	}
	return strings.ToLower(out.String())
}

// digitsLater returns name with an n before a leading digit.
func digitsLater(name string) string {
	if '0' <= name[0] && name[0] <= '9' {
		return "n" + name
	}
	return name
}

// Problem returns why the action is not valid, as what follows its name in a sentence: which character it is,
// and what would be right. It is empty for a valid one.
func (a Action) Problem() string {
	var what string
	entity, verb, found := strings.Cut(string(a), ":")
	switch misfit := strings.IndexFunc(string(a), func(r rune) bool {
		return r != ':' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z')
	}); {
	case a.Valid():
		return ""
	case a == "":
		return "is required"
	case misfit >= 0:
		r, _ := utf8.DecodeRuneInString(string(a[misfit:]))
		what = fmt.Sprintf("character %q is not a-z, 0-9 or _", r)
	case !found:
		what = "there is no colon between entity and verb"
	case strings.Contains(verb, ":"):
		what = "there is a second colon"
	case entity == "":
		what = "there is no entity before the colon"
	case verb == "":
		what = "there is no verb after the colon"
	case !isIdentifier(entity):
		what = fmt.Sprintf("character %q cannot begin the entity", entity[0])
	case !isIdentifier(verb):
		what = fmt.Sprintf("character %q cannot begin the verb", verb[0])
	default:
		what = fmt.Sprintf("it has %d bytes; at most %d are allowed", len(a), MaxLength)
	}
	return fmt.Sprintf("%.120q is not entity:verb: %s; write %q", string(a), what, string(Fold(string(a), "")))
}
