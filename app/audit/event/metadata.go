package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

const (
	maxMetadata      = 256 << 10 // bytes of JSON
	maxMetadataDepth = 32
)

// encodeMetadata returns the stored text of an event's metadata: a JSON object with its keys in
// order, numbers as they were written, credentials masked, and U+FFFD in place of what PostgreSQL's
// JSON functions could not read (U+0000, invalid UTF-8). Nothing and null give the empty string.
func (r *keyRules) encodeMetadata(metadata any) (text string, err error) {
	if metadata == nil {
		return "", nil
	}
	defer func() {
		if problem := recover(); problem != nil {
			text, err = "", fault.Newf("metadata", fault.Malformed, "its JSON encoder panicked: %v", problem)
		}
	}()
	text, err = jsonOf(metadata)
	if err != nil {
		return "", err
	}
	if !r.isStorable(text) {
		if text, err = r.mendMetadata(text); err != nil {
			return "", err
		}
	}
	if len(text) > maxMetadata {
		return "", tooLarge(text)
	}
	if len(text) <= len("{}") {
		return "", nil
	}
	return text, nil
}

// CompactMetadata returns metadata that an export holds as it was stored: without needless space, and
// nothing masked again. It is nil for an empty object. The error is a *fault.Field.
func CompactMetadata(raw json.RawMessage) (json.RawMessage, error) {
	object, err := decodeMetadata(string(raw))
	if err != nil {
		return nil, err
	}
	text, err := jsonOf(raw)
	if err != nil {
		return nil, err
	}
	if len(text) > maxMetadata {
		return nil, tooLarge(text)
	}
	if len(object) == 0 {
		return nil, nil
	}
	return json.RawMessage(text), nil
}

// jsonOf encodes metadata as JSON without needless space.
func jsonOf(metadata any) (string, error) {
	var encoded bytes.Buffer
	if raw, ok := metadata.(json.RawMessage); ok {
		if err := json.Compact(&encoded, raw); err != nil {
			return "", fault.Newf("metadata", fault.Malformed, "is not JSON: %s", err.Error())
		}
		return encoded.String(), nil
	}
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(metadata); err != nil {
		var change *changeError
		if errors.As(err, &change) {
			return "", fault.Newf("metadata", fault.Malformed, "%s", change.Error())
		}
		return "", fault.Newf("metadata", fault.Malformed, "cannot be encoded as JSON: %s", err.Error())
	}
	encoded.Truncate(encoded.Len() - 1) // Encode ends with a newline
	return encoded.String(), nil
}

// isStorable reports whether compact JSON can be stored as it is, as most can: one object whose keys are
// in order, with nothing to mask or to mend. When in doubt it returns false. Decoding and encoding
// everything would be most of the work of recording an event.
func (r *keyRules) isStorable(text string) bool {
	if text == "" || text[0] != '{' || !utf8.ValidString(text) || strings.IndexByte(text, '\\') >= 0 ||
		strings.Contains(text, "\u2028") || strings.Contains(text, "\u2029") {
		return false
	}
	var lastKeys [maxMetadataDepth]string // by level
	var hasKeys [maxMetadataDepth]bool
	level, naming := -1, false
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			if level++; level == maxMetadataDepth {
				return false
			}
			hasKeys[level] = false
		case '}', ']':
			level--
		case '"': // there are no escapes: the text ends at the next quote
			length := strings.IndexByte(text[i+1:], '"')
			inner := text[i+1 : i+1+length]
			i += length + 1
			if text[i+1] != ':' {
				if naming && r.treat(inner, ordinary) != ordinary || maskForms(inner) != inner {
					return false
				}
				naming = false
				continue
			}
			if hasKeys[level] && lastKeys[level] >= inner || len(inner) >= shortestToken && maskForms(inner) != inner {
				return false
			}
			if of := r.treat(inner, ordinary); of > telling || of == telling && (text[i+2] == '{' || text[i+2] == '[') {
				return false
			}
			lastKeys[level], hasKeys[level], naming = inner, true, isNaming(inner)
		}
	}
	return true
}

// mendMetadata decodes metadata and encodes it as it is to be stored.
func (r *keyRules) mendMetadata(text string) (string, error) {
	if text == "null" {
		return "", nil
	}
	object, err := decodeMetadata(text)
	if err != nil {
		return "", err
	}
	return jsonOf(withoutNUL(r.mask(object, ordinary)))
}

// decodeMetadata reads an object, at most maxMetadataDepth deep, in which no name is given twice.
func decodeMetadata(text string) (map[string]any, error) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fault.Newf("metadata", fault.Malformed, "is not JSON: %s", err.Error())
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, fault.Newf("metadata", fault.Malformed, "is not a JSON object")
	}
	return object, checkNesting(strings.TrimLeft(text, jsonSpace), 1)
}

func tooLarge(text string) error {
	return fault.Newf("metadata", fault.TooLarge, "has %d bytes of JSON; at most %d are allowed", len(text), maxMetadata)
}

// checkNesting refuses an object or list, at a level from 1, that is too deep or in which one object has a name
// twice. It looks at the text: decoded, the second value has taken the place of the first.
func checkNesting(text string, level int) error {
	seen := map[string]bool{}
	return EachMember(text, func(name, value string) error {
		isObject := text[0] == '{'
		switch {
		case isObject && seen[name]:
			return fault.Newf("metadata", fault.Malformed, "%.60q is given twice in one object", name)
		case value[0] != '{' && value[0] != '[':
		case level == maxMetadataDepth:
			return fault.Newf("metadata", fault.TooLarge, "has more than %d levels", maxMetadataDepth)
		default:
			if err := checkNesting(value, level+1); err != nil {
				return err
			}
		}
		seen[name] = true
		return nil
	})
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
		rename(v, func(name string) string { return strings.ReplaceAll(name, "\x00", string(utf8.RuneError)) })
		for key := range v {
			v[key] = withoutNUL(v[key])
		}
	}
	return value
}

// rename gives the members of object the names that clean makes of theirs, in place and the same each time. Of those that
// get one name, or one that is there, all but the first get a number: however many they are, none is looked for twice.
func rename(object map[string]any, clean func(name string) string) {
	last := map[string]int{} // number of a name
	for _, key := range slices.Sorted(maps.Keys(object)) {
		name := clean(key)
		if name == key {
			continue
		}
		child := object[key]
		delete(object, key)
		free := name
		for _, taken := object[free]; taken; _, taken = object[free] {
			last[name] = max(last[name], 1) + 1
			free = fmt.Sprintf("%s %d", name, last[name]) // the space ends what has the form of a credential
		}
		object[free] = child
	}
}
