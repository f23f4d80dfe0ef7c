package importer

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
)

// read returns the lines of a history.
func read(t *testing.T, history string, config Config) (lines []line) {
	t.Helper()
	config.Organization = "acme"
	reader := newLineReader(strings.NewReader(history), config)
	go reader.read(t.Context())
	for batch := range reader.batches {
		lines = append(lines, batch.lines...)
	}
	if reader.err != nil {
		t.Fatal(reader.err)
	}
	return lines
}

func sample(t *testing.T, name ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{"testdata"}, name...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// expectation is an event as JSON.
type expectation struct {
	NativeAction string             `json:"native_action"`
	Action       string             `json:"action"`
	ID           string             `json:"id,omitempty"`
	Organization string             `json:"external_id,omitempty"`
	Actor        expectedActor      `json:"actor"`
	EntityType   string             `json:"entity_type"`
	EntityID     string             `json:"entity_id,omitempty"`
	EntityName   string             `json:"entity_name,omitempty"`
	Related      []expectedResource `json:"related,omitempty"`
	Outcome      event.Outcome      `json:"outcome,omitempty"`
	Reason       string             `json:"reason,omitempty"`
	Request      *expectedRequest   `json:"request,omitempty"`
	OccurredAt   string             `json:"occurred_at"`
}

type expectedResource struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	Role string `json:"role,omitempty"`
}

type expectedActor struct {
	Type       event.ActorType `json:"type"`
	ID         string          `json:"id"`
	Name       string          `json:"name,omitempty"`
	Email      string          `json:"email,omitempty"`
	Session    string          `json:"session,omitempty"`
	OnBehalfOf *expectedActor  `json:"on_behalf_of,omitempty"`
}

