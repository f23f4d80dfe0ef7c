package commands

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// restoring has import put back what was exported.
func restoring(i *importCommand) { i.Restore = true }

// exporter is a server on a log of acme whose clock shows the present, and somebody who exports it.
type exporter struct {
	*apptest.Server
	admin *apptest.Client
	key   string // a program's, for recording
}

// newExporter is a server whose clock tells the real time, or a second after earliest where that is later:
// so that what its people do does not count among what occurred until then.
func newExporter(t *testing.T, db *database.DB, earliest time.Time) exporter {
	t.Helper()
	clock := apptest.NewClock()
	clock.Advance(max(time.Since(clock.Now()), earliest.Add(time.Second).Sub(clock.Now())))
	server := apptest.StartAt(t, db, clock)
	org := logtest.FindOrganization(t, server.Store, "acme")
	e := exporter{Server: server, admin: server.As(t, server.Member(t, "ada@example.com", accounts.RoleAdmin, org))}
	err := server.Store.Transaction(t.Context(), func(tx *gorm.DB) (err error) {
		_, e.key, err = accounts.CreateAPIKey(t.Context(), tx, org.ID, `Build "main"`, accounts.ScopeWrite, "ada", 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// export is the NDJSON of what occurred until then.
func (e exporter) export(end time.Time) string {
	query := url.Values{"format": {"ndjson"}, "to": {end.UTC().Format(time.RFC3339)}}
	return e.admin.Get("/orgs/acme/settings/audit-logs/export?" + query.Encode()).Expect(http.StatusOK).Body
}

// record records what a log holds: of people and automation, by a program and with its key, of the app
// itself, and imported.
func (e exporter) record(t *testing.T, address string) {
	t.Helper()
	ctx := audit.WithRequest(t.Context(), audit.Request{IP: "192.0.2.7", UserAgent: `curl "8"`, ID: "req-1"})
	at := e.Clock.Now().Add(-time.Hour)
	events := []audit.Event{
		{Action: action.ServiceUpdate, EntityID: "svc-\u202e1", EntityName: "Zoë's <b>\u2028", Actor: audit.Actor{ID: "u1", Name: "Ada", Email: "ada@example.com"},
			Metadata: json.RawMessage(`{"n":12345678901234567890.10,"b":{"a":[1,{"x":null}]},"text":"\u0000<\n"}`), URL: "https://example.com/?a=1&b=2"},
		{Action: "report:publish", EntityType: "invoice", EntityID: "r-1", Actor: audit.System("nightly")},
		{Action: action.ServiceCreate, EntityID: "svc-1", Actor: audit.Actor{ID: "u2"}, Metadata: map[string]any{"password": "x"}},
		{NativeAction: "iam:CreateRole", EntityType: "role", EntityID: "r-1", Outcome: audit.OutcomeDenied, Reason: "not <allowed>",
			Related: []audit.Resource{{Type: "policy", ID: "p-1", Name: "Admin", Role: "boundary"}, {Type: "account", ID: "1"}},
			Actor:   audit.Actor{Type: audit.ActorAgent, ID: "bot", Name: "Deploy bot", OnBehalfOf: &audit.Principal{Type: audit.ActorService, ID: "u1", Name: "Ada", Email: "ada@example.com", Session: "s-1"}}},
		{Action: action.ServiceUpdate, NativeAction: "Microsoft.Web/sites/write", EntityID: "svc-1", Actor: audit.Actor{Type: audit.ActorAgent, ID: "bot"}},
		{NativeAction: "Login failed", Outcome: audit.OutcomeFailure, Actor: audit.Anonymous()},
		{Action: "session:list", Actor: audit.Actor{Type: audit.ActorService, ID: "ci"}},
	}
	for n := range 1195 {
		events = append(events, audit.Event{Action: action.DeploymentCreate, EntityID: fmt.Sprint("d-", n), Actor: audit.System("ci")})
	}
	for n := range events {
		events[n].Organization, events[n].OccurredAt = "acme", at.Add(time.Duration(n)*time.Millisecond)
	}
	err := e.Store.Transaction(ctx, func(tx *gorm.DB) error {
		_, err := audit.RecordAll(ctx, tx, events)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	e.Client(t).Do(http.MethodPost, "/api/v1/events", strings.NewReader(`{"action":"service:delete","entity_id":"svc-1","actor":{"id":"u1"}}`),
		"Authorization", "Bearer "+e.key, "Content-Type", "application/json").Expect(http.StatusCreated)
	// Of this log, and of another one.
	history := historyLine(1, nil) + exportedLine(map[string]any{"outcome": "failure", "reason": "no", "actor_type": "service", "masked": 0})
	if got := importHistory(t.Context(), address, strings.NewReader(history)); got.err != nil {
		t.Fatal(got.err)
	}
	e.Clock.Advance(max(0, time.Since(e.Clock.Now())) + 2*time.Second) // what came in by the real time has occurred, too
}

func TestAnExportIsPutBackWhole(t *testing.T) {
	onBoth(t, func(t *testing.T, address string, db *database.DB) {
		source := newExporter(t, db, time.Time{})
		source.record(t, address)
		end := source.Clock.Now().Add(-time.Second)
		first := source.export(end)
		if n := strings.Count(first, "\n"); n != 1206 || !strings.Contains(first, `"action":"user:sign_in"`) || strings.Count(first, `"origin":"import"`) != 2 {
			t.Fatalf("the export has %d lines: %s", n, differing(first, ""))
		}
		wantAllFields(t, first)
		onBoth(t, func(t *testing.T, address string, db *database.DB) {
			got := importHistory(t.Context(), address, strings.NewReader(first), restoring, func(i *importCommand) { i.DryRun = true })
			if got.err != nil || !strings.Contains(got.console, ": 1,206 to restore.") || countEntries(t, db) != 0 {
				t.Fatalf("a dry run: %+v", got)
			}
			if got := importHistory(t.Context(), address, strings.NewReader(first), restoring); got.err != nil || !strings.Contains(got.console, ": 1,206 restored.") {
				t.Fatalf("%+v", got)
			}
			if got := importHistory(t.Context(), address, strings.NewReader(first), restoring); got.err != nil || !strings.Contains(got.console, ": 0 restored, 1,206 there already.") {
				t.Fatalf("once more: %+v", got)
			}
			target := newExporter(t, db, end)
			target.Clock.Advance(2 * time.Second)
			// All of it, but for how it came here.
			want := strings.ReplaceAll(first, `"origin":""`, `"origin":"restore"`)
			want = strings.ReplaceAll(want, `"origin":"import","original":null`, `"origin":"restore","original":{"origin":"import"}`)
			want = strings.ReplaceAll(want, `"origin":"import","original":{`, `"origin":"restore","original":{"origin":"import",`)
			second := target.export(end)
			if second != want {
				t.Fatalf("what was put back is exported as\n%s\nwant\n%s", differing(second, want), differing(want, second))
			}
			// And from then on not a byte.
			onBoth(t, func(t *testing.T, address string, db *database.DB) {
				if got := importHistory(t.Context(), address, strings.NewReader(second), restoring); got.err != nil {
					t.Fatalf("%+v", got)
				}
				last := newExporter(t, db, end)
				last.Clock.Advance(2 * time.Second)
				if third := last.export(end); third != second {
					t.Errorf("put back again it is exported as\n%s\nwant\n%s", differing(third, second), differing(second, third))
				}
			})
		})
		// Where it comes from nothing doubles, and nothing is marked anew.
		if got := importHistory(t.Context(), address, strings.NewReader(first), restoring); got.err != nil || !strings.Contains(got.console, ": 0 restored, 1,206 there already.") {
			t.Errorf("into the same log: %+v", got)
		}
		if again := source.export(end); again != first {
			t.Error("putting an export back has changed its log")
		}
	})
}

// wantAllFields looks whether each field of an export says something in one of its lines at least.
func wantAllFields(t *testing.T, export string) {
	t.Helper()
	silent := map[string]bool{}
	for name := range fieldsOf(t, export[:strings.Index(export, "\n")]) {
		silent[name] = true
	}
	for line := range strings.Lines(export) {
		for name, value := range fieldsOf(t, line) {
			if !slices.Contains([]string{`""`, "null", "{}", "0", `"success"`, `"user"`}, string(value)) {
				delete(silent, name)
			}
		}
	}
	if len(silent) > 0 {
		t.Fatalf("no line of the export says anything in %v", slices.Sorted(maps.Keys(silent)))
	}
}

func fieldsOf(t *testing.T, line string) (fields map[string]json.RawMessage) {
	t.Helper()
	if err := json.Unmarshal([]byte(line), &fields); err != nil {
		t.Fatal(err)
	}
	return fields
}

// What is imported into another log keeps all but how it was recorded, which becomes the original's.
func TestAnExportIsImportedWhole(t *testing.T) {
	onBoth(t, func(t *testing.T, address string, db *database.DB) {
		source := newExporter(t, db, time.Time{})
		source.record(t, address)
		end := source.Clock.Now().Add(-time.Second)
		var of []string // applications; the app's own entries are restored only
		for line := range strings.Lines(source.export(end)) {
			if !strings.Contains(line, `"action":"user:`) && !strings.Contains(line, `"action":"api_key:`) {
				of = append(of, line)
			}
		}
		first := strings.Join(of, "")
		wantAllFields(t, first)
		onBoth(t, func(t *testing.T, address string, db *database.DB) {
			if got := importHistory(t.Context(), address, strings.NewReader(first)); got.err != nil {
				t.Fatalf("%+v", got)
			}
			target := newExporter(t, db, end)
			target.Clock.Advance(2 * time.Second)
			lines := slices.Collect(strings.Lines(target.export(end)))
			if len(lines) != len(of) {
				t.Fatalf("%d entries, want %d", len(lines), len(of))
			}
			for n, line := range lines {
				got, want := fieldsOf(t, line), fieldsOf(t, of[n])
				original := `{"recorded_at":` + string(want["recorded_at"])
				if id := string(want["api_key_id"]); id != `""` {
					original += `,"api_key":{"id":` + id + `,"name":` + string(want["api_key_name"]) + `}`
				}
				if string(want["origin"]) == `"import"` {
					original = `{"origin":"import",` + original[1:]
				}
				original += "}"
				if known := string(want["original"]); known != "null" {
					original = known
				}
				if string(got["origin"]) != `"import"` || string(got["original"]) != original || string(got["api_key_id"]) != `""` {
					t.Fatalf("line %d is\n%swant the original %s", n+1, line, original)
				}
				for name := range want {
					if slices.Contains([]string{"recorded_at", "api_key_id", "api_key_name", "origin", "original"}, name) {
						continue
					}
					if string(got[name]) != string(want[name]) {
						t.Fatalf("line %d: %s is %s, want %s", n+1, name, got[name], want[name])
					}
				}
			}
		})
	})
}

// differing are the first lines of a that b does not have.
func differing(a, b string) string {
	have := map[string]bool{}
	for line := range strings.Lines(b) {
		have[line] = true
	}
	lines := slices.DeleteFunc(slices.Collect(strings.Lines(a)), func(line string) bool { return have[line] })
	return strings.Join(lines[:min(len(lines), 3)], "")
}

// exportedLine is a line of an export, of an entry of an hour ago; change replaces or, with nil, removes fields.
func exportedLine(change map[string]any) string {
	at := time.Now().Add(-time.Hour).Truncate(time.Microsecond)
	fields := map[string]any{
		"id": models.NewEntryID(models.MicrosOf(at)).String(), "occurred_at": at.UTC().Format(time.RFC3339Nano),
		"recorded_at": "2020-01-02T03:04:05.000006Z", "action": "service:update", "entity_type": "service", "entity_id": "svc-1",
		"entity_name": "", "actor_id": "u1", "actor_name": "Ada", "actor_email": "", "source": "", "ip": "192.0.2.7", "user_agent": "curl",
		"request_id": "req-1", "url": "", "metadata": map[string]any{"n": 1}, "api_key_id": "key_1", "api_key_name": "Build", "organization": "acme",
		"origin": "", "original": nil,
	}
	for name, value := range change {
		if fields[name] = value; value == nil {
			delete(fields, name)
		}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return string(text) + "\n"
}

func TestWhatIsNoExportIsNotPutBack(t *testing.T) {
	onBoth(t, func(t *testing.T, address string, db *database.DB) {
		old := time.Now().AddDate(0, 0, -100).Truncate(time.Microsecond)
		whole := exportedLine(nil)
		lines := []struct{ text, want string }{
			{exportedLine(nil), ""},
			{historyLine(1, nil), "event: is no line of an export: actor_id is missing"},
			{exportedLine(map[string]any{"recorded_at": nil}), "recorded_at: is required"},
			{exportedLine(map[string]any{"id": models.NewEntryID(models.MicrosOf(old)).String()}), "id: is not the ID of an entry that occurred then"},
			{exportedLine(map[string]any{"id": "4711"}), "id: is not the ID of an entry that occurred then"},
			{exportedLine(map[string]any{"occurred_at": "today"}), `occurred_at: "today" is not a time`},
			{exportedLine(map[string]any{"occurred_at": old.UTC().Format(time.RFC3339Nano), "id": models.NewEntryID(models.MicrosOf(old)).String()}),
				"occurred_at: is older than the organization keeps"},
			{exportedLine(map[string]any{"colour": "red"}), "colour: is not a field of an exported entry"},
			{exportedLine(map[string]any{"Action": "service:update"}), "Action: is not a field of an exported entry"},
			{strings.Replace(whole, "{", `{"entity_id":"svc-2",`, 1), "entity_id: is there twice"},
			{exportedLine(map[string]any{"entity_id": 7}), "entity_id: is not a text"},
			{exportedLine(map[string]any{"action": "Update"}), `action: "Update" is not entity:verb`},
			{exportedLine(map[string]any{"actor_id": "system"}), `actor_id: "system" is reserved`},
			{exportedLine(map[string]any{"source": "ci"}), `source: goes with the actor "system" only`},
			{exportedLine(map[string]any{"entity_id": strings.Repeat("x", 513)}), "entity_id: has 513 bytes"},
			{exportedLine(map[string]any{"ip": "\x00"}), "ip: contains a control character"},
			{exportedLine(map[string]any{"metadata": []int{1}}), "metadata: is not a JSON object"},
			{exportedLine(map[string]any{"metadata": map[string]any{"text": strings.Repeat("x", 257<<10)}}), "metadata: has"},
			{exportedLine(map[string]any{"origin": "here"}), "origin: is none of"},
			{exportedLine(map[string]any{"origin": "import", "original": map[string]any{"color": "red"}}), "original: is not what an export says"},
			{exportedLine(map[string]any{"original": map[string]any{"recorded_at": "x"}}), "original: goes with an origin only"},
			{exportedLine(map[string]any{"organization": "nobody"}), `organization: "nobody" does not exist`},
			{exportedLine(map[string]any{"organization": nil}), ""}, // --organization
			{whole, ""},
			{strings.Replace(whole, `"svc-1"`, `"svc-9"`, 1), "id: was used for another event"},
			{"[]\n", "event: is not a JSON object"},
			{whole[:40] + "\n", "event: ends before it is complete"},
			{"\xff\n", "event: is not valid UTF-8"},
			// An earlier version took it.
			{exportedLine(map[string]any{"url": "https://user:pass@example.com/", "entity_id": " x "}), ""},
		}
		var history strings.Builder
		var want []string
		for n, line := range lines {
			history.WriteString(line.text)
			if line.want != "" {
				want = append(want, fmt.Sprintf("line %d: %s", n+1, line.want))
			}
		}
		got := importHistory(t.Context(), address, strings.NewReader(history.String()), restoring, func(i *importCommand) { i.Organization = "acme" })
		if got.err == nil || got.err.Error() != fmt.Sprintf("%d lines refused", len(want)) {
			t.Errorf("the error is %v", got.err)
		}
		reported := strings.Split(strings.TrimSuffix(got.report, "\n"), "\n")
		slices.SortFunc(reported, func(a, b string) int { return lineNumber(t, a) - lineNumber(t, b) })
		for n := range max(len(reported), len(want)) {
			if n >= len(reported) || n >= len(want) || !strings.HasPrefix(reported[n], want[n]) {
				t.Fatalf("it reports:\n%s\nwant:\n%s", got.report, strings.Join(want, "\n"))
			}
		}
		if n := countEntries(t, db); n != 4 {
			t.Errorf("%d entries, want 4", n)
		}
	})
}

// An export is of one organization: where that is missing, one line says so.
func TestAnExportIsNotPutBackBeforeItsOrganizationIsThere(t *testing.T) {
	onBoth(t, func(t *testing.T, address string, db *database.DB) {
		history := strings.Repeat(exportedLine(map[string]any{"organization": "nobody"}), 3)
		got := importHistory(t.Context(), address, strings.NewReader(history), restoring)
		if got.err == nil || got.err.Error() != `organization: "nobody" does not exist: create the organization first, under the slug that the file names` {
			t.Errorf("the error is %v", got.err)
		}
		if got.report != "" || got.console != "" || errors.As(got.err, new(unfinished)) {
			t.Errorf("it goes on: %+v", got)
		}
	})
}

func lineNumber(t *testing.T, report string) (n int) {
	t.Helper()
	if _, err := fmt.Sscanf(report, "line %d:", &n); err != nil {
		t.Fatalf("%q: %v", report, err)
	}
	return n
}

// What audit logging is set to is about what happens from now on.
func TestAnExportIsPutBackAlsoWhileLoggingIsOff(t *testing.T) {
	onBoth(t, func(t *testing.T, address string, db *database.DB) {
		if err := db.Write.Exec("UPDATE audit_organizations SET logging_enabled = ?", false).Error; err != nil {
			t.Fatal(err)
		}
		got := importHistory(t.Context(), address, strings.NewReader(exportedLine(nil)), restoring)
		if got.err != nil || countEntries(t, db) != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestAnExportCanBeImported(t *testing.T) {
	onBoth(t, func(t *testing.T, address string, db *database.DB) {
		began := models.MicrosOf(time.Now())
		plain := exportedLine(nil)
		imported := exportedLine(map[string]any{"entity_id": "svc-2", "origin": "import", "original": map[string]any{"recorded_at": "2019-01-01T00:00:00.000000Z"}})
		bySystem := exportedLine(map[string]any{"entity_id": "svc-3", "actor_id": "system", "actor_name": "system", "source": "ci", "api_key_id": "", "api_key_name": "", "metadata": map[string]any{}})
		event := historyLine(1, nil)
		file := plain + imported + bySystem + event
		if got := importHistory(t.Context(), address, strings.NewReader("\ufeff"+file)); got.err != nil || !strings.Contains(got.console, ": 4 imported.") {
			t.Fatalf("%+v", got)
		}
		if got := importHistory(t.Context(), address, strings.NewReader(file)); got.err != nil || !strings.Contains(got.console, ": 0 imported, 4 there already.") {
			t.Fatalf("again: %+v", got)
		}
		// What an app records itself is put back, and not imported as if this one had.
		own := exportedLine(map[string]any{"action": "member:remove", "entity_type": "member", "origin": ""})
		got := importHistory(t.Context(), address, strings.NewReader(own))
		if got.err == nil || !strings.HasPrefix(got.report, "line 1: action: ") {
			t.Errorf("an own action of the app: %+v", got)
		}
		var entries []models.Entry
		if err := db.Read.Order("entity_id, id").Find(&entries).Error; err != nil {
			t.Fatal(err)
		}
		originals := map[string]string{
			"svc-1": `{"recorded_at":"2020-01-02T03:04:05.000006Z","api_key":{"id":"key_1","name":"Build"}}`,
			"svc-2": `{"recorded_at":"2019-01-01T00:00:00.000000Z"}`,
			"svc-3": `{"recorded_at":"2020-01-02T03:04:05.000006Z"}`,
		}
		if len(entries) != 4 {
			t.Fatalf("%d entries", len(entries))
		}
		for _, e := range entries {
			var line struct{ ID string }
			fromExport := e.RequestID == "req-1"
			if fromExport {
				text := map[string]string{"svc-1": plain, "svc-2": imported, "svc-3": bySystem}[e.EntityID]
				if err := json.Unmarshal([]byte(text), &line); err != nil || line.ID != e.ID.String() {
					t.Errorf("%s has the ID %s, in the file %s", e.EntityID, e.ID, line.ID)
				}
				if e.Original != originals[e.EntityID] || e.IP != "192.0.2.7" || e.UserAgent != "curl" {
					t.Errorf("%s is %+v", e.EntityID, e)
				}
			}
			if e.Origin != models.OriginImport || e.APIKeyID != "" || e.APIKeyName != "" || e.RecordedAt < began || !fromExport && e.Original != "" {
				t.Errorf("%s is %+v", e.EntityID, e)
			}
			if system := e.EntityID == "svc-3"; system != e.BySystem() || system != (e.Source == "ci") {
				t.Errorf("%s is of %s, source %q", e.EntityID, e.ActorID, e.Source)
			}
		}
	})
}
