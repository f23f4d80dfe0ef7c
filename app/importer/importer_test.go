package importer_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/importer"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// reports passes on each line that is reported.
type reports chan string

func (r reports) Write(text []byte) (int, error) {
	r <- string(text)
	return len(text), nil
}

func TestABusyFileIsWaitedFor(t *testing.T) {
	address := "sqlite:" + filepath.Join(t.TempDir(), "log.db")
	server, own := databasetest.Open(t, address), databasetest.Open(t, address)
	if err := server.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.EnsureOrganization(t.Context(), server.Write, audit.Organization{Slug: "acme"}); err != nil {
		t.Fatal(err)
	}
	if err := own.Write.Exec("PRAGMA busy_timeout = 20").Error; err != nil { // patience of its one connection
		t.Fatal(err)
	}
	store, err := own.Store(nil)
	if err != nil {
		t.Fatal(err)
	}
	writing := server.Write.Begin()
	report, ended := make(reports), make(chan importer.Summary)
	go func() {
		defer close(ended)
		history := `{"action":"service:update","entity_id":"svc-1","actor":{"id":"u1"},"id":"1","occurred_at":"2000-01-01T00:00:00Z"}`
		config := importer.Config{Organization: "acme", Report: report}
		summary, err := importer.Run(t.Context(), store, strings.NewReader(history), config)
		if err != nil {
			t.Error(err)
		}
		ended <- summary
	}()
	if text := <-report; text != "the database is busy; waiting\n" {
		t.Errorf("it says %q", text)
	}
	go func() { writing.Rollback() }()
	for {
		select {
		case text := <-report:
			if !strings.HasPrefix(text, "line 1: occurred_at: is older") && !strings.HasPrefix(text, "the database is busy") {
				t.Errorf("it says %q", text)
			}
		case summary := <-ended:
			if summary.Lines != 1 || summary.Expired != 1 {
				t.Errorf("%+v", summary)
			}
			return
		}
	}
}
