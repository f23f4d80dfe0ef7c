package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// onBoth runs test with the address of a database that has the organization acme, of each kind.
func onBoth(t *testing.T, test func(t *testing.T, address string, db *database.DB)) {
	t.Run("sqlite", func(t *testing.T) {
		address := "sqlite:" + filepath.Join(t.TempDir(), "log.db")
		db := databasetest.Open(t, address)
		if err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		withAcme(t, db)
		test(t, address, db)
	})
	t.Run("postgres", func(t *testing.T) {
		address := databasetest.PostgresURL(t)
		db := databasetest.Open(t, address)
		withAcme(t, db)
		test(t, address, db)
	})
}

func withAcme(t *testing.T, db *database.DB) {
	t.Helper()
	if _, err := audit.EnsureOrganization(t.Context(), db.Write, audit.Organization{Slug: "acme"}); err != nil {
		t.Fatal(err)
	}
}

// imported is what an import wrote, and its error.
type imported struct {
	console, report string
	err             error
}

// importHistory imports history from standard input.
func importHistory(ctx context.Context, address string, history io.Reader, change ...func(*importCommand)) imported {
	var console, report strings.Builder
	command := importCommand{databaseFlags: databaseFlags{Database: address}, File: "-"}
	for _, c := range change {
		c(&command)
	}
	err := command.Run(ctx, streams{history, &console, &report})
	return imported{console.String(), report.String(), err}
}

// historyLine is a valid one, of a minute of today or yesterday; change replaces or, with nil, removes fields.
func historyLine(n int, change map[string]any) string {
	fields := map[string]any{
		"organization": "acme", "action": "service:update", "entity_id": fmt.Sprintf("svc-%d", n%10),
		"actor": map[string]any{"id": "u1", "name": "Ada"}, "metadata": map[string]any{"n": n},
		"occurred_at": time.Now().Truncate(24 * time.Hour).Add(-time.Duration(n) * time.Second).Format(time.RFC3339),
	}
	for name, value := range change {
		fields[name] = value
		if value == nil {
			delete(fields, name)
		}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return string(text) + "\n"
}

func historyOf(lines int) string {
	var history strings.Builder
	for n := range lines {
		change := map[string]any{}
		if n%2 == 0 {
			change["id"] = fmt.Sprint("event-", n)
		}
		history.WriteString(historyLine(n, change))
	}
	return history.String()
}

func countEntries(t *testing.T, db *database.DB) (n int64) {
	t.Helper()
	if err := db.Read.Table("audit_entries").Count(&n).Error; err != nil {
		t.Fatal(err)
	}
	return n
}

func TestImportTwiceImportsOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, address string, db *database.DB) {
		history := historyOf(2500)
		file := filepath.Join(t.TempDir(), "history.ndjson")
		if err := os.WriteFile(file, []byte(history), 0o600); err != nil {
			t.Fatal(err)
		}
		fromFile := func(i *importCommand) { i.File = file }
		if got := importHistory(t.Context(), address, nil, fromFile, func(i *importCommand) { i.DryRun = true }); got.err != nil ||
			!strings.Contains(got.console, ": 2,500 to import.") || countEntries(t, db) != 0 {
			t.Fatalf("a dry run: %+v, %d entries", got, countEntries(t, db))
		}
		got := importHistory(t.Context(), address, nil, fromFile)
		if got.err != nil || !strings.HasPrefix(got.console, "2,500 lines in ") || !strings.Contains(got.console, ": 2,500 imported.") || got.report != "" {
			t.Fatalf("%+v", got)
		}
		// The same from standard input, with other line ends.
		got = importHistory(t.Context(), address, strings.NewReader("\ufeff"+strings.ReplaceAll(history, "\n", "\r\n")))
		if got.err != nil || !strings.Contains(got.console, ": 0 imported, 2,500 there already.") {
			t.Fatalf("the second time: %+v", got)
		}
		if n := countEntries(t, db); n != 2500 {
			t.Errorf("%d entries, want 2500", n)
		}
	})
}

