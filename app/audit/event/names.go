package event

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// checkNames refuses names that package json takes for those of an event although they are not: one in
// another case, and one that is there already. raw is JSON that has been read as an event, so each name
// is that of a field, if case makes no difference.
func checkNames(raw []byte) error {
	return checkObject(strings.TrimLeft(string(raw), jsonSpace), "", "actor", "request")
}

// checkObject checks the names of an object, and those of the objects under the names within.
func checkObject(object, path string, within ...string) error {
	var seen []string
	return eachName(object, func(name, value string) error {
		switch lower := strings.ToLower(name); {
		case strings.ContainsFunc(name, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }):
			return fault.Newf(path+name, fault.UnknownField, "is not a field of an event; it is written %q", lower)
		case slices.Contains(seen, name):
			return fault.Newf(path+name, fault.Malformed, "is given twice")
		case slices.Contains(within, name):
			if err := checkObject(value, path+name+"."); err != nil {
				return err
			}
		}
		seen = append(seen, name)
		return nil
	})
}

const jsonSpace = " \t\r\n"

// eachName hands the names of a JSON object to visit, with their values, until that fails. What is not
// an object has none.
func eachName(object string, visit func(name, value string) error) error {
	if !strings.HasPrefix(object, "{") {
		return nil
	}
	for rest := object[1:]; ; {
		rest = strings.TrimLeft(rest, jsonSpace+",")
		if !strings.HasPrefix(rest, `"`) {
			return nil
		}
		length := lengthOfString(rest)
		quoted := rest[:length]
		rest = strings.TrimLeft(rest[length:], jsonSpace+":")
		length = lengthOfValue(rest)
		name := strings.Trim(quoted, `"`)
		if strings.ContainsRune(quoted, '\\') {
			if err := json.Unmarshal([]byte(quoted), &name); err != nil {
				return err
			}
		}
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
