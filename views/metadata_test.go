package views

import (
	"fmt"
	"strings"
	"testing"
)

func TestChangesAreReadByField(t *testing.T) {
	view := MetadataOf(`{"service_name":"api","changes":{
		"replicas":{"before":2,"after":5},
		"note":{"before":null,"after":""},
		"beta":{"after":false},
		"owner":{"before":"null","after":"0"},
		"limits":{"before":{"cpu":1.50},"after":{}},
		"password":{"before":null,"after":"[masked]"},
		"price":{"after":12345678901234567890.100,"before":1e400}
	},"changed_fields":["replicas"]}`)

	var rows []string
	for _, c := range view.Changes {
		rows = append(rows, fmt.Sprintf("%s: %s %s → %s %s", c.Field, c.Before.Kind, c.Before.Text, c.After.Kind, c.After.Text))
	}
	want := []string{
		"replicas: number 2 → number 5",
		`note: null null → quoted ""`,
		"beta: absent absent → boolean false",
		`owner: quoted "null" → quoted "0"`,
		"limits: json {\n  \"cpu\": 1.50\n} → object {}",
		"password: null null → masked [masked]",
		"price: number 1e400 → number 12345678901234567890.100",
	}
	if got := strings.Join(rows, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("changes:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
	if got := outline(*view.Rest); got != "{service_name: string api, changed_fields: [string replicas]}" {
		t.Errorf("the rest is %s", got)
	}
	if !strings.Contains(view.JSON, "12345678901234567890.100") || !strings.Contains(view.JSON, "1e400") {
		t.Errorf("the JSON lost digits: %s", view.JSON)
	}
}

func TestChangesOfAnotherFormStayInTheTree(t *testing.T) {
	for _, c := range []struct{ metadata, changes, rest string }{
		{`{"changes":"many"}`, "", "{changes: string many}"},
		{`{"changes":{}}`, "", "{changes: object {}}"},
		{`{"changes":[{"before":1}]}`, "", "{changes: [{before: number 1}]}"},
		{`{"changes":{"a":{"before":1,"after":2,"why":"x"}}}`, "",
			"{changes: {a: {before: number 1, after: number 2, why: string x}}}"},
		{`{"changes":{"a":{"before":1,"after":2},"b":3}}`, "a", "{changes: {b: number 3}}"},
		{`{"changes":{"a":{"before":1,"before":2}}}`, "", "{changes: {a: {before: number 1, before: number 2}}}"},
	} {
		view := MetadataOf(c.metadata)
		var fields []string
		for _, change := range view.Changes {
			fields = append(fields, change.Field)
		}
		if got := strings.Join(fields, ","); got != c.changes {
			t.Errorf("%s: changes of %q, want %q", c.metadata, got, c.changes)
		}
		if got := outline(*view.Rest); got != c.rest {
			t.Errorf("%s: the rest is %s, want %s", c.metadata, got, c.rest)
		}
	}
}

func TestEveryKindOfValueReadsDifferently(t *testing.T) {
	kinds := []string{`null`, `"null"`, `""`, `" "`, `"absent"`, `false`, `"false"`, `0`, `"0"`, `-0`, `{}`, `[]`, `"{}"`, `"\"\""`}
	seen := map[string]string{scalarOf("").Text: "(absent)"}
	for _, raw := range kinds {
		text := scalarOf(raw).Text
		if other, ok := seen[text]; ok {
			t.Errorf("%s and %s both read %s", raw, other, text)
		}
		seen[text] = raw
	}
}

func TestOneEntryCannotFillThePage(t *testing.T) {
	wide := MetadataOf(`{"list":[` + strings.Repeat("1,", 20000) + `1],"after":true}`)
	if count := countValues(*wide.Rest); count > mostValuesShown+10 {
		t.Errorf("%d values are shown", count)
	}
	if text := outline(*wide.Rest); !strings.Contains(text, "more, see the JSON") {
		t.Error("nothing says that values were left out")
	}
	deep := MetadataOf(`{"a":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `}`)
	if text := outline(*deep.Rest); !strings.Contains(text, "json [[[[") {
		t.Errorf("deep nesting reads %s", text)
	}
}

func TestMetadataThatIsNoObjectIsShownAsItIs(t *testing.T) {
	for _, stored := range []string{`[1]`, `{"a":`, `<b>`, `7`} {
		view := MetadataOf(stored)
		if view.Rest == nil || view.Rest.Text != stored || view.JSON != stored {
			t.Errorf("%s is shown as %+v", stored, view)
		}
	}
	if view := MetadataOf(""); view.Rest != nil || view.Changes != nil || view.JSON != "" {
		t.Errorf("no metadata is shown as %+v", view)
	}
	if view := MetadataOf("{}"); view.Rest != nil || view.JSON != "{}" {
		t.Errorf("empty metadata is shown as %+v", view)
	}
}

func scalarOf(raw string) Value {
	if raw == "" {
		return cell(nil)
	}
	return cell([]byte(raw))
}

// outline writes a tree on one line.
func outline(v Value) string {
	if len(v.Members) == 0 {
		return v.Kind + " " + v.Text
	}
	parts := make([]string, len(v.Members))
	for i, member := range v.Members {
		parts[i] = outline(member.Value)
		if v.Kind == "object" {
			parts[i] = member.Name + ": " + parts[i]
		}
	}
	if v.Kind == "list" {
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func countValues(v Value) int {
	count := 1
	for _, member := range v.Members {
		count += countValues(member.Value)
	}
	return count
}
