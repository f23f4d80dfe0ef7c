//go:build unix

// Package hostile treats the program as strangers on the internet do, and some people who are signed in: with
// requests that are wrong in every way, that never end, that unpack to gigabytes, and more of them than there is
// room for. The program is another process, so that its memory is its own.
package hostile

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// maxMemory is how much of the machine's memory the program may ever have, in bytes.
const maxMemory = 256 << 20

// patience is how long anything may take before a test is given up.
const patience = 2 * time.Minute

// binary is the program, built once.
var binary = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "auditlogs-hostile")
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "auditlogs")
	output, err := exec.Command("go", "build", "-o", path, "github.com/auditlogs/auditlogs").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, output)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// target is the program, serving the log of acme on SQLite, with what its people have to show.
type target struct {
	t       *testing.T
	address string // host and port
	process *exec.Cmd
	log     output

	admin, member  string // cookies
	keeper         string // those of an admin whom no request is about
	read, write    string // keys
	connection     string // ID of the one to GitHub
	memberID, slug string
	routes         []route
}

type route struct{ method, path string }

// serve starts the program with acme in its database, and ends it with the test.
func serve(t *testing.T) *target {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatalf("build auditlogs: %v", err)
	}
	file := databasetest.SQLiteFile(t)
	s := &target{t: t, slug: "acme", log: output(filepath.Join(t.TempDir(), "log"))}
	s.fill(file)

	listener, err := net.Listen("tcp", "127.0.0.1:0") // on Linux clients have all of 127.0.0.0/8
	if err != nil {
		t.Fatal(err)
	}
	s.address = listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	s.process = exec.Command(path, "serve", "--addr", s.address, "--database", "sqlite:"+file)
	log, err := os.Create(string(s.log))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.process.Process.Kill() // unless it has ended
		_ = s.process.Wait()
	})
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		answer, err := http.Get("http://" + s.address + "/healthz")
		if err == nil {
			_ = answer.Body.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the program does not start: %v\n%s", err, s.log)
		}
	}
	s.admin, s.member, s.keeper = s.signIn("admin@example.com"), s.signIn("member@example.com"), s.signIn("keeper@example.com")
	page := s.mustDo(http.MethodPost, "/orgs/acme/settings/integrations/github", "", "Cookie", s.admin, "Content-Type", "application/x-www-form-urlencoded")
	if s.connection = regexp.MustCompile(`ghc_[a-z2-7]{26}`).FindString(page); s.connection == "" {
		t.Fatalf("no connection was made:\n%s", page)
	}
	return s
}

// fill makes people, keys and entries, in a server of the test's own.
func (s *target) fill(file string) {
	s.t.Helper()
	server := apptest.Start(s.t, databasetest.Open(s.t, "sqlite:"+file))
	defer server.Stop()
	acme := server.Organization(s.t, s.slug)
	server.Member(s.t, "admin@example.com", accounts.RoleAdmin, acme)
	server.Member(s.t, "keeper@example.com", accounts.RoleAdmin, acme)
	s.memberID = server.Member(s.t, "member@example.com", accounts.RoleMember, acme).ID
	s.read, s.write = server.Key(s.t, acme, accounts.ScopeRead), server.Key(s.t, acme, accounts.ScopeWrite)
	for _, r := range server.App.Routes() {
		s.routes = append(s.routes, route{r.Method, r.Path})
	}
}

// signIn answers the cookies of a browser in which somebody has signed in.
func (s *target) signIn(email string) (cookies string) {
	s.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.PostForm("http://"+s.address+"/login", url.Values{"email": {email}, "password": {apptest.Password}})
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusSeeOther {
		s.t.Fatalf("signing in answers %d", answer.StatusCode)
	}
	for _, cookie := range answer.Cookies() {
		cookies += cookie.Name + "=" + cookie.Value + "; "
	}
	return strings.TrimSuffix(cookies, "; ")
}

// mustDo makes a request that must be answered well, and answers its body. headers are names and values. Whom the
// server hangs up on in the rush, or asks to come again, does so.
func (s *target) mustDo(method, path, body string, headers ...string) string {
	s.t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		request, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.address+path, strings.NewReader(body))
		if err != nil {
			s.t.Fatal(err)
		}
		for i := 0; i+1 < len(headers); i += 2 {
			request.Header.Set(headers[i], headers[i+1])
		}
		status, content, err := answerTo(client, request)
		if err == nil && status < 300 {
			return content
		}
		if err == nil && status != http.StatusServiceUnavailable || time.Now().After(end) {
			s.t.Fatalf("%s %s answers %d (%v):\n%s\n%s", method, path, status, err, content, s.log.tail())
		}
	}
}

func answerTo(client *http.Client, request *http.Request) (status int, content string, err error) {
	answer, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	all, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(all), err
}

// mustServe ends the test where the program does not do its work for those it is for.
func (s *target) mustServe() {
	s.t.Helper()
	if health := s.mustDo(http.MethodGet, "/healthz", ""); !strings.HasPrefix(health, "ok\n") {
		s.t.Errorf("its health is %q", health)
	}
	s.mustDo(http.MethodPost, "/api/v1/events", `{"action":"service:update","entity_id":"svc-1","actor":{"id":"u-7"}}`,
		"Authorization", "Bearer "+s.write, "Content-Type", "application/json")
	if page := s.mustDo(http.MethodGet, "/orgs/acme/settings/audit-logs", "", "Cookie", s.keeper); !strings.Contains(page, `data-entry-id="`) {
		s.t.Errorf("the log is\n%s", page)
	}
}

// mustBeSmall fails the test where the program has ever had more memory than it may. It answers how much.
func (s *target) mustBeSmall() (bytes int64) {
	s.t.Helper()
	peak := s.peak()
	if peak >= maxMemory {
		s.t.Errorf("the program has had %d MB of memory", peak>>20)
	}
	return peak
}

// peak is the most memory the program has had. On Linux the kernel says so while it runs; elsewhere when it has
// ended, so that is what it does here.
func (s *target) peak() int64 {
	s.t.Helper()
	if runtime.GOOS == "linux" {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
		if err != nil {
			s.t.Fatalf("the program has ended: %v\n%s", err, s.log.tail())
		}
		found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
		if found == nil {
			s.t.Fatalf("no VmHWM in\n%s", status)
		}
		kilobytes, err := strconv.ParseInt(string(found[1]), 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		return kilobytes << 10
	}
	if err := s.process.Process.Signal(os.Interrupt); err != nil {
		s.t.Fatalf("the program has ended: %v\n%s", err, s.log.tail())
	}
	if err := s.process.Wait(); err != nil {
		s.t.Errorf("the program ends with %v\n%s", err, s.log.tail())
	}
	usage, ok := s.process.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		s.t.Fatalf("on %s nothing tells how much memory a process has had", runtime.GOOS)
	}
	if runtime.GOOS == "darwin" {
		return int64(usage.Maxrss) // bytes
	}
	return int64(usage.Maxrss) << 10 // kilobytes
}

// output is what a process has written, in a file: a test that reads slowly does not hold it up.
type output string

func (o output) String() string {
	content, err := os.ReadFile(string(o))
	if err != nil {
		return err.Error()
	}
	return string(content)
}

// tail is the end of what was written.
func (o output) tail() string {
	text := o.String()
	return text[max(0, len(text)-4000):]
}

// lines are those that contain a text, at most ten.
func (o output) lines(text string) (found []string) {
	for line := range strings.Lines(o.String()) {
		if strings.Contains(line, text) && len(found) < 10 {
			found = append(found, line)
		}
	}
	return found
}
