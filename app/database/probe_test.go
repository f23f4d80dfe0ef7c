package database

import (
	"os"
	"path/filepath"
	"testing"
)

// Whoever may write beside the database cannot have the server write elsewhere.
func TestAProbeFollowsNoLink(t *testing.T) {
	folder := t.TempDir()
	path, elsewhere := filepath.Join(folder, "log.db"), filepath.Join(folder, "elsewhere")
	if err := os.WriteFile(elsewhere, []byte("of somebody"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, path+"-probe"); err != nil {
		t.Fatal(err)
	}
	if err := (sqlitePlace{path: path}).probeRoom(); err != nil {
		t.Error(err)
	}
	if content, err := os.ReadFile(elsewhere); err != nil || string(content) != "of somebody" {
		t.Errorf("the file that a link led to: %d bytes, %v", len(content), err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
}