func TestImportNamesLineAndFieldOfWhatItRefuses(t *testing.T) {
	onBoth(t, func(t *testing.T, address string, db *database.DB) {
		old := time.Now().AddDate(0, 0, -100).Format(time.RFC3339)
		lines := []struct{ text, want string }{
			{historyLine(1, nil), ""},
			{"\n", ""},
			{historyLine(2, map[string]any{"organization": nil}), ""}, // --organization
			{historyLine(3, map[string]any{"entity_id": nil, "entity_name": "API"}), "line 4: entity_id: is required"},
			{historyLine(4, map[string]any{"occurred_at": nil}), "line 5: occurred_at: is required"},
			{historyLine(5, map[string]any{"occurred_at": "yesterday"}), `line 6: occurred_at: "yesterday" is not a time`},
			{historyLine(6, map[string]any{"occurred_at": old}), "line 7: occurred_at: is older than the organization keeps"},
			{historyLine(7, map[string]any{"organization": "nobody"}), `line 8: organization: "nobody" does not exist`},
			{historyLine(8, map[string]any{"actor": nil}), "line 9: actor: is required"},
			{historyLine(9, map[string]any{"colour": "red"}), "line 10: colour: is not a field of an event"},
			{historyLine(10, map[string]any{"id": "twice"}), ""},
			{historyLine(10, map[string]any{"id": "twice", "entity_id": "another"}), "line 12: id: was used for another event"},
			{"{\"action\": \n", "line 13: event: ends before it is complete"},
			{"[]\n", "line 14: event: is of type array"},
			{"\xff\n", "line 15: event: is not valid UTF-8"},
			{`"` + strings.Repeat("x", 5<<20) + "\"\n", "line 16: event: is longer than 4 MiB"},
			{historyLine(13, map[string]any{"action": "member:remove"}), `line 17: action: "member:remove" is for what Audit Logs itself records`},
			{strings.Replace(historyLine(14, nil), "{", `{"entity_id":"x",`, 1), "line 18: entity_id: is given twice"},
			{historyLine(15, map[string]any{"Actor": map[string]any{"name": "Eve"}}), "line 19: Actor: is not a field of an event"},
			{historyLine(11, map[string]any{"metadata": map[string]any{"text": strings.Repeat("<", 250<<10)}}), ""}, // 1.5 MB of \u003c
			{strings.TrimSuffix(historyLine(12, nil), "\n"), ""},
		}
		var history, want, refused strings.Builder
		for n, line := range lines {
			history.WriteString(line.text)
			if line.want != "" {
				want.WriteString(line.want + "\n")
				if n != 15 { // it is too long to be kept
					refused.WriteString(line.text)
				}
			}
		}
		file := filepath.Join(t.TempDir(), "refused.ndjson")
		got := importHistory(t.Context(), address, strings.NewReader(history.String()), func(i *importCommand) {
			i.Organization, i.Refused = "acme", file
		})
		if got.err == nil || got.err.Error() != "15 lines refused" || errors.As(got.err, new(unfinished)) {
			t.Errorf("the error is %v", got.err)
		}
		if !strings.Contains(got.console, "20 lines in") || !strings.Contains(got.console, ": 5 imported, 15 refused (1 of them older than the organization keeps).") {
			t.Errorf("the summary is %s", got.console)
		}
		reported, wanted := strings.Split(got.report, "\n"), strings.Split(want.String(), "\n")
		for n := range max(len(reported), len(wanted)) {
			if n >= len(reported) || n >= len(wanted) || !strings.HasPrefix(reported[n], wanted[n]) {
				t.Fatalf("it reports:\n%s\nwant:\n%s", got.report, want.String())
			}
		}
		if kept, err := os.ReadFile(file); err != nil || string(kept) != refused.String() {
			t.Errorf("the file of refused lines holds %d bytes, want %d (%v)", len(kept), refused.Len(), err)
		}
		if n := countEntries(t, db); n != 5 {
			t.Errorf("%d entries, want 5", n)
		}
	})
}

