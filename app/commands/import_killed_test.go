package commands

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/database"
)

// asProgram in the environment makes of the test's binary the program itself.
const asProgram = "AUDITLOGS_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		Main()
	}
	os.Exit(m.Run())
}

// An import that is killed, as often as it likes, and then comes to its end has stored every line once.
func TestImportSurvivesSIGKILL(t *testing.T) {
	const lines = 5000
	var history bytes.Buffer
	today := time.Now().UTC().Truncate(24 * time.Hour)
	for n := range lines {
		fmt.Fprintf(&history, `{"action":"service:update","entity_id":"svc-%d","actor":{"id":"u1"},"occurred_at":%q}`+"\n",
			n%9, today.Add(-time.Duration(n)*time.Second).Format(time.RFC3339))
	}
	file := filepath.Join(t.TempDir(), "history.ndjson")
	if err := os.WriteFile(file, history.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	onBoth(t, func(t *testing.T, url string, db *database.DB) {
		stored := func() (n int) {
			if err := db.Read.Raw("SELECT COUNT(*) FROM audit_entries").Scan(&n).Error; err != nil {
				t.Fatal(err)
			}
			return n
		}
		for before := 0; before < lines*3/4; before = stored() {
			program := exec.CommandContext(t.Context(), os.Args[0], "import", file, "--database", url, "--organization", "acme")
			program.Env = append(os.Environ(), asProgram+"=1")
			if err := program.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- program.Wait() }()
			running := true
			for running && stored() == before {
				select {
				case err := <-ended:
					if running = false; stored() == before {
						t.Fatalf("it ended by itself, with %v", err)
					}
				case <-time.After(time.Millisecond):
				}
			}
			if running {
				_ = program.Process.Kill() // or it has ended by itself
				<-ended
			}
		}
		already := stored()
		code, stdout, stderr := execute(t, "import", file, "--database", url, "--organization", "acme")
		if code != 0 || stored() != lines || !strings.HasPrefix(stdout, "5,000 lines in ") {
			t.Errorf("exit code %d, %d entries, %d of them before the last start: %s%s", code, stored(), already, stdout, stderr)
		}
	})
}

func TestImportAnswersWithItsExitCode(t *testing.T) {
	onBoth(t, func(t *testing.T, url string, _ *database.DB) {
		file := filepath.Join(t.TempDir(), "history.ndjson")
		if err := os.WriteFile(file, []byte(`{"action":"service:update"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		code, stdout, stderr := execute(t, "import", file, "--database", url, "--organization", "acme")
		if code != 1 || !strings.Contains(stdout, ": 0 imported, 1 refused.") ||
			stderr != "line 1: occurred_at: is required\nauditlogs: 1 line refused\n" {
			t.Errorf("exit code %d: %s%s", code, stdout, stderr)
		}
		code, stdout, stderr = execute(t, "import", file, "--restore", "--database", url, "--organization", "acme")
		if code != 1 || !strings.Contains(stdout, ": 0 restored, 1 refused.") ||
			stderr != "line 1: event: is no line of an export: actor_id is missing\nauditlogs: 1 line refused\n" {
			t.Errorf("restoring: exit code %d: %s%s", code, stdout, stderr)
		}
		code, _, stderr = execute(t, "import", filepath.Join(t.TempDir(), "nowhere.ndjson"), "--database", url)
		if code != 1 || !strings.Contains(stderr, "no such file") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("exit code %d: %s", code, stderr)
		}
	})
}
