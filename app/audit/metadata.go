package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	maxMetadata      = 256 << 10 // bytes of JSON
	maxMetadataDepth = 32
)

// encodeMetadata makes the stored text of an event's metadata: a JSON object with its keys in
// order, numbers as they were written, and U+FFFD in place of what PostgreSQL's JSON functions
// could not read (U+0000, invalid UTF-8). Nothing and null give the empty string.
func encodeMetadata(metadata any) (text string, err error) {
	if metadata == nil {
		return "", nil
	}
	defer func() {
		if problem := recover(); problem != nil {
			text, err = "", &InvalidEventError{"metadata", fmt.Sprintf("its JSON encoder panicked: %v", problem)}
		}
	}()
	raw, decoded := metadata.(json.RawMessage)
	if !decoded {
		if raw, err = json.Marshal(metadata); err != nil {
			return "", &InvalidEventError{"metadata", "cannot be encoded as JSON: " + err.Error()}
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return "", &InvalidEventError{"metadata", "is not JSON: " + err.Error()}
	}
	if decoder.More() {
		return "", &InvalidEventError{"metadata", "is more than one JSON value"}
	}
	if value == nil {
		return "", nil
	}
	object, ok := value.(map[string]any)
	if !ok {
		return "", &InvalidEventError{"metadata", "is not a JSON object"}
	}
	if depth := depthOf(object); depth > maxMetadataDepth {
		return "", &InvalidEventError{"metadata", fmt.Sprintf("has %d levels; at most %d are allowed", depth, maxMetadataDepth)}
	}
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(withoutNUL(object)); err != nil {
		return "", &InvalidEventError{"metadata", "cannot be encoded as JSON: " + err.Error()}
	}
	encoded.Truncate(encoded.Len() - 1) // Encode ends with a newline
	if encoded.Len() > maxMetadata {
		return "", &InvalidEventError{"metadata", fmt.Sprintf("has %d bytes of JSON; at most %d are allowed", encoded.Len(), maxMetadata)}
	}
	if encoded.Len() == len("{}") {
		return "", nil
	}
	return encoded.String(), nil
}

// depthOf counts nested objects and lists; a flat object has one level.
func depthOf(value any) int {
	deepest := 0
	switch v := value.(type) {
	case map[string]any:
		for _, child := range v {
			deepest = max(deepest, depthOf(child))
		}
	case []any:
		for _, child := range v {
			deepest = max(deepest, depthOf(child))
		}
	default:
		return 0
	}
	return deepest + 1
}

// withoutNUL replaces U+0000 in every key and text of value, in place where it can.
func withoutNUL(value any) any {
	switch v := value.(type) {
	case string:
		return strings.ReplaceAll(v, "\x00", string(utf8.RuneError))
	case []any:
		for i := range v {
			v[i] = withoutNUL(v[i])
		}
	case map[string]any:
		for key, child := range v {
			clean := strings.ReplaceAll(key, "\x00", string(utf8.RuneError))
			if clean != key {
				delete(v, key)
			}
			v[clean] = withoutNUL(child)
		}
	}
	return value
}