type expectedRequest struct {
	IP        string `json:"ip,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
	ID        string `json:"id,omitempty"`
}

func asExpected(e event.Event) expectation {
	got := expectation{
		NativeAction: e.NativeAction, Action: string(action.Fold(e.NativeAction, e.EntityType)), ID: e.ID, Organization: e.ExternalID,
		Actor:      expectedActor{Type: e.Actor.Type, ID: e.Actor.ID, Name: e.Actor.Name, Email: e.Actor.Email},
		EntityType: e.EntityType, EntityID: e.EntityID, EntityName: e.EntityName, Outcome: e.Outcome, Reason: e.Reason,
		OccurredAt: e.OccurredAt.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano),
	}
	if got.Outcome == event.OutcomeSuccess {
		got.Outcome = ""
	}
	if got.EntityType == "" {
		got.EntityType = action.Action(got.Action).Entity()
	}
	if got.Actor.Type == event.ActorSystem || got.Actor.Type == event.ActorAnonymous {
		got.Actor.Name = ""
	}
	if p := e.Actor.OnBehalfOf; p != nil {
		got.Actor.OnBehalfOf = &expectedActor{Type: p.Type, ID: p.ID, Name: p.Name, Email: p.Email, Session: p.Session}
	}
	for _, r := range e.Related {
		got.Related = append(got.Related, expectedResource(r))
	}
	if e.Request != (event.Request{}) {
		got.Request = &expectedRequest{e.Request.IP, e.Request.UserAgent, e.Request.ID}
	}
	return got
}

func expectations(t *testing.T, name ...string) (expected []expectation) {
	t.Helper()
	lines := bufio.NewScanner(strings.NewReader(sample(t, name...)))
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var e expectation
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&e); err != nil {
			t.Fatal(err)
		}
		expected = append(expected, e)
	}
	return expected
}

func TestFormats(t *testing.T) {
	for _, f := range allFormats() {
		t.Run(f.name, func(t *testing.T) {
			expected := expectations(t, f.name, "expected.ndjson")
			n := 0
			for record := range strings.Lines(sample(t, f.name, "events.ndjson")) {
				e, err := f.read(json.RawMessage(record))
				if err != nil {
					t.Fatalf("record %d: %v", n, err)
				}
				checkEvent(t, n, e, expected[n])
				if metadata, ok := e.Metadata.(json.RawMessage); !ok || string(metadata) != record {
					t.Errorf("record %d is not the metadata", n)
				}
				n++
			}
			if n != len(expected) {
				t.Errorf("%d records, %d expectations", n, len(expected))
			}
		})
	}
}

func checkEvent(t *testing.T, n int, e event.Event, want expectation) {
	t.Helper()
	a, _ := json.Marshal(asExpected(e))
	b, _ := json.Marshal(want)
	if string(a) != string(b) {
		t.Errorf("record %d is\n%s, want\n%s", n, a, b)
	}
}

// The files of CloudTrail hold the records of events.ndjson, each in a way of its own.
func TestFilesOfCloudTrail(t *testing.T) {
	expected := expectations(t, "cloudtrail", "expected.ndjson")
	byID := map[string]expectation{}
	for _, e := range expected {
		byID[e.ID] = e
	}
	records := strings.Split(strings.TrimSpace(sample(t, "cloudtrail", "events.ndjson")), "\n")
	file := `{"Records":[` + strings.Join(records, ",") + `]}`
	for name, tc := range map[string]struct {
		history string
		records int
	}{
		"a file of a trail":                   {file, len(records)},
		"as it is in S3":                      {zipped(t, file), len(records)},
		"two files":                           {`{"Records": [` + records[0] + `]}` + "\n" + `{"Records":[` + records[1] + `]}`, 2},
		"two files as they are in S3":         {zipped(t, `{"Records":[`+records[0]+`]}`) + zipped(t, `{"Records":[`+records[1]+`]}`), 2},
		"an empty file":                       {`{"Records":[]}`, 0},
		"lookup-events":                       {sample(t, "cloudtrail", "lookup-events.json"), 8},
		"the results of a query in Lake":      {sample(t, "cloudtrail", "lake-query-results.csv"), 17},
		"the results as get-query-results is": {sample(t, "cloudtrail", "lake-get-query-results.json"), 17},
	} {
		t.Run(name, func(t *testing.T) {
			lines := read(t, tc.history, Config{Format: "cloudtrail"})
			if len(lines) != tc.records {
				t.Errorf("%d records; want %d", len(lines), tc.records)
			}
			for _, l := range lines {
				if l.err != nil {
					t.Fatalf("%s %d: %v", l.unit, l.number, l.err)
				}
				checkEvent(t, l.number, l.event, byID[l.event.ID])
			}
		})
	}
	for _, l := range read(t, sample(t, "cloudtrail", "lake-partner-events.ndjson"), Config{Format: "cloudtrail"}) {
		if l.err != nil || l.event.Actor.ID == "" || !strings.HasPrefix(l.event.NativeAction, "app.example.com:") {
			t.Errorf("of another product: %+v, %v", l.event, l.err)
		}
	}
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	to := gzip.NewWriter(&out)
	if _, err := to.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestCSV(t *testing.T) {
	columns, err := ReadColumns(strings.NewReader(sample(t, "csv", "map.json")))
	if err != nil {
		t.Fatal(err)
	}
	expected := expectations(t, "csv", "expected.ndjson")
	for name, rows := range map[string]int{"events.csv": 12, "events-semicolon-bom.csv": 4} {
		lines := read(t, sample(t, "csv", name), Config{Format: CSV, Columns: columns})
		if len(lines) != rows {
			t.Errorf("%s has %d rows; want %d", name, len(lines), rows)
		}
		for i, l := range lines {
			if l.err != nil {
				t.Fatalf("line %d: %v", l.number, l.err)
			}
			l.event.ID = ""
			checkEvent(t, i, l.event, expected[i])
		}
	}
}

// What is wrong is told with its place, and what comes after it is read.
func TestBrokenRecordsAreRefused(t *testing.T) {
	record := func(id string) string {
		return `{"eventTime":"2026-03-02T09:15:00Z","eventSource":"iam.amazonaws.com","eventName":"GetRole","eventID":"` + id + `","userIdentity":{"type":"Root","arn":"arn:aws:iam::1:root"}}`
	}
	columns := Columns{"occurred_at": {Column: "When"}, "action": {Column: "What"}, "metadata": {Column: "More", JSON: true}}
	for name, tc := range map[string]struct {
		config  Config
		history string
		want    string // of each line, its refusal or ""
	}{
		"lines": {Config{Format: "cloudtrail"}, record("1") + "\n\n{\"eventTime\n" + record("2") + "\n[1]\n",
			`line 3: event: ends before it is complete; line 5: event: is not a JSON object`},
		"items": {Config{Format: "cloudtrail"}, `{"Records":[` + record("1") + `,{"a":},` + record("2") + `,3,` + strings.Replace(record("3"), "2026-03-02T09:15:00Z", "today", 1) + `]}`,
			`item 2: event: is not JSON: invalid character '}' looking for beginning of value; item 4: event: is not a JSON object; item 5: eventTime: "today" is not a time such as 2026-11-20T14:03:22Z (RFC 3339)`},
		"no action": {Config{Format: "okta"}, `{"uuid":"1","published":"2026-03-02T09:15:00Z","actor":{"id":"u","type":"User"}}`, `line 1: eventType: is required`},
		"no time":   {Config{Format: "workos"}, `{"event":{"action":"user.signed_in","actor":{"id":"u","type":"user"}}}`, `line 1: occurred_at: is required`},
		"no audit log entry": {Config{Format: "gcp"}, `{"insertId":"1","textPayload":"started","timestamp":"2026-03-02T09:15:00Z"}`,
			`line 1: protoPayload: is required: only audit log entries are imported`},
		"another version": {Config{Format: "cloudevents"}, `{"specversion":"0.3","id":"1"}`, `line 1: specversion: "0.3" is not "1.0"`},
		"binary data":     {Config{Format: "cloudevents"}, `{"specversion":"1.0","id":"1","data_base64":"e30="}`, `line 1: data_base64: is not read: data that is JSON stands in data`},
		"no eventjson":    {Config{Format: "cloudtrail"}, "eventname,eventtime\nGetRole,2026-03-02 09:15:00.000\n", `line 2: eventName: is required`},
		"rows": {Config{Format: CSV, Columns: columns}, "When,What,More\n2026-03-02T09:15:00Z,a,\n2026-03-02T09:15:00Z,\"b\nc\",{}\n2026-03-02T09:15:00Z\nnow,d,\n2026-03-02T09:15:00Z,e,{\n2026-03-02T09:15:00Z,f\"g,\n,\"",
			`line 5: event: has 1 cells; the headings are 3; line 6: occurred_at: "now" is not a time such as 2026-11-20T14:03:22Z (RFC 3339); line 7: metadata: is not JSON: unexpected EOF; ` +
				`line 8: event: is not CSV: bare " in non-quoted-field`},
		"no such column": {Config{Format: CSV, Columns: Columns{"occurred_at": {Column: "At"}, "action": {Column: "What"}}}, "When,What\n2026-03-02T09:15:00Z,a\n",
			`line 2: occurred_at: there is no column "At"`},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, l := range read(t, tc.history, tc.config) {
				if l.err != nil {
					got = append(got, fmt.Sprintf("%s %d: %v", l.unit, l.number, l.err))
				}
			}
			if text := strings.Join(got, "; "); text != tc.want {
				t.Errorf("%s\nwant %s", text, tc.want)
			}
		})
	}
}

