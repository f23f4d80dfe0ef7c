package examplestest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

// build builds a program of the examples, which are a module of their own.
func build(t *testing.T, program string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "program")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-C", "../../examples", "-o", binary, "./"+program).CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", program, err, out)
	}
	return binary
}

// service is a program that listens.
type service struct {
	t         *testing.T
	address   string
	db        *database.DB
	interrupt func()
}

// start runs a service on the database that url names, until the test ends.
func start(t *testing.T, binary, url string) *service {
	t.Helper()
	command := exec.Command(binary, "-addr", "127.0.0.1:0", "-database", strings.TrimPrefix(url, "sqlite:"))
	command.Stderr = t.Output()
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	interrupt := func() {
		if err := command.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() {
		interrupt()
		if err := command.Wait(); err != nil {
			t.Errorf("interrupted it ends with %v", err)
		}
	})
	first, err := bufio.NewReader(stdout).ReadString('\n')
	address, found := strings.CutPrefix(first, "Listening on ")
	if err != nil || !found {
		t.Fatalf("it says %q (%v)", first, err)
	}
	return &service{t, strings.TrimSpace(address), databasetest.Open(t, url), interrupt}
}

// ask sends a request as ada and answers the ID of the service it is about.
func (s *service) ask(method, path, body string, status int) (id string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.address+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.SetBasicAuth("ada", "")
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "examples")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if answer.StatusCode != status {
		s.t.Fatalf("%s %s answers %d: %s", method, path, answer.StatusCode, content)
	}
	var found struct{ ID string }
	_ = json.Unmarshal(content, &found) // not every answer has one
	return found.ID
}

func (s *service) entries() []models.Entry {
	s.t.Helper()
	var entries []models.Entry
	if err := s.db.Read.Order("id").Find(&entries).Error; err != nil {
		s.t.Fatal(err)
	}
	return entries
}

func (s *service) count(table string) (n int64) {
	s.t.Helper()
	if err := s.db.Read.Table(table).Count(&n).Error; err != nil {
		s.t.Fatal(err)
	}
	return n
}

func TestServicesRecordTheirChanges(t *testing.T) {
	for _, program := range []string{"nethttp-service", "fiber-service"} {
		binary := build(t, program)
		for kind, url := range map[string]string{
			"sqlite":   "sqlite:" + filepath.Join(t.TempDir(), "service.db"),
			"postgres": databasetest.EmptyPostgresURL(t),
		} {
			t.Run(program+" on "+kind, func(t *testing.T) { testService(t, start(t, binary, url)) })
		}
		t.Run(program+" interrupted", func(t *testing.T) {
			testInterrupt(t, start(t, binary, "sqlite:"+filepath.Join(t.TempDir(), "service.db")))
		})
	}
}

// testInterrupt interrupts a service while a request is under way.
func testInterrupt(t *testing.T, s *service) {
	address := strings.TrimPrefix(s.address, "http://")
	client, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	const begun, rest = `{"name": "checkout", `, `"replicas": 2}`
	_, _ = fmt.Fprintf(client, "POST /services HTTP/1.1\r\nHost: %s\r\nAuthorization: Basic YWRhOg==\r\n"+
		"Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", address, len(begun+rest))
	answers := bufio.NewReader(client)
	if answer, err := http.ReadResponse(answers, nil); err != nil || answer.StatusCode != http.StatusContinue {
		t.Fatalf("the service does not wait for the body: %v, %v", answer, err)
	}
	_, _ = io.WriteString(client, begun)
	s.interrupt()
	for { // until it lets nobody in any more
		another, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		another.Close()
	}
	_, _ = io.WriteString(client, rest)
	answer, err := http.ReadResponse(answers, nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("the request under way is answered %v, %v", answer, err)
	}
	if services, entries := s.count("services"), s.count("audit_entries"); services != 1 || entries != 1 {
		t.Errorf("%d services and %d entries, want one of each", services, entries)
	}
}

func testService(t *testing.T, s *service) {
	id := s.ask("POST", "/services", `{"name": "checkout", "replicas": 2, "token": "hunter2"}`, 200)
	s.ask("PATCH", "/services/"+id, `{"replicas": 4, "token": "hunter3"}`, 200)
	s.ask("POST", "/services", `{"name": "billing", "replicas": 1}`, 200)

	// What fails leaves no entry, and what cannot be recorded is not done.
	for _, bad := range []struct{ method, path, body string }{
		{"POST", "/services", `{"name": "checkout", "replicas": 1}`},                            // the name is taken
		{"PATCH", "/services/" + id, `{"replicas": 50}`},                                        // too many
		{"PATCH", "/services/" + id, `{"name": "` + strings.Repeat("long", 100) + `"}`},         // no entry can have this name
		{"POST", "/services", `{"name": "` + strings.Repeat("long", 100) + `", "replicas": 1}`}, // nor here
	} {
		s.ask(bad.method, bad.path, bad.body, 422)
	}
	if services, entries := s.count("services"), s.count("audit_entries"); services != 2 || entries != 3 {
		t.Fatalf("%d services and %d entries, want 2 and 3", services, entries)
	}

	s.ask("DELETE", "/services/"+id, "", 200)
	s.ask("DELETE", "/services/"+id, "", 404)
	entries := s.entries()
	if len(entries) != 4 || s.count("services") != 1 {
		t.Fatalf("%d entries and %d services, want 4 and 1", len(entries), s.count("services"))
	}
	for i, want := range []struct{ action, metadata string }{
		{"service:create", `{"changes":{"name":{"after":"checkout"},"replicas":{"after":2},"token":{"after":"[masked]"}}}`},
		{"service:update", `{"changes":{"replicas":{"after":4,"before":2},"token":{"after":"[masked]","before":"[masked]"}}}`},
		{"service:create", ""},
		{"service:delete", `{"changes":{"name":{"before":"checkout"},"replicas":{"before":4},"token":{"before":"[masked]"}}}`},
	} {
		e := entries[i]
		if e.Action != want.action || e.ActorID != "ada" || e.IP != "127.0.0.1" || e.UserAgent != "examples" || e.RequestID == "" {
			t.Errorf("entry %d is %+v", i, e)
		}
		if want.metadata == "" {
			continue
		}
		if e.EntityID != id || e.EntityName != "checkout" || e.Metadata != want.metadata {
			t.Errorf("entry %d is %+v, want metadata %s", i, e, want.metadata)
		}
	}
}
