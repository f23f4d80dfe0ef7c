//go:build unix

package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// logServer is the program auditlogs, serving a database at an address that stays the same over
// restarts.
type logServer struct {
	*process
	url, databaseURL string
	ready            chan struct{}
}

// binary is the program, built once.
var binary = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "auditlogs-soak")
	if err != nil {
		return "", err
	}
	atExit = append(atExit, func() { _ = os.RemoveAll(folder) })
	path := filepath.Join(folder, "auditlogs")
	output, err := exec.Command("go", "build", "-o", path, "github.com/auditlogs/auditlogs").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, output)
	}
	return path, nil
})

func serve(t *testing.T, databaseURL string) *logServer {
	t.Helper()
	s := &logServer{url: "http://" + freeAddress(t), databaseURL: databaseURL}
	s.start(t)
	s.awaitReady(t)
	return s
}

// start starts the server; awaitReady waits until it listens.
func (s *logServer) start(t *testing.T) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatalf("build auditlogs: %v", err)
	}
	command := exec.Command(path, "serve", "--addr", strings.TrimPrefix(s.url, "http://"))
	command.Env = append(os.Environ(), "AUDITLOGS_DATABASE="+s.databaseURL, "AUDITLOGS_API_RATE_LIMIT=0")
	ready := make(chan struct{})
	s.ready = ready
	s.process = start(t, "auditlogs serve", command, func(line string) {
		if strings.HasPrefix(line, "Audit Logs is at ") {
			close(ready)
		}
	})
}

func (s *logServer) awaitReady(t *testing.T) {
	t.Helper()
	select {
	case <-s.ready:
	case <-s.exited:
		s.mustRun(t)
	case <-time.After(patience):
		t.Fatalf("the server does not start\n%s", s.stderr)
	}
}

// restart kills the server and starts it again, now and then twice.
func (s *logServer) restart(t *testing.T, chance *rand.Rand) {
	t.Helper()
	s.kill(t)
	s.start(t)
	if chance.IntN(4) == 0 { // once more, while it starts
		pause(chance, 100*time.Millisecond)
		s.kill(t)
		s.start(t)
	}
	s.awaitReady(t)
}

// shutDown ends the server in order.
func (s *logServer) shutDown(t *testing.T) {
	t.Helper()
	if err := s.command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	s.process.await(t)
	if s.err != nil {
		t.Errorf("the server ends with %v\n%s", s.err, s.stderr)
	}
}

// awaitHealth returns when the server answers a load balancer with that status.
func (s *logServer) awaitHealth(t *testing.T, status int) {
	t.Helper()
	var last error
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		s.mustRun(t)
		answer, err := http.Get(s.url + "/healthz")
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == status {
				return
			}
			err = errors.New(answer.Status)
		}
		last = err
	}
	t.Fatalf("/healthz answers %v, want %d\n%s", last, status, s.stderr)
}

// writeKeys makes API keys that may send events.
func writeKeys(t *testing.T, to target, count int) []string {
	t.Helper()
	keys := make([]string, count)
	within(t, to.databaseURL, func(db *database.DB) error {
		ctx := context.Background()
		return db.Write.Transaction(func(tx *gorm.DB) error {
			org, err := models.OrganizationByRef(ctx, tx, models.OrganizationRef{Slug: to.organization})
			for i := range keys {
				if err == nil {
					_, keys[i], err = accounts.CreateAPIKey(ctx, tx, org.ID, fmt.Sprintf("Soak %d", i), accounts.ScopeWrite, "usr_soak", 0)
				}
			}
			return err
		})
	})
	return keys
}

// freeAddress is one on which nobody listens. It is below those that systems hand out by
// themselves: nobody takes it while the server is away.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(10000)))
		if err == nil {
			_ = listener.Close()
			return listener.Addr().String()
		}
	}
	t.Fatal("there is no free port")
	return ""
}
