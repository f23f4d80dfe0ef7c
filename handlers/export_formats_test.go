package handlers

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/handlers/exchange"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
)

// awkwardEntry has a value of its own in every column, and some that are hard to write.
func awkwardEntry() models.Entry {
	at := models.MicrosOf(time.Date(2025, 11, 20, 14, 3, 22, 120_000_000, time.UTC))
	return models.Entry{
		ID: models.NewEntryID(at), OccurredAt: at, RecordedAt: at + 1, Action: "service:update", EntityType: "service",
		EntityID: `a "quoted", id`, EntityName: "Zoë's\nsecond line, \U0001F680", ActorID: "usr_1", ActorName: " Ada ",
		ActorEmail: "ada@example.com", Source: "", IP: "2001:db8::1", UserAgent: `Mozilla/5.0 (X11; "Linux"; <b>&amp;)`,
		RequestID: "req_1", URL: "https://console.example.com/?a=1&b=2",
		Metadata: "{\"n\": 12345678901234567890.10, \"text\": \"<b>\\n\\u2028\",\n \"list\": [1, 2]}",
		APIKeyID: "key_1", APIKeyName: "Build, \"main\"", Origin: models.OriginImport,
		Original: models.Original{RecordedAt: "2025-11-20T14:03:23.000000Z", APIKey: &models.OriginalAPIKey{ID: "key_0", Name: "<Old>"}}.Text(),
		Outcome:  event.OutcomeDenied, Reason: "not \"allowed\"", NativeAction: "svc.Update", ActorType: event.ActorAgent, Masked: 2,
		OnBehalfOf: &event.Principal{ID: "usr_2", Name: "<Bob>", Session: "s-1"},
		Related:    []event.Resource{{Type: "subnet", ID: "sn-1", Name: "a, b", Role: "network"}, {Type: "image", ID: "im-1"}},
	}
}

// acmeFile is of a reader who lives where the clocks show an hour more than UTC.
var acmeFile = exportFile{
	exchange.Log{Organization: models.Organization{Slug: "acme", Name: "Acme"}, Server: "https://audit.example.com", Path: "/orgs/acme/settings/audit-logs"},
	time.FixedZone("Europe/Berlin", 60*60),
}

func exported(format string, entries ...models.Entry) string {
	var file bytes.Buffer
	w := bufio.NewWriter(&file)
	exportFormats[format].begin(w, acmeFile)
	for _, entry := range entries {
		if err := exportFormats[format].entry(w, acmeFile, entry); err != nil {
			panic(err)
		}
	}
	w.Flush()
	return file.String()
}

func TestCSVReadsBackAsItWas(t *testing.T) {
	entry := awkwardEntry()
	file := exported("csv", entry, models.Entry{})
	if !strings.HasPrefix(file, "\ufeffid,occurred_at,recorded_at,action,entity_type,entity_id,entity_name,actor_id,actor_name,actor_email,source,ip,user_agent,request_id,url,metadata,api_key_id,api_key_name,organization,origin,original,outcome,reason,native_action,actor_type,on_behalf_of,related,masked,occurred_at (Europe/Berlin)\r\n") {
		t.Errorf("the header is %q", strings.SplitN(file, "\n", 2)[0])
	}
	if !strings.HasSuffix(file, "\r\n") {
		t.Error("the last line does not end with CRLF")
	}
	records, err := csv.NewReader(strings.NewReader(file)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		entry.ID.String(), "2025-11-20T14:03:22.120000Z", "2025-11-20T14:03:22.120001Z", "service:update", "service",
		entry.EntityID, entry.EntityName, "usr_1", " Ada ", "ada@example.com", "", "2001:db8::1", entry.UserAgent, "req_1", entry.URL,
		`{"n":12345678901234567890.10,"text":"<b>\n\u2028","list":[1,2]}`,
		"key_1", entry.APIKeyName, "acme", "import", entry.Original,
		"denied", entry.Reason, "svc.Update", "agent", `{"id":"usr_2","name":"<Bob>","session":"s-1"}`,
		`[{"type":"subnet","id":"sn-1","name":"a, b","role":"network"},{"type":"image","id":"im-1"}]`, "2", "2025-11-20 15:03:22",
	}
	if !slices.Equal(records[1], want) {
		t.Errorf("read back:\n%q\nwant:\n%q", records[1], want)
	}
	if last := records[2][15]; last != "{}" {
		t.Errorf("no metadata is written as %q", last)
	}
}