// What stands behind a quote that nobody closes would be refused line by line.
func TestAQuoteThatIsNotClosedEndsTheImport(t *testing.T) {
	columns := Columns{"occurred_at": {Column: "When"}, "action": {Column: "What"}}
	const first = "When,What\n2026-03-02T09:15:00Z,\"a\nb\"\n"
	words, lines := strings.Repeat("words ", maxLine/5), strings.Repeat("words\n", maxLine/5)
	for name, tc := range map[string]struct {
		history   string
		rows      int
		want      string
		isRefused bool // the last row
	}{
		"in lines":               {first + "2026-03-02T09:15:00Z,\"" + lines, 1, "read the history after line 3: the quote that begins in line 4 is not closed within 4 MiB", false},
		"in one line":            {first + "2026-03-02T09:15:00Z,\"" + words + "\n" + lines, 1, "read the history after line 3: the quote that begins in line 4 is not closed within 4 MiB", false},
		"in the headings":        {"When,\"What\n" + lines, 0, "read the headings: the quote that begins in line 1 is not closed within 4 MiB", false},
		"closed in a long line":  {first + "2026-03-02T09:15:00Z,\"a\n" + words + "\"\n2026-03-02T09:15:00Z,a\n", 3, "", false},
		"where the history ends": {first + "2026-03-02T09:15:00Z,\"" + words, 2, "", true},
	} {
		reader := newLineReader(strings.NewReader(tc.history), Config{Format: CSV, Columns: columns})
		go reader.read(t.Context())
		var rows []line
		for batch := range reader.batches {
			rows = append(rows, batch.lines...)
		}
		if got := fmt.Sprint(reader.err); got != cmp.Or(tc.want, "<nil>") || len(rows) != tc.rows {
			t.Errorf("%s: %d rows, want %d; %s", name, len(rows), tc.rows, got)
		} else if tc.rows > 0 && (rows[len(rows)-1].err != nil) != tc.isRefused {
			t.Errorf("%s: the last row is refused: %v", name, rows[len(rows)-1].err)
		}
	}
}

// Each heading was compared with all before it, which took a minute.
func TestATableMayBeWide(t *testing.T) {
	const width = 400_000
	var head, row strings.Builder
	head.WriteString("When,What")
	row.WriteString("2026-03-02T09:15:00Z,a")
	for i := range width {
		fmt.Fprintf(&head, ",%d", i)
		row.WriteString(",")
	}
	columns := Columns{"occurred_at": {Column: "When"}, "action": {Column: "What"}}
	lines := read(t, head.String()+"\n"+row.String()+"\n", Config{Format: CSV, Columns: columns})
	if len(lines) != 1 || lines[0].err != nil || lines[0].event.NativeAction != "a" {
		t.Errorf("%+v", lines)
	}
}

