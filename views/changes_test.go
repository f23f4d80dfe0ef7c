package views

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// changed are the rows a change of one field is shown as: "path: before → after", and lines with
// their signs.
func changed(t *testing.T, before, after any) []string {
	t.Helper()
	metadata, err := json.Marshal(map[string]any{"changes": map[string]any{"field": map[string]any{"before": before, "after": after}}})
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for _, change := range MetadataOf(string(metadata)).Changes {
		if change.Lines == nil {
			rows = append(rows, change.Field+": "+change.Before.Text+" → "+change.After.Text)
		}
		for _, line := range change.Lines {
			switch line.Kind {
			case "skip":
				rows = append(rows, fmt.Sprintf("@%d", len(line.Skipped)))
			case "same":
				rows = append(rows, " "+line.Start)
			default:
				rows = append(rows, map[string]string{"old": "-", "new": "+", "more": "?"}[line.Kind]+line.Start+"["+line.Mark+"]"+line.End)
			}
		}
	}
	return rows
}

func TestALongTextIsShownAsTheLinesThatChanged(t *testing.T) {
	lines := func(n int) []string {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprint("line ", i)
		}
		return all
	}
	old, new := lines(100), lines(100)
	new[50] = "line fifty"
	new = append(new[:80], append([]string{"and more"}, new[80:]...)...)
	got := changed(t, strings.Join(old, "\n"), strings.Join(new, "\n"))
	want := []string{"@48", " line 48", " line 49", "-line [50]", "+line [fifty]", " line 51", " line 52", "@25", " line 78", " line 79", "+and more[]", " line 80", " line 81", "@18"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the change reads\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	// A long line: what changed in it, and what is near.
	long := strings.Repeat("å", 300)
	got = changed(t, long+"OLD"+long, long+"NEW"+long)
	want = []string{"-…" + strings.Repeat("å", 24) + "[OLD]" + strings.Repeat("å", 24) + "…", "+…" + strings.Repeat("å", 24) + "[NEW]" + strings.Repeat("å", 24) + "…"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the long line reads\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// The letters of é and è begin with the same byte.
	if got := changed(t, long+"é", long+"è"); !strings.HasSuffix(got[0], "[é]") || !strings.HasSuffix(got[1], "[è]") {
		t.Errorf("a letter is torn: %q", got)
	}
	if got := changed(t, "short", "other"); got[0] != "field: short → other" {
		t.Errorf("a short text reads %q", got)
	}
	if got := changed(t, nil, "two\nlines"); got[0] != "field: null → two\nlines" {
		t.Errorf("a new text reads %q", got)
	}
}

func TestOfObjectsAndListsThePartsThatChangedAreShown(t *testing.T) {
	type object = map[string]any
	for _, c := range []struct {
		before, after any
		want          string
	}{
		{object{"cpu": 1.5, "memory": object{"soft": "1Gi", "hard": "2Gi"}}, object{"cpu": 2, "memory": object{"soft": "1Gi", "hard": "4Gi"}},
			"field.cpu: 1.5 → 2\nfield.memory.hard: 2Gi → 4Gi"},
		{object{"a": 1, "gone": true}, object{"a": 1, "new": nil}, "field.gone: true → absent\nfield.new: absent → null"},
		{object{"a.b": 1, "": 1, "c d": 1, "e\nf": 1}, object{"a.b": 2, "": 2, "c d": 2, "e\nf": 2},
			`field[""]: 1 → 2` + "\n" + `field["a.b"]: 1 → 2` + "\n" + `field["c d"]: 1 → 2` + "\n" + `field.e⟨U+000A⟩f: 1 → 2`},
		{[]any{"a", "b", "c", "d"}, []any{"new", "a", "b", "d"}, "field[0]: absent → new\nfield[2]: c → absent"},
		{[]any{object{"name": "a", "n": 1}, object{"name": "b", "n": 1}}, []any{object{"name": "a", "n": 1}, object{"name": "b", "n": 2}}, "field[1].n: 1 → 2"},
		{object{"list": []any{1, 2}}, object{"list": "none"}, "field.list: [\n  1,\n  2\n] → none"},
		{object{"a": 1}, object{}, "field: {\n  \"a\": 1\n} → {}"},
		{object{"a": 1}, nil, "field: {\n  \"a\": 1\n} → null"},
		{object{"note": "one\ntwo"}, object{"note": "one\n2"}, " one\n-[two]\n+[2]"},
	} {
		if got := strings.Join(changed(t, c.before, c.after), "\n"); got != c.want {
			t.Errorf("%v → %v reads\n%s\nwant\n%s", c.before, c.after, got, c.want)
		}
	}
	// Names twice: nobody can tell which is which.
	view := MetadataOf(`{"changes":{"field":{"before":{"a":1,"a":2},"after":{"a":1,"a":3}}}}`)
	if len(view.Changes) != 1 || view.Changes[0].Before.Kind != "json" {
		t.Errorf("an object with a name twice reads %+v", view.Changes)
	}
}

// The most that an entry can hold is compared with bounded work and shown within bounds.
func TestComparingTheLargestChanges(t *testing.T) {
	half := 120 << 10
	words := func(seed int) string {
		var text strings.Builder
		for i := 0; text.Len() < half; i++ {
			fmt.Fprintf(&text, "%x\n", (i*7919+seed)%50021)
		}
		return text.String()
	}
	list := func(seed int) []any {
		var items []any
		for i := range 30_000 {
			items = append(items, (i*7919+seed)%5003)
		}
		return items
	}
	wide := func(seed int) map[string]any {
		object := map[string]any{}
		for i := range 10_000 {
			object[fmt.Sprint("k", i)] = i * seed
		}
		return object
	}
	for name, c := range map[string][2]any{
		"lines": {words(1), words(2)}, "empty lines": {strings.Repeat("\n", half), strings.Repeat("x\n", half/2)}, "one line": {strings.Repeat("a", half), strings.Repeat("b", half)},
		"lists": {list(1), list(2)}, "objects": {wide(1), wide(2)},
	} {
		if rows := changed(t, c[0], c[1]); len(rows) == 0 || len(rows) > mostValuesShown+100 {
			t.Errorf("%s: %d rows are shown", name, len(rows))
		}
	}
}
