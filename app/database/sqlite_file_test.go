package database

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestAFileOfSQLiteIsClosedByTheLastWhoUsesIt(t *testing.T) {
	folder := t.TempDir()
	path, link := filepath.Join(folder, "data", "log.db"), filepath.Join(folder, "link")
	first, leaveFirst, err := openSQLiteFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	second, leaveSecond, err := openSQLiteFile(link)
	if err != nil || second != first {
		t.Fatalf("the same file is opened again: %v", err)
	}
	for range 2 { // the second time says nothing new
		if err := leaveFirst(); err != nil {
			t.Fatal(err)
		}
	}
	if err := second.Sync(); err != nil {
		t.Errorf("it is closed before the last has left: %v", err)
	}
	if err := leaveSecond(); err != nil {
		t.Fatal(err)
	}
	if err := second.Sync(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after the last has left: %v", err)
	}
}