// Records of one time are read in the order in which they happened, whichever way the file runs.
func TestNewestFirstIsTurnedRound(t *testing.T) {
	gitHub := func(id string, ms int) string {
		return fmt.Sprintf(`{"_document_id":%q,"action":"repo.create","actor":"ada","@timestamp":%d}`, id, ms)
	}
	okta := func(id string, second int) string {
		return fmt.Sprintf(`{"uuid":%q,"eventType":"user.session.start","actor":{"id":"u","type":"User"},"published":"2026-03-02T09:15:%02dZ"}`, id, second)
	}
	cloudTrail := func(id string) string {
		return fmt.Sprintf(`{"eventTime":"2026-03-02T09:15:00Z","eventSource":"iam.amazonaws.com","eventName":"GetRole","eventID":%q,"userIdentity":{"type":"Root","arn":"r"}}`, id)
	}
	inText := func(record string) string {
		text, _ := json.Marshal(record)
		return `{"CloudTrailEvent":` + string(text) + `}`
	}
	for name, tc := range map[string]struct{ format, history, want string }{
		"newest first":                {"github", gitHub("4", 2) + "\n" + gitHub("3", 2) + "\n" + gitHub("2", 1) + "\n" + gitHub("1", 1), "3 4 1 2"},
		"one time":                    {"github", gitHub("2", 1) + "\n" + gitHub("1", 1), "1 2"},
		"oldest first":                {"github", gitHub("1", 1) + "\n" + gitHub("2", 1) + "\n" + gitHub("3", 2) + "\n" + gitHub("4", 2), "1 2 3 4"},
		"an array":                    {"okta", `[` + okta("4", 2) + `,` + okta("3", 2) + `,` + okta("2", 1) + `,` + okta("1", 1) + `]`, "3 4 1 2"},
		"one time that may be either": {"okta", okta("1", 1) + "\n" + okta("2", 1), "1 2"},
		"a file of a trail":           {"cloudtrail", `{"Records":[` + cloudTrail("1") + `,` + cloudTrail("2") + `]}`, "1 2"},
		"lookup-events":               {"cloudtrail", `{"Events":[` + inText(cloudTrail("2")) + `,` + inText(cloudTrail("1")) + `]}`, "1 2"},
	} {
		var got []string
		for _, l := range read(t, tc.history, Config{Format: tc.format}) {
			got = append(got, l.event.ID)
		}
		if text := strings.Join(got, " "); text != tc.want {
			t.Errorf("%s: %s; want %s", name, text, tc.want)
		}
	}
	var many strings.Builder
	for n := range maxTurned + 2 {
		many.WriteString(gitHub(fmt.Sprint(n), 1) + "\n")
	}
	lines := read(t, many.String(), Config{Format: "github"})
	if len(lines) != maxTurned+2 || lines[0].event.ID != "0" || lines[0].note == "" {
		t.Errorf("%d lines; the first is %q, %q", len(lines), lines[0].event.ID, lines[0].note)
	}
}

// What docs/import.md shows of each format is read.
func TestDocumentedExamplesAreRead(t *testing.T) {
	guide, err := os.ReadFile("../../docs/import.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range allFormats() {
		_, section, found := strings.Cut(string(guide), "\n`--format "+f.name+"`: ")
		_, example, _ := strings.Cut(section, "```json\n")
		example, _, _ = strings.Cut(example, "```")
		lines := read(t, example, Config{Format: f.name})
		if !found || len(lines) != 1 || lines[0].err != nil {
			t.Errorf("%s: %+v", f.name, lines)
		}
	}
	_, columns, _ := strings.Cut(string(guide), "`--map FILE`")
	_, columns, _ = strings.Cut(columns, "```json\n")
	columns, _, _ = strings.Cut(columns, "```")
	if columns, err := ReadColumns(strings.NewReader(columns)); err != nil || columns.Check() != nil {
		t.Errorf("the map of columns: %v, %v", err, columns.Check())
	}
}

// No record ends the program, and what is read fits an event.
func FuzzFormats(f *testing.F) {
	for _, format := range allFormats() {
		text, err := os.ReadFile(filepath.Join("testdata", format.name, "events.ndjson"))
		if err != nil {
			f.Fatal(err)
		}
		for record := range strings.Lines(string(text)) {
			f.Add(record)
		}
	}
	f.Fuzz(func(t *testing.T, record string) {
		for _, format := range allFormats() {
			e, err := format.read(json.RawMessage(record))
			if err == nil && (len(e.ID) > event.MaxEventID || len(e.NativeAction) > event.MaxNativeAction || len(e.Reason) > event.MaxReason ||
				len(e.EntityID) > event.MaxEntityID || len(e.Actor.ID) > event.MaxActorID || len(e.Related) > event.MaxRelated) {
				t.Errorf("%s: %+v", format.name, e)
			}
		}
	})
}
