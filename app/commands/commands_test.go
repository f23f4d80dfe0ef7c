package commands

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// execute runs the command line and answers its exit code and what it wrote.
func execute(t *testing.T, arguments ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errors bytes.Buffer
	code = Run(t.Context(), arguments, strings.NewReader(""), &out, &errors)
	return code, out.String(), errors.String()
}

func TestMistakesAreOneLineAndExitCode1(t *testing.T) {
	file, migrated := "sqlite:"+filepath.Join(t.TempDir(), "log.db"), "sqlite:"+databasetest.SQLiteFile(t)
	for name, tc := range map[string]struct {
		arguments []string
		want      string
	}{
		"no command":              {nil, "expected one of"},
		"unknown flag":            {[]string{"serve", "--nope"}, "unknown flag --nope"},
		"unknown database":        {[]string{"serve", "--database", "oracle://scott:tiger@db/x"}, `"oracle" databases are not supported`},
		"a file nobody can write": {[]string{"serve", "--database", "sqlite:/dev/null/log.db"}, "/dev/null/log.db: not a directory"},
		"no such PostgreSQL database": {[]string{"migrate", "--database",
			strings.Replace(databasetest.PostgresURL(t), "auditlogs_test_", "no_such_database_", 1)}, "does not exist"},
		"demo for others":    {[]string{"serve", "--demo", "--addr", "0.0.0.0:0", "--database", file}, "--demo is for this machine only"},
		"demo for anybody":   {[]string{"serve", "--demo", "--addr", ":0", "--database", file}, "--demo is for this machine only"},
		"address in use":     {[]string{"serve", "--addr", inUse(t), "--database", file}, "address already in use"},
		"replicas of a file": {[]string{"serve", "--read-database", "postgres://u:tiger@h/x", "--database", file}, "--read-database is for PostgreSQL"},
		"a replica that is no PostgreSQL": {[]string{"serve", "--database", databasetest.PostgresURL(t),
			"--read-database", "postgres://u:tiger@h/x,oracle://scott:tiger@db/x"}, "--read-database: address 2: not a PostgreSQL address"},
		"a key to mask that is none": {[]string{"serve", "--mask-keys", "pin,_-_", "--database", file}, `--mask-keys: "_-_" has neither letters nor digits`},
		"a key to keep that is none": {[]string{"serve", "--keep-keys", "client token,_-_", "--database", file}, `--keep-keys: "_-_" has neither letters nor digits`},
		"no such address":            {[]string{"serve", "--addr", "8080", "--database", file}, "--addr"},
		"no such account":            {[]string{"reset-password", "nobody@example.com", "--database", migrated}, "nobody@example.com"},
		"no such organization":       {[]string{"invite", "nowhere", "--database", migrated}, "no organization has the slug nowhere: auditlogs organizations lists them"},
		"no such external ID":        {[]string{"invite", "--external-id", "tenant-9", "--database", migrated}, "no organization has the external ID tenant-9"},
		"no organization":            {[]string{"invite", "--database", migrated}, "by its slug, or by --external-id"},
		"two organizations":          {[]string{"invite", "acme", "--external-id", "tenant-9", "--database", migrated}, "by its slug, or by --external-id"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := execute(t, tc.arguments...)
			if code != 1 {
				t.Errorf("the exit code is %d", code)
			}
			if !strings.Contains(stderr, tc.want) || !strings.HasPrefix(stderr, "auditlogs: ") || strings.Count(stderr, "\n") != 1 {
				t.Errorf("it says %q, want one line with %q", stderr, tc.want)
			}
			if strings.Contains(stderr, "tiger") {
				t.Errorf("it shows the password: %q", stderr)
			}
		})
	}
}

// A script must not go on as if an interrupted command had done its work.
func TestOnlyAServerIsStoppedWithSuccess(t *testing.T) {
	file := "sqlite:" + filepath.Join(t.TempDir(), "log.db")
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for code, arguments := range map[int][]string{
		0: {"serve", "--addr", "127.0.0.1:0", "--database", file},
		1: {"migrate", "--database", file},
	} {
		var stdout, stderr bytes.Buffer
		if got := Run(stopped, arguments, strings.NewReader(""), &stdout, &stderr); got != code || (stderr.Len() > 0) != (code > 0) {
			t.Errorf("%s: exit code %d: %q", arguments[0], got, stderr.String())
		}
	}
}

