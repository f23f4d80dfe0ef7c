package importer

import (
	"encoding/json"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// record is an object of another system's JSON, which is asked by paths: "actor.alternateId".
type record map[string]any

func parseRecord(raw []byte) (r record, err error) {
	if err = decode(raw, &r); err == nil && r == nil {
		err = refuse("event", "is not a JSON object")
	}
	return r, err
}

// at returns the value at a path, or nil.
func (r record) at(path string) any {
	var value any = map[string]any(r)
	for name := range strings.SplitSeq(path, ".") {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	return value
}

// text returns the first text or number of these that is not empty.
func (r record) text(paths ...string) string {
	for _, path := range paths {
		if text := textOf(r.at(path)); text != "" {
			return text
		}
	}
	return ""
}

// textOf returns value as a text: a text or a number, or the first of a list of them.
func textOf(value any) string {
	switch value := value.(type) {
	case string:
		return strings.TrimSpace(value)
	case json.Number:
		return value.String()
	case []any:
		if len(value) > 0 {
			return textOf(value[0])
		}
	}
	return ""
}

// is reports whether it says true at the path.
func (r record) is(path string) bool { return r.at(path) == true }

// denies reports whether it says false at the path.
func (r record) denies(path string) bool { return r.at(path) == false }

// object returns the object at the path, which is empty where there is none.
func (r record) object(path string) record {
	object, _ := r.at(path).(map[string]any)
	return object
}

// list returns the objects in the list at the path.
func (r record) list(path string) (records []record) {
	values, _ := r.at(path).([]any)
	for _, value := range values {
		if object, ok := value.(map[string]any); ok {
			records = append(records, object)
		}
	}
	return records
}

// within returns the object that is written as a text at the path, and that text.
func (r record) within(path string) (json.RawMessage, record, error) {
	raw := []byte(r.text(path))
	inner, err := parseRecord(raw)
	if err != nil {
		return nil, nil, fault.Newf(path, fault.Malformed, "is no JSON object")
	}
	return raw, inner, nil
}
