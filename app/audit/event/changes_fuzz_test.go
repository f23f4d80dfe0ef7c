package event_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/audit/event"
)

// account holds secrets wherever a struct can.
type account struct {
	Name    string             `json:"name"`
	Key     string             `json:"key" audit:"secret"`
	Keys    []string           `json:"keys" audit:"secret"`
	Vars    []variable         `json:"vars"`
	ByName  map[string]account `json:"by_name"`
	Parent  *account           `json:"parent"`
	Ignored string             `json:"ignored" audit:"ignore"`
}

func FuzzChanges(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":{"c":null}}`), []byte(`{"a":"1","b":{"d":[1,{"e":2}]}}`), "name", "one", "two")
	f.Add([]byte(`{"a.b":{"":{"\"":1}}}`), []byte(`{"a":{"b":{"\"":{}}}}`), "", "", "one")
	f.Add([]byte(`{"a":{"b":{"c":1}}}`), []byte(`{"a":[]}`), "a.b", "null", "null")
	f.Add([]byte(`null`), []byte(`{"a":{}}`), "\xff", "\x00", "[masked]")
	f.Fuzz(func(t *testing.T, before, after []byte, name, secretBefore, secretAfter string) {
		checkSecrets(t, name, secretBefore, secretAfter)

		from, errFrom := decodeObject(before)
		to, errTo := decodeObject(after)
		if errFrom != nil || errTo != nil {
			event.Changes(json.RawMessage(before), json.RawMessage(after)) // must not panic
			return
		}
		changes := event.Changes(from, to)
		if _, err := json.Marshal(changes); err != nil {
			return // too deep, and Record says so
		}
		if same := event.Changes(from, maps.Clone(from)); len(same) != 0 {
			t.Errorf("%s differs from itself in %v", before, same)
		}
		for path, change := range changes {
			apply(t, from, splitPath(t, path), change)
		}
		if got, want := withoutEmpty(from), withoutEmpty(to); !reflect.DeepEqual(got, want) {
			t.Errorf("%s with the changes %v\nis      %v\nand not %v", before, changes, got, want)
		}
	})
}

// checkSecrets compares accounts that differ in secrets only, and looks for these in the answer.
func checkSecrets(t *testing.T, name, before, after string) {
	const mark = "hunter2"
	if strings.Contains(name, mark) {
		return
	}
	of := func(secret string) account {
		inner := account{Name: name, Key: mark + secret, Keys: []string{mark + secret}, Ignored: mark + secret,
			Vars: []variable{{name, mark + secret, len(secret)}}}
		outer := inner
		outer.Parent, outer.ByName = &inner, map[string]account{name: inner}
		return outer
	}
	created, deleted := event.Changes(nil, of(after)), event.Changes(of(before), nil)
	updated := event.Changes(of(before), of(after))
	for _, changes := range []map[string]event.Change{created, deleted, updated} {
		if stored := storedMetadata(t, map[string]any{"changes": changes}); strings.Contains(stored, mark) {
			t.Errorf("a secret stands in %s", stored)
		}
	}
	_, told := updated["key"]
	if differ := jsonText(t, before) != jsonText(t, after); told != differ {
		t.Errorf("from %q to %q: told is %t in %v", before, after, told, updated)
	}
}

// jsonText is text as JSON has it: all that is not UTF-8 looks the same there.
func jsonText(t *testing.T, text string) string {
	encoded, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

func decodeObject(raw []byte) (object map[string]any, err error) {
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.UseNumber()
	if err = decoder.Decode(&object); object == nil {
		object = map[string]any{} // of null
	}
	return object, err
}

// splitPath reads a path as Changes writes it.
func splitPath(t *testing.T, path string) (names []string) {
	t.Helper()
	for rest := path; ; rest = rest[1:] {
		name, _, _ := strings.Cut(rest, ".")
		length := len(name)
		if strings.HasPrefix(rest, `"`) {
			quoted, err := strconv.QuotedPrefix(rest)
			if err == nil {
				name, err = strconv.Unquote(quoted)
			}
			if err != nil {
				t.Fatalf("path %s: %v", path, err)
			}
			length = len(quoted)
		}
		names, rest = append(names, name), rest[length:]
		if rest == "" {
			return names
		}
		if rest[0] != '.' {
			t.Fatalf("path %s goes on with %s", path, rest)
		}
	}
}

func apply(t *testing.T, object map[string]any, path []string, change event.Change) {
	t.Helper()
	last := len(path) - 1
	for _, name := range path[:last] {
		inner, ok := object[name].(map[string]any)
		if !ok {
			inner = map[string]any{}
			object[name] = inner
		}
		object = inner
	}
	old, had := object[path[last]]
	if had == (change.Before == any(event.Absent{})) {
		t.Errorf("%v: was %v, and before is %v", path, old, change.Before)
	}
	if object[path[last]] = change.After; change.After == (event.Absent{}) {
		delete(object, path[last])
	}
}

// withoutEmpty leaves out objects without members: what was in one is told, member by member.
func withoutEmpty(object map[string]any) map[string]any {
	kept := maps.Clone(object)
	for name, value := range kept {
		if inner, ok := value.(map[string]any); ok {
			inner = withoutEmpty(inner)
			if kept[name] = inner; len(inner) == 0 {
				delete(kept, name)
			}
		}
	}
	return kept
}
