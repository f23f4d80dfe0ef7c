package metadata

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Value reads an entry's metadata; what cannot be read holds no value.
func Value(text string) any {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return []any{}
	}
	return value
}

// AnyLeaf reports whether something is true of a value of metadata: a string, or a number, true, false or null as it is
// written. With a path only those at its end count.
func AnyLeaf(value any, path []string, is func(text string) bool) bool {
	if len(path) > 0 {
		return leafAt(value, path, is)
	}
	return leafIn(value, is)
}

// leafAt looks at what a path leads to, through arrays and at its end into them.
func leafAt(value any, path []string, is func(text string) bool) bool {
	switch value := value.(type) {
	case []any:
		return slices.ContainsFunc(value, func(v any) bool { return leafAt(v, path, is) })
	case map[string]any:
		if len(path) == 0 {
			return false
		}
		below, there := value[path[0]]
		return there && leafAt(below, path[1:], is)
	default:
		return len(path) == 0 && is(leafText(value))
	}
}

// leafIn looks at everything in a value.
func leafIn(value any, is func(text string) bool) bool {
	switch value := value.(type) {
	case []any:
		return slices.ContainsFunc(value, func(v any) bool { return leafIn(v, is) })
	case map[string]any:
		for _, below := range value {
			if leafIn(below, is) {
				return true
			}
		}
		return false
	default:
		return is(leafText(value))
	}
}

func leafText(value any) string {
	switch value := value.(type) {
	case string:
		return value
	case json.Number:
		return value.String()
	case bool:
		return strconv.FormatBool(value)
	default:
		return "null"
	}
}