func TestImportOfAnArray(t *testing.T) {
	onBoth(t, func(t *testing.T, address string, db *database.DB) {
		event := func(n int, change map[string]any) string { return strings.TrimSpace(historyLine(n, change)) }
		indented := strings.ReplaceAll(event(2, map[string]any{"id": "two", "metadata": map[string]any{"text": `a "]}, \\ b`}}), `","`, "\",\r\n  \"")
		refused := strings.ReplaceAll(event(3, map[string]any{"entity_id": nil, "entity_name": "API"}), `","`, "\",\n\"")
		file := filepath.Join(t.TempDir(), "refused.ndjson")
		read := func(history string) imported {
			return importHistory(t.Context(), address, strings.NewReader(history), func(i *importCommand) { i.Refused = file })
		}
		history := "\ufeff\n [\n" + event(1, nil) + ",\n" + indented + " , " + refused + "," + `"` + strings.Repeat("x", 5<<20) + `",` + event(4, nil) + "\n]\n"
		got := read(history)
		if got.err == nil || got.err.Error() != "2 lines refused" || !strings.Contains(got.console, ": 3 imported, 2 refused.") ||
			got.report != "item 3: entity_id: is required beside entity_name\nitem 4: event: is longer than 4 MiB\n" {
			t.Errorf("%+v", got)
		}
		if kept, err := os.ReadFile(file); err != nil || string(kept) != strings.ReplaceAll(refused, "\n", " ")+"\n" {
			t.Errorf("the file of refused lines holds %q, %v", kept, err)
		}
		if got := read(history); !strings.Contains(got.console, ": 0 imported, 3 there already, 2 refused.") {
			t.Errorf("the second time: %+v", got)
		}
		for broken, reason := range map[string]string{
			"[" + event(1, nil):             "after item 0: event: the array ends before it is complete",
			"[" + event(1, nil) + ",":       "after item 1: event: the array ends before it is complete",
			"[" + event(1, nil) + "]\n{}\n": "after item 1: event: the array is followed by something else",
		} {
			if got := read(broken); got.err == nil || !strings.Contains(got.err.Error(), reason) {
				t.Errorf("%s: %+v", broken[max(0, len(broken)-5):], got)
			}
		}
		for _, empty := range []string{"[]", " [ ] ", "\ufeff", "\n\n"} {
			if got := read(empty); got.err != nil || !strings.HasPrefix(got.console, "0 lines") {
				t.Errorf("%q: %+v", empty, got)
			}
		}
		if n := countEntries(t, db); n != 3 {
			t.Errorf("%d entries, want 3", n)
		}
	})
}

func TestImportIntoALogThatIsOff(t *testing.T) {
	onBoth(t, func(t *testing.T, address string, db *database.DB) {
		if err := db.Write.Exec("UPDATE audit_organizations SET logging_enabled = ?", false).Error; err != nil {
			t.Fatal(err)
		}
		got := importHistory(t.Context(), address, strings.NewReader(historyOf(10)))
		if got.err != nil || !strings.Contains(got.console, ": 0 imported, 10 not stored, as audit logging is off.") {
			t.Errorf("%+v", got)
		}
	})
}

// hooked is a history that does something once it has been read up to a byte.
type hooked struct {
	history string
	at      int
	do      func()
}

func (h *hooked) Read(p []byte) (int, error) {
	if h.at == 0 {
		h.do()
	}
	if h.history == "" {
		return 0, io.EOF
	}
	most := len(p)
	if h.at > 0 {
		most = min(most, h.at)
	}
	n := copy(p[:most], h.history)
	h.history, h.at = h.history[n:], h.at-n
	return n, nil
}

func TestImportStoppedAndStartedAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, address string, db *database.DB) {
		history := historyOf(5000)
		for _, part := range []int{1, 2, 3} {
			ctx, cancel := context.WithCancel(t.Context())
			got := importHistory(ctx, address, &hooked{history, part * len(history) / 4, cancel})
			var later unfinished
			if !errors.As(got.err, &later) || !strings.HasPrefix(got.err.Error(), "stopped; start the same command again") {
				t.Fatalf("%+v", got)
			}
		}
		if n := countEntries(t, db); n >= 5000 {
			t.Errorf("stopped three times there are %d entries", n)
		}
		if got := importHistory(t.Context(), address, strings.NewReader(history)); got.err != nil {
			t.Fatal(got.err)
		}
		if n := countEntries(t, db); n != 5000 {
			t.Errorf("%d entries, want 5000", n)
		}
	})
}