// What was stopped may be done later.
func TestACommandThatIsStoppedIsUnfinished(t *testing.T) {
	flags := databaseFlags{Database: "sqlite:" + databasetest.SQLiteFile(t)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for _, stopped := range []bool{false, true} {
		err := flags.withDatabase(ctx, streams{stderr: io.Discard}, func(db *database.DB) error {
			if stopped {
				stop()
			}
			return cmp.Or(db.Write.WithContext(ctx).Exec("SELECT 1").Error, errors.New("refused"))
		})
		if err == nil || errors.As(err, new(unfinished)) != stopped {
			t.Errorf("stopped %t: %v", stopped, err)
		}
	}
}

func TestTheDemoRefusesADatabaseInUse(t *testing.T) {
	file := "sqlite:" + filepath.Join(t.TempDir(), "log.db")
	db := databasetest.Open(t, file)
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.Write.Exec("INSERT INTO audit_organizations (slug, name, created_at) VALUES ('acme', 'Acme', 1)").Error; err != nil {
		t.Fatal(err)
	}
	code, _, stderr := execute(t, "serve", "--demo", "--addr", "127.0.0.1:0", "--database", file)
	if code != 1 || !strings.Contains(stderr, "not the demo's") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// Browsers keep cookies by host: who is signed in to the demo on 127.0.0.1 stays so beside a server on localhost.
func TestAServerIsAtTheHostItWasGiven(t *testing.T) {
	console, stop := serve(t, "--addr", "localhost:0", "--database", "sqlite:"+filepath.Join(t.TempDir(), "log.db"))
	defer stop()
	if status, _ := get(t, find(t, console, `Audit Logs is at (http://localhost:[1-9][0-9]*)`)+"/healthz"); status != http.StatusOK {
		t.Errorf("it answers %d", status)
	}
}

func TestVersion(t *testing.T) {
	_, flag, _ := execute(t, "--version")
	code, stdout, stderr := execute(t, "version")
	if code != 0 || stderr != "" || stdout != version()+"\n" || stdout != flag {
		t.Errorf("exit code %d: %q and %q, --version prints %q", code, stdout, stderr, flag)
	}
}

func TestMetricsHaveAnAddressOfTheirOwn(t *testing.T) {
	console, stop := serve(t, "--metrics", "127.0.0.1:0", "--database", "sqlite:"+filepath.Join(t.TempDir(), "log.db"))
	address, metrics := find(t, console, `Audit Logs is at (\S+)`), find(t, console, `Metrics are at (http://127\.0\.0\.1:[1-9]\d*/metrics)`)
	if status, body := get(t, metrics); status != http.StatusOK || !strings.Contains(body, "\nauditlogs_storing 1\n") {
		t.Errorf("it answers %d: %s", status, body)
	}
	for _, path := range []string{address + "/metrics", strings.TrimSuffix(metrics, "metrics"), strings.TrimSuffix(metrics, "metrics") + "healthz"} {
		if status, _ := get(t, path); status != http.StatusNotFound {
			t.Errorf("%s answers %d", path, status)
		}
	}
	stop()
	if _, err := http.Get(metrics); err == nil {
		t.Error("it answers after the server has ended")
	}
}

func TestHelp(t *testing.T) {
	code, stdout, _ := execute(t, "serve", "--help")
	if code != 0 || !strings.Contains(stdout, "AUDITLOGS_DATABASE") {
		t.Errorf("exit code %d: %s", code, stdout)
	}
}

func TestMigrateMayRunOnSeveralHostsAtOnce(t *testing.T) {
	for name, url := range map[string]string{
		"sqlite":   "sqlite:" + filepath.Join(t.TempDir(), "log.db"),
		"postgres": databasetest.EmptyPostgresURL(t),
	} {
		t.Run(name, func(t *testing.T) {
			var group sync.WaitGroup
			for range 3 {
				group.Go(func() {
					if code, _, stderr := execute(t, "migrate", "--database", url); code != 0 {
						t.Errorf("exit code %d: %s", code, stderr)
					}
				})
			}
			group.Wait()
		})
	}
}

func TestServeFromFirstStartToShutdown(t *testing.T) {
	for name, url := range map[string]string{
		"sqlite":   "sqlite:" + filepath.Join(t.TempDir(), "new", "log.db"),
		"postgres": databasetest.EmptyPostgresURL(t),
	} {
		t.Run(name, func(t *testing.T) {
			console, stop := serve(t, "--database", url)
			address := find(t, console, `Audit Logs is at (http://127\.0\.0\.1:\d+)`)
			token := find(t, console, `/setup with this token:\s+(\S+)`)
			if status, body := get(t, address+"/healthz"); status != http.StatusOK {
				t.Errorf("/healthz answers %d: %s", status, body)
			}
			answer, err := http.PostForm(address+"/setup", map[string][]string{
				"token": {token}, "name": {"Jo"}, "email": {"jo@example.com"}, "password": {"correct horse battery"},
				"organization": {"Acme"}, "slug": {"acme"},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if answer.StatusCode != http.StatusOK { // after the redirect
				t.Errorf("setup leads to %d", answer.StatusCode)
			}
			stop()

			console, stop = serve(t, "--database", url)
			find(t, console, `Audit Logs is at (\S+)`)
			if strings.Contains(console, "token") {
				t.Errorf("setup is over and the console shows a token: %s", console)
			}
			stop()

			code, stdout, stderr := execute(t, "reset-password", "JO@example.com", "--database", url, "--base-url", "https://audit.example.com")
			if code != 0 || !strings.Contains(stdout, "https://audit.example.com/reset/") {
				t.Errorf("reset-password: exit code %d: %s%s", code, stdout, stderr)
			}
		})
	}
}

func TestServeTheDemo(t *testing.T) {
	file := "sqlite:" + filepath.Join(t.TempDir(), "demo.db")
	console, stop := serve(t, "--demo", "--database", file)
	address := find(t, console, `Audit Logs is at (\S+)`)
	for _, account := range []string{"admin@example.com", "member@example.com"} {
		find(t, console, "("+regexp.QuoteMeta(account)+", password audit-demo)")
		if _, body := get(t, address+"/login"); !strings.Contains(body, account) {
			t.Errorf("the sign-in page does not show %s", account)
		}
	}
	stop()
	console, stop = serve(t, "--demo", "--database", file)
	if strings.Contains(console, "Filling") {
		t.Errorf("the demo is filled anew: %s", console)
	}
	stop()
}

// serve starts a server on a free port and answers what it wrote to the console once it said where
// it is. stop shuts it down in order; the test fails when that is not exit code 0.
func serve(t *testing.T, arguments ...string) (console string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	reader, writer := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		code := Run(ctx, append([]string{"serve", "--addr", "127.0.0.1:0"}, arguments...), strings.NewReader(""), writer, &stderr)
		_ = writer.Close()
		ended <- code
	}()
	var written strings.Builder
	buffer := make([]byte, 4096)
	for !strings.HasSuffix(written.String(), "\n\n") { // what it says ends with an empty line
		n, err := reader.Read(buffer)
		written.Write(buffer[:n])
		if err != nil {
			cancel()
			t.Fatalf("the server ended with exit code %d: %s", <-ended, stderr.String())
		}
	}
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	return written.String(), sync.OnceFunc(func() {
		t.Helper()
		cancel()
		select {
		case code := <-ended:
			if code != 0 {
				t.Errorf("exit code %d: %s", code, stderr.String())
			}
		case <-time.After(time.Minute):
			t.Fatal("the server does not shut down")
		}
	})
}

func find(t *testing.T, text, pattern string) string {
	t.Helper()
	match := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("there is no %s in %s", pattern, text)
	}
	return match[1]
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(content)
}

// inUse is an address something listens on.
func inUse(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}
