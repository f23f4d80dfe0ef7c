package views

import (
	"bytes"
	"encoding/json"
	"fmt"
)

type jsonMember struct {
	name string
	raw  json.RawMessage
}

// objectMembers splits a JSON object, in the order stored; a name that occurs twice is there twice.
func objectMembers(raw json.RawMessage) ([]jsonMember, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	var members []jsonMember
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("read a name: %w", err)
		}
		member := jsonMember{name: key.(string)} // between braces every other token is a string
		if err := decoder.Decode(&member.raw); err != nil {
			return nil, fmt.Errorf("read %q: %w", member.name, err)
		}
		members = append(members, member)
	}
	if _, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("read the end of an object: %w", err)
	}
	return members, nil
}

// listItems splits a JSON list.
func listItems(raw json.RawMessage) []jsonMember {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return nil
	}
	members := make([]jsonMember, len(items))
	for i, item := range items {
		members[i].raw = item
	}
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

// compound says that raw is an object or a list.
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