func TestFormulasAreDefused(t *testing.T) {
	for value, want := range map[string]string{
		"=HYPERLINK(\"x\")": "'=HYPERLINK(\"x\")",
		"+1":                "'+1",
		"-1":                "'-1",
		"@SUM(A1)":          "'@SUM(A1)",
		"\t=1":              "'\t=1",
		"\r=1":              "'\r=1",
		"\n=1":              "'\n=1",
		"'=1":               "'=1",
		"＝1":                "'＝1",
		"＋1":                "'＋1",
		"－1":                "'－1",
		"＠SUM(A1)":          "'＠SUM(A1)",
		"a=1":               "a=1",
		"":                  "",
	} {
		entry := awkwardEntry()
		entry.EntityID, entry.EntityName, entry.ActorID, entry.ActorName, entry.UserAgent = value, value, value, value, value
		records, err := csv.NewReader(strings.NewReader(exported("csv", entry))).ReadAll()
		if err != nil {
			t.Fatalf("%q: %v", value, err)
		}
		for _, column := range []int{5, 6, 7, 8, 12} {
			if got := records[1][column]; got != want {
				t.Errorf("%s of %q is written as %q, want %q", records[0][column], value, got, want)
			}
		}
	}
}

func TestNDJSONIsOneObjectALine(t *testing.T) {
	entry := awkwardEntry()
	entry.EntityID = "=1" // nothing is defused here: nothing would run it
	lines := strings.Split(strings.TrimSuffix(exported("ndjson", entry, models.Entry{}), "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("two entries give %d lines", len(lines))
	}
	var got map[string]json.RawMessage
	if err := json.Unmarshal([]byte(lines[0]), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 28 {
		t.Errorf("an entry has %d keys", len(got))
	}
	for key, want := range map[string]string{
		"entity_id":   `"=1"`,
		"occurred_at": `"2025-11-20T14:03:22.120000Z"`,
		"user_agent":  `"Mozilla/5.0 (X11; \"Linux\"; <b>&amp;)"`,
		"source":      `""`,
		"api_key_id":  `"key_1"`,
		"outcome":     `"denied"`,
		"related":     `[{"type":"subnet","id":"sn-1","name":"a, b","role":"network"},{"type":"image","id":"im-1"}]`,
		"masked":      `2`,
		"original":    `{"recorded_at":"2025-11-20T14:03:23.000000Z","api_key":{"id":"key_0","name":"<Old>"}}`,
		"metadata":    `{"n":12345678901234567890.10,"text":"<b>\n\u2028","list":[1,2]}`,
	} {
		if string(got[key]) != want {
			t.Errorf("%s is %s, want %s", key, got[key], want)
		}
	}
	if !strings.HasSuffix(lines[1], `,"metadata":{},"api_key_id":"","api_key_name":"","organization":"acme","origin":"","original":null,`+
		`"outcome":"success","reason":"","native_action":"","actor_type":"user","on_behalf_of":null,"related":null,"masked":0}`) {
		t.Errorf("no metadata is written as %s", lines[1])
	}
}

// What a spreadsheet would leave out without a word, the file leaves out and says so.
func TestCellsAreCutAtTheSpreadsheetsLimit(t *testing.T) {
	units := func(text string) int { return len(utf16.Encode([]rune(text))) }
	for name, tc := range map[string]struct {
		text string
		cut  bool
	}{
		"as long as can be":            {strings.Repeat("a", 32767), false},
		"one longer":                   {strings.Repeat("a", 32768), true},
		"as long as can be, and wide":  {strings.Repeat("é", 32767), false},
		"beyond the first 65,536":      {strings.Repeat("\U0001F680", 16384), true},
		"no longer without its quotes": {strings.Repeat(`"`, 32767), false},
		"too long with an apostrophe":  {"=" + strings.Repeat("a", 32766), true},
		"as long as metadata can be":   {strings.Repeat("a\U0001F680", 1<<16), true},
	} {
		entry := awkwardEntry()
		entry.EntityID = tc.text
		records, err := csv.NewReader(strings.NewReader(exported("csv", entry))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		cell := records[1][5]
		if n := units(cell); n > 32767 || tc.cut && n < 32760 {
			t.Errorf("%s: the cell has %d characters", name, n)
		}
		begin, mark, cut := strings.Cut(cell, "… [cut: ")
		if cut != tc.cut || !strings.HasPrefix("'"+tc.text, begin) && !strings.HasPrefix(tc.text, begin) || !utf8.ValidString(cell) {
			t.Errorf("%s: cut is %t", name, cut)
		}
		if cut && !strings.HasSuffix(mark, "the whole is at https://audit.example.com/orgs/acme/settings/audit-logs/"+entry.ID.String()+"]") {
			t.Errorf("%s: it ends with %s", name, mark)
		}
		if !strings.Contains(exported("ndjson", entry), strings.Trim(string(jsonString(tc.text)), `"`)) {
			t.Errorf("%s: the NDJSON does not hold all of it", name)
		}
	}
}

// The table of docs/export.md says where every field of an entry is in the other forms. Where it names several places, the
// first has the value as it is.
func TestWhereFieldsAreInOtherFormsIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/export.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "| field | OCSF | CloudEvents | ECS |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	otherwise := map[string]bool{"related in ocsf": true, "organization in cloudevents": true} // a list of other objects, an address
	rows := map[string][]string{}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		for _, field := range inBackticks.FindAllStringSubmatch(cells[0], -1) {
			rows[field[1]] = cells[1:]
		}
	}
	for _, column := range exportColumns {
		cells := rows[column.name]
		if len(cells) != 3 {
			t.Errorf("the table does not say where %s is", column.name)
			continue
		}
		delete(rows, column.name)
		e := logtest.Kinds()["all fields"]
		if column.name == "source" { // which only automated actions have
			e = logtest.Kinds()["an automation"]
		}
		for i, form := range []string{"ocsf", "cloudevents", "ecs"} {
			var object map[string]any
			if err := json.Unmarshal([]byte(exported(form, e)), &object); err != nil {
				t.Fatal(err)
			}
			always, _, _ := strings.Cut(cells[i], ";") // otherwise elsewhere
			places := inBackticks.FindAllStringSubmatch(always, -1)
			if len(places) == 0 {
				t.Errorf("%s has no place in %s", column.name, form)
			}
			for n, place := range places {
				value, found := valueAt(object, place[1])
				if want := column.value(acmeFile, e); !found {
					t.Errorf("%s is not at %s in %s", column.name, place[1], form)
				} else if n == 0 && !otherwise[column.name+" in "+form] && !isValue(value, want) {
					t.Errorf("%s is %v at %s in %s, want %s", column.name, value, place[1], form, want)
				}
			}
		}
	}
	for field := range rows {
		t.Errorf("the table has %s, which is no field", field)
	}
}

var inBackticks = regexp.MustCompile("`([^`]+)`")

// valueAt returns the value at a path such as "resources[0].uid".
func valueAt(object any, path string) (any, bool) {
	for name := range strings.SplitSeq(path, ".") {
		name, first := strings.CutSuffix(name, "[0]")
		inner, _ := object.(map[string]any)
		if object = inner[name]; first {
			object = object.([]any)[0]
		}
	}
	return object, object != nil
}

// isValue reports whether value is what an export's column says: as it is, as JSON, or in other capitals.
func isValue(value any, want string) bool {
	if text, ok := value.(string); ok {
		return strings.EqualFold(text, want)
	}
	var parsed any
	return json.Unmarshal([]byte(want), &parsed) == nil && reflect.DeepEqual(value, parsed)
}