func TestImportBreaksOffWithItsConnection(t *testing.T) {
	address := databasetest.PostgresURL(t)
	withAcme(t, databasetest.Open(t, address))
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(parsed.Path, "/")
	parsed.Path = "/postgres" // of the same server
	server, err := database.Open(t.Context(), parsed.String(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	refuse := func() {
		for _, statement := range []string{
			"ALTER DATABASE " + name + " ALLOW_CONNECTIONS false",
			"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" + name + "'",
		} {
			if err := server.Write.Exec(statement).Error; err != nil {
				t.Error(err)
			}
		}
	}
	history := historyOf(5000)
	got := importHistory(t.Context(), address, &hooked{history, len(history) / 2, refuse})
	if err := server.Write.Exec("ALTER DATABASE " + name + " ALLOW_CONNECTIONS true").Error; err != nil {
		t.Fatal(err)
	}
	var later unfinished
	if !errors.As(got.err, &later) || !strings.HasPrefix(got.err.Error(), "broke off: ") ||
		!strings.HasSuffix(got.err.Error(), "; start the same command again: what has been imported stays as it is") {
		t.Errorf("%+v", got)
	}
	if got := importHistory(t.Context(), address, strings.NewReader(history)); got.err != nil {
		t.Fatal(got.err)
	}
	if n := countEntries(t, databasetest.Open(t, address)); n != 5000 {
		t.Errorf("%d entries, want 5000", n)
	}
}

// A server that uses the same database goes on recording meanwhile.
func TestImportLetsOthersWrite(t *testing.T) {
	onBoth(t, func(t *testing.T, address string, db *database.DB) {
		ended := make(chan imported)
		go func() { ended <- importHistory(t.Context(), address, strings.NewReader(historyOf(6000))) }()
		others := 0
		for {
			select {
			case got := <-ended:
				if got.err != nil {
					t.Fatal(got.err)
				}
				if n := countEntries(t, db); others == 0 || n != int64(6000+others) {
					t.Errorf("%d entries, %d of which others recorded meanwhile", n, others)
				}
				return
			default:
				event := audit.Event{Organization: "acme", Action: action.ServiceCreate, EntityID: "new", Actor: audit.System("test")}
				err := db.Write.Transaction(func(tx *gorm.DB) error {
					_, err := audit.Record(t.Context(), tx, event)
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				others++
				time.Sleep(5 * time.Millisecond) // a server that is not at its limit
			}
		}
	})
}

func TestImportDoesNotHoldBackWhatTricklesIn(t *testing.T) {
	onBoth(t, func(t *testing.T, address string, db *database.DB) {
		reader, writer := io.Pipe()
		ended := make(chan imported)
		go func() { ended <- importHistory(t.Context(), address, reader) }()
		for n := range 3 {
			if _, err := io.WriteString(writer, historyLine(n, nil)); err != nil {
				t.Fatal(err)
			}
		}
		for countEntries(t, db) < 3 { // the history has not ended
			time.Sleep(5 * time.Millisecond)
		}
		_ = writer.Close()
		if got := <-ended; got.err != nil || countEntries(t, db) != 3 {
			t.Errorf("%+v, %d entries", got, countEntries(t, db))
		}
	})
}

func TestImportMakesNothing(t *testing.T) {
	folder := t.TempDir()
	missing := filepath.Join(folder, "data", "log.db")
	got := importHistory(t.Context(), "sqlite:"+missing, strings.NewReader(historyOf(1)))
	if got.err == nil || !strings.Contains(got.err.Error(), "there is no SQLite file "+missing) {
		t.Errorf("into a file that is not there: %v", got.err)
	}
	if files, err := os.ReadDir(folder); err != nil || len(files) > 0 {
		t.Errorf("it made %v (%v)", files, err)
	}
	for name, address := range map[string]string{
		"sqlite":   "sqlite:" + filepath.Join(t.TempDir(), "other.db"),
		"postgres": databasetest.EmptyPostgresURL(t),
	} {
		databasetest.Open(t, address)
		got := importHistory(t.Context(), address, strings.NewReader(historyOf(1)))
		if got.err == nil || !strings.Contains(got.err.Error(), "run auditlogs migrate first") {
			t.Errorf("into another application's database on %s: %v", name, got.err)
		}
	}
	history := filepath.Join(folder, "history.ndjson")
	if err := os.WriteFile(history, []byte(historyOf(1)), 0o600); err != nil {
		t.Fatal(err)
	}
	onBoth(t, func(t *testing.T, address string, _ *database.DB) {
		got := importHistory(t.Context(), address, nil, func(i *importCommand) { i.File, i.Refused = history, history })
		if got.err == nil || !strings.Contains(got.err.Error(), "is the file that is imported") {
			t.Errorf("refused lines into the file itself: %v", got.err)
		}
		redirected, err := os.Open(history)
		if err != nil {
			t.Fatal(err)
		}
		defer redirected.Close()
		got = importHistory(t.Context(), address, redirected, func(i *importCommand) { i.Refused = history })
		if got.err == nil || !strings.Contains(got.err.Error(), "is the file that is imported") {
			t.Errorf("refused lines into the file on standard input: %v", got.err)
		}
		if kept, err := os.ReadFile(history); err != nil || string(kept) != historyOf(1) {
			t.Errorf("the file is %q (%v)", kept, err)
		}
	})
}
