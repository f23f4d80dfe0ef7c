package recordingtest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// The examples of package audit are shown from its own folder, and run from here: their module has no driver, which
// would be a requirement of every importer.
func TestTheExamplesOfPackageAuditWork(t *testing.T) {
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(here, "testdata/examples/example_test.go"): filepath.Join(here, "../../app/audit/example_test.go"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "go", "test", "-overlay", file, "./testdata/examples")
	command.Env = append(os.Environ(), "EXAMPLES_DATABASE_URL="+databasetest.EmptyPostgresURL(t))
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
