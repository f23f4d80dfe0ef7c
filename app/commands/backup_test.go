package commands

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

func TestBackupAndRestore(t *testing.T) {
	onBoth(t, func(t *testing.T, url string, _ *database.DB) {
		file := filepath.Join(t.TempDir(), "backup")
		code, stdout, stderr := execute(t, "backup", file, "--database", url)
		if code != 0 || stderr != "" || !regexp.MustCompile(`^0 entries, .+ are in `+regexp.QuoteMeta(file)+` \(\d+\.\d MB\)`).MatchString(stdout) {
			t.Errorf("exit code %d: %q, %q", code, stdout, stderr)
		}
		if code, _, stderr = execute(t, "backup", file, "--database", url); code != 1 || stderr != "auditlogs: backup: "+file+": file already exists\n" {
			t.Errorf("over a file: exit code %d: %q", code, stderr)
		}
		to := "sqlite:" + filepath.Join(t.TempDir(), "new.db")
		if !strings.HasPrefix(url, "sqlite:") {
			to = databasetest.EmptyPostgresURL(t)
		}
		if code, stdout, stderr = execute(t, "restore", file, "--database", to); code != 0 || stderr != "" || !strings.HasPrefix(stdout, "0 entries, and all that belongs to them, are restored") {
			t.Errorf("restoring: exit code %d: %q, %q", code, stdout, stderr)
		}
		if code, _, stderr = execute(t, "restore", file, "--database", to); code != 1 || strings.Count(stderr, "\n") != 1 {
			t.Errorf("over a log: exit code %d: %q", code, stderr)
		}
	})
}
