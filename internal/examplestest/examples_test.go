// Package examplestest runs the programs in examples as a reader of the README would.
package examplestest

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/models"
)

// run builds and runs a program in an empty folder and returns the entries it left.
func run(t *testing.T, program string) []models.Entry {
	t.Helper()
	folder := t.TempDir()
	command := exec.CommandContext(t.Context(), build(t, program))
	command.Dir = folder
	if out, err := command.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("run %s: %v, and it says:\n%s", program, err, out)
	}
	db, err := database.Open(t.Context(), "sqlite:"+filepath.Join(folder, "service.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var entries []models.Entry
	if err := db.Read.Find(&entries).Error; err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestTheFirstEventIsInTheLog(t *testing.T) {
	entries := run(t, "first-event")
	if len(entries) != 1 {
		t.Fatalf("%d entries, want 1", len(entries))
	}
	entry := entries[0]
	if entry.Action != "service:update" || entry.EntityType != "service" || entry.EntityID != "svc-42" || entry.ActorName != "Ada Lovelace" {
		t.Errorf("the entry is %+v", entry)
	}
	if want := `{"changes":{"replicas":{"after":4,"before":2}}}`; entry.Metadata != want {
		t.Errorf("metadata is %s, want %s", entry.Metadata, want)
	}
}

func TestWhatIsRolledBackIsNotInTheLog(t *testing.T) {
	if entries := run(t, "rolled-back"); len(entries) != 0 {
		t.Errorf("%d entries, want none: %+v", len(entries), entries)
	}
}

func TestTheReadmeShowsTheFirstEvent(t *testing.T) {
	program, err := os.ReadFile("../../examples/first-event/main.go")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```go\n"+string(program)+"```\n") {
		t.Error("README.md does not show examples/first-event/main.go as it is")
	}
}
