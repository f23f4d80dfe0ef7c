//go:build linux

package deploytest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The unit is checked as systemd reads it.
func TestTheUnit(t *testing.T) {
	unit := filepath.Join(t.TempDir(), "auditlogs.service")
	text := read(t, "deploy/auditlogs.service")
	if !strings.Contains(text, "\nExecStart=/usr/local/bin/auditlogs serve\n") {
		t.Error("the unit starts something else")
	}
	if err := os.WriteFile(unit, []byte(strings.Replace(text, "/usr/local/bin/auditlogs", "/bin/true", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
	if err != nil || strings.Contains(string(output), "auditlogs.service") {
		t.Errorf("systemd-analyze: %v\n%s", err, output)
	}
}
