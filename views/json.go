package views

import (
	"bytes"
	"encoding/json"

	"github.com/auditlogs/auditlogs/app/audit/event"
)

type jsonMember struct {
	name string
	raw  json.RawMessage
}

// objectMembers splits a JSON object, in the order stored; a name that occurs twice is there twice. ok reports
// whether raw is an object.
func objectMembers(raw json.RawMessage) (members []jsonMember, ok bool) {
	if !compound(raw) || bytes.TrimSpace(raw)[0] != '{' || !json.Valid(raw) {
		return nil, false
	}
	return listItems(raw), true
}

// listItems splits JSON that is known to be a list.
func listItems(raw json.RawMessage) (members []jsonMember) {
	_ = event.EachMember(string(raw), func(name, value string) error {
		members = append(members, jsonMember{name, json.RawMessage(value)})
		return nil
	})
	return members
}

// indentJSON lays JSON out over lines and changes nothing else.
func indentJSON(raw json.RawMessage) string {
	var out bytes.Buffer
	if err := json.Indent(&out, bytes.TrimSpace(raw), "", "  "); err != nil {
		return string(raw)
	}
	return out.String()
}

// compound reports whether raw is an object or a list.
func compound(raw json.RawMessage) bool {
	trimmed := bytes.TrimSpace(raw)
	return len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[')
}

func compacted(items []jsonMember) []string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = compact(item.raw)
	}
	return texts
}

func compact(raw json.RawMessage) string {
	var out bytes.Buffer
	if err := json.Compact(&out, raw); err != nil {
		return string(raw)
	}
	return out.String()
}

func sameJSON(a, b json.RawMessage) bool {
	return (a == nil) == (b == nil) && compact(a) == compact(b)
}
