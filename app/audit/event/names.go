package event

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// namesAt are the names an event's JSON may have, by the path of their object.
var namesAt = map[string][]string{
	"": jsonNames[eventJSON](), "related.": jsonNames[resourceJSON](), "actor.": jsonNames[actorJSON](),
	"actor.on_behalf_of.": jsonNames[principalJSON](), "request.": jsonNames[requestJSON](),
}

func jsonNames[T any]() (names []string) {
	for _, field := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// checkNames refuses what package json lets pass in an object of an event: a name that no event has, one in
// another case, and one that is given twice.
func checkNames(object, path string) error {
	var seen []string
	return EachMember(object, func(name, value string) error {
		switch lower := strings.ToLower(name); {
		case !slices.Contains(namesAt[path], lower) && (name == "" || len(name) > 100):
			return fault.Newf("event", fault.UnknownField, "%.60q is not a field of one", name)
		case !slices.Contains(namesAt[path], lower):
			return fault.Newf(name, fault.UnknownField, "is not a field of an event")
		case name != lower:
			return fault.Newf(path+name, fault.UnknownField, "is not a field of an event; it is written %q", lower)
		case slices.Contains(seen, name):
			return fault.Newf(path+name, fault.Malformed, "is given twice")
		}
		seen = append(seen, name)
		at := path + name + "."
		switch {
		case namesAt[at] == nil:
			return nil
		case value[0] == '[':
			return EachMember(value, func(_, item string) error { return checkNames(item, at) })
		default:
			return checkNames(value, at)
		}
	})
}

const jsonSpace = " \t\r\n"

// EachMember hands the members of an object, or the items of a list, to visit in order until that fails: a name
// that is given twice is there twice, and an item has none. text is valid JSON; any other value has no members.
func EachMember(text string, visit func(name, value string) error) error {
	text = strings.TrimLeft(text, jsonSpace)
	isObject := strings.HasPrefix(text, "{")
	if !isObject && !strings.HasPrefix(text, "[") {
		return nil
	}
	for rest := text[1:]; ; {
		rest = strings.TrimLeft(rest, jsonSpace+",")
		if rest == "" || rest[0] == '}' || rest[0] == ']' {
			return nil
		}
		name := ""
		if isObject {
			quoted := rest[:lengthOfString(rest)]
			rest = strings.TrimLeft(rest[len(quoted):], jsonSpace+":")
			name = strings.Trim(quoted, `"`)
			if strings.ContainsRune(quoted, '\\') || !utf8.ValidString(quoted) {
				if err := json.Unmarshal([]byte(quoted), &name); err != nil {
					return err
				}
			}
		}
		length := lengthOfValue(rest)
		if err := visit(name, rest[:length]); err != nil {
			return err
		}
		rest = rest[length:]
	}
}

// lengthOfString is how far the string reaches that JSON begins with, its quotes included.
func lengthOfString(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// lengthOfValue is how far the value reaches that JSON begins with.
func lengthOfValue(text string) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '"':
			i += lengthOfString(text[i:]) - 1
		case '{', '[':
			depth++
			continue
		case '}', ']', ',', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
			if text[i] == '}' || text[i] == ']' {
				depth--
			}
		default:
			continue
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(text)
}
