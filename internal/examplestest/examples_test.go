// Package examplestest runs the programs in examples as a reader of the README would.
package examplestest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// run builds and runs a program in an empty folder and returns the entries it left in service.db.
func run(t *testing.T, program string) []models.Entry {
	t.Helper()
	folder := t.TempDir()
	if err := runOnce(t, build(t, program), folder); err != nil {
		t.Fatal(err)
	}
	return entriesIn(t, databasetest.Open(t, "sqlite:"+filepath.Join(folder, "service.db")))
}

// runOnce runs a program that has nothing to say.
func runOnce(t *testing.T, binary, folder string, environment ...string) error {
	command := exec.CommandContext(t.Context(), binary)
	command.Dir, command.Env = folder, append(os.Environ(), environment...)
	if out, err := command.CombinedOutput(); err != nil || len(out) > 0 {
		return fmt.Errorf("it ends with %v, and says:\n%s", err, out)
	}
	return nil
}

func entriesIn(t *testing.T, db *database.DB) (entries []models.Entry) {
	t.Helper()
	if err := db.Read.Find(&entries).Error; err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestTheFirstEventIsInTheLog(t *testing.T) { expectTheFirstEvent(t, run(t, "first-event")) }

func TestTheFirstEventOnPgxIsInTheLog(t *testing.T) {
	url := databasetest.EmptyPostgresURL(t)
	if err := runOnce(t, build(t, "pgx-first-event"), t.TempDir(), "DATABASE_URL="+url); err != nil {
		t.Fatal(err)
	}
	expectTheFirstEvent(t, entriesIn(t, databasetest.Open(t, url)))
}

// As when a service runs beside auditlogs serve.
func TestTheFirstEventIsRecordedAgainAndAgainBesideAServer(t *testing.T) {
	const programs, times = 8, 6
	binary, folder := build(t, "first-event"), t.TempDir()
	db := databasetest.Open(t, "sqlite:"+filepath.Join(folder, "service.db"))
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	server := apptest.Start(t, db)
	acme := server.Organization(t, "acme")
	admin := server.As(t, server.Member(t, "ada@example.com", accounts.RoleAdmin, acme))
	var running sync.WaitGroup
	for range programs {
		running.Go(func() {
			for range times {
				if err := runOnce(t, binary, folder); err != nil {
					t.Error(err)
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() { defer close(ended); running.Wait() }()
	saved := 0
	for done := false; !done; saved++ {
		admin.Get("/orgs/acme/settings/audit-logs").Expect(200)
		admin.Post("/orgs/acme/settings/organization", "name", fmt.Sprint("Acme ", saved)).ExpectRedirect("/orgs/acme/settings/organization")
		select {
		case <-ended:
			done = true
		default:
		}
	}
	recorded := 0
	for _, e := range entriesIn(t, db) {
		if e.Action == "service:update" {
			recorded++
		}
	}
	if recorded != programs*times {
		t.Errorf("%d entries, want %d", recorded, programs*times)
	}
}

func expectTheFirstEvent(t *testing.T, entries []models.Entry) {
	t.Helper()
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

func TestTheDocumentsShowTheFirstEvent(t *testing.T) {
	for page, path := range map[string]string{"README.md": "examples/first-event/main.go", "docs/stacks.md": "examples/pgx-first-event/main.go"} {
		program, err := os.ReadFile("../../" + path)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile("../../" + page)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "```go\n"+string(program)+"```\n") {
			t.Errorf("%s does not show %s as it is", page, path)
		}
	}
}

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

func TestTheSnippetsForEachLibraryAreTested(t *testing.T) {
	page, err := os.ReadFile("../../docs/stacks.md")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := os.ReadFile("../../internal/stacks/postgres/example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	snippets := goBlock.FindAllSubmatch(page, -1)
	for _, snippet := range snippets {
		if !bytes.HasPrefix(snippet[1], []byte("// Records the first event")) && !strings.Contains(withoutIndents(examples), withoutIndents(snippet[1])) {
			t.Errorf("no example of internal/stacks has what docs/stacks.md shows:\n%s", snippet[1])
		}
	}
	if len(snippets) < 8 {
		t.Errorf("docs/stacks.md shows %d snippets", len(snippets))
	}
}

// withoutIndents is code as it is anywhere: lines without what is left of them, and no more than one space between words.
func withoutIndents(code []byte) string {
	var lines []string
	for line := range strings.Lines(string(code)) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}
