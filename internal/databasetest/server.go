//go:build unix

package databasetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// serverPatience is how long PostgreSQL may take to start, with recovery after a crash, or to stop.
const serverPatience = time.Minute

// StopMode is how a PostgreSQL server stops, in pg_ctl's words.
type StopMode string

// Fast rolls open transactions back, says so to their clients and ends in order. Immediate breaks
// every connection off at once: the next start recovers as after a crash.
const (
	Fast      StopMode = "fast"
	Immediate StopMode = "immediate"
)

// Server is a PostgreSQL server of the test's own, which can be stopped, killed and started again.
// Unlike the one that scripts/test-postgres makes it keeps what it acknowledged whatever ends it, as
// in production: fsync is on. Its methods are for the test's own goroutine.
type Server struct {
	// URL is the address of the database "postgres" as a superuser. It stays the same over restarts.
	URL string
	// Data is the folder of the server's data.
	Data string

	t        testing.TB
	programs string // the folder of initdb and postgres
	home     string
	port     int
	owner    *syscall.Credential // nil: who runs the test
	password string              // the superuser's
	process  *os.Process         // nil while it is stopped
	exited   chan struct{}       // closed when process has ended
}

// StartServer makes a server and starts it; it is stopped and removed when the test ends. settings
// are lines of its postgresql.conf: with "fsync = off" it is kept in memory where scripts/test-postgres found room.
func StartServer(t testing.TB, settings ...string) *Server {
	t.Helper()
	folder := "" // on the disk
	if slices.Contains(settings, "fsync = off") {
		folder = os.Getenv("TEST_POSTGRES_FOLDER")
	}
	s := newServer(t, folder)
	if err := s.create(settings); err != nil {
		t.Fatalf("create a PostgreSQL server: %v", err)
	}
	return s
}

// Standby makes a streaming replica of the server and starts it; it is stopped and removed when the
// test ends, before the server, which is stopped for a moment. Its URL names the database that url, an address at
// the server, does.
// settings are lines of its postgresql.conf, besides those of the server.
func (s *Server) Standby(t testing.TB, url string, settings ...string) *Server {
	t.Helper()
	standby := newServer(t, filepath.Dir(s.home))
	if err := standby.follow(s, settings); err != nil {
		t.Fatalf("create a standby of PostgreSQL: %v", err)
	}
	standby.URL = strings.Replace(url, ":"+strconv.Itoa(s.port)+"/", ":"+strconv.Itoa(standby.port)+"/", 1)
	return standby
}

// newServer returns a server that has a folder in parent, or where temporary files are, and nothing in it.
func newServer(t testing.TB, parent string) *Server {
	t.Helper()
	programs, err := serverPrograms()
	if err != nil {
		t.Fatal(err)
	}
	return newServerOf(t, programs, parent)
}

// newServerOf is newServer with PostgreSQL's programs from a folder.
func newServerOf(t testing.TB, programs, parent string) *Server {
	t.Helper()
	owner, err := serverOwner()
	if err != nil {
		t.Fatalf("PostgreSQL does not run as root, and there is nobody else: %v", err)
	}
	// Not t.TempDir, whose parent only the user who runs the test may enter.
	home, err := os.MkdirTemp(parent, "auditlogs-postgres")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Data: filepath.Join(home, "data"), t: t, programs: programs, home: home, owner: owner, password: rand.Text()}
	t.Cleanup(func() {
		if s.process != nil {
			s.Stop(Immediate)
		}
		if err := os.RemoveAll(home); err != nil {
			t.Error(err)
		}
	})
	if owner != nil {
		if err := os.Chown(home, int(owner.Uid), int(owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// Database makes a fresh, migrated database on the server and gives its address.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	return s.database(t)
}

// DatabaseIn is Database with its tables in a folder; the server's log of changes stays where it is.
func (s *Server) DatabaseIn(t testing.TB, folder string) string {
	t.Helper()
	folder = filepath.Join(folder, "tables")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if s.owner != nil {
		if err := os.Chown(folder, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	s.Exec(t, "CREATE TABLESPACE elsewhere LOCATION '"+folder+"'")
	return s.database(t, "TABLESPACE elsewhere")
}

// Exec runs statements as a superuser.
func (s *Server) Exec(t testing.TB, statements ...string) {
	t.Helper()
	execAt(t, s.URL, statements)
}

func execAt(t testing.TB, address string, statements []string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// in is the address of a database at the server.
func (s *Server) in(database string) string {
	address, err := url.Parse(s.URL)
	if err != nil {
		panic(err) // it is made by startSomewhere
	}
	address.Path = "/" + database
	return address.String()
}

func (s *Server) database(t testing.TB, options ...string) string {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, s.URL)
	if err != nil {
		t.Fatalf("create a PostgreSQL database: %v", err)
	}
	defer conn.Close(ctx)
	name := "auditlogs_test_" + strings.ToLower(rand.Text()[:12])
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name+" "+strings.Join(options, " ")); err != nil {
		t.Fatalf("create a PostgreSQL database: %v", err)
	}
	address := s.in(name)
	if err := migrate(address); err != nil {
		t.Fatalf("prepare the PostgreSQL database: %v", err)
	}
	return address
}

// Start starts the server after Stop or Kill, and returns when it answers.
func (s *Server) Start() {
	s.t.Helper()
	if err := s.start(); err != nil {
		s.t.Fatalf("start PostgreSQL: %v\n%s", err, s.log())
	}
}

// Stop ends the server, and returns when it has ended.
func (s *Server) Stop(mode StopMode) {
	s.t.Helper()
	signal := map[StopMode]os.Signal{Fast: syscall.SIGINT, Immediate: syscall.SIGQUIT}[mode]
	if signal == nil {
		s.t.Fatalf("PostgreSQL has no stop mode %q", mode)
	}
	s.end(signal)
}

// Kill ends the server with SIGKILL. Its first process is the one that has to be ended; the others would end
// as they notice, but answer until then, on a busy machine for a tenth of a second. Where the system does
// not tell which they are (it does on Linux), that is left to them.
func (s *Server) Kill() {
	s.t.Helper()
	s.end(syscall.SIGKILL)
	folders, _ := filepath.Glob("/proc/[0-9]*/cwd") // the pattern is well formed
	for _, folder := range folders {
		if working, err := os.Readlink(folder); err != nil || working != s.Data {
			continue // somebody else's, or ended
		}
		process, err := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
		if err == nil {
			err = syscall.Kill(process, syscall.SIGKILL)
		}
		if err != nil && !errors.Is(err, syscall.ESRCH) {
			s.t.Fatalf("kill PostgreSQL: %v", err)
		}
	}
}

func (s *Server) end(signal os.Signal) {
	s.t.Helper()
	if s.process == nil {
		s.t.Fatal("PostgreSQL is stopped already")
	}
	if err := s.process.Signal(signal); err != nil {
		s.t.Fatalf("stop PostgreSQL: %v", err)
	}
	select {
	case <-s.exited:
		s.process = nil
	case <-time.After(serverPatience):
		s.t.Fatalf("PostgreSQL does not stop\n%s", s.log())
	}
}

// create makes the server's folder and starts it on a port nobody else has.
func (s *Server) create(settings []string) error {
	passwordFile := filepath.Join(s.home, "password")
	if err := s.write(passwordFile, s.password+"\n"); err != nil {
		return err
	}
	initdb := s.command("initdb", "--pgdata="+s.Data, "--username=postgres", "--pwfile="+passwordFile,
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync")
	if output, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, output)
	}
	if err := s.configure(append([]string{"listen_addresses = '127.0.0.1'"}, settings...)); err != nil {
		return err
	}
	return s.startSomewhere(&url.URL{Scheme: "postgres", User: url.UserPassword("postgres", s.password), Path: "/postgres", RawQuery: "sslmode=disable"})
}

// follow makes the server's folder from a copy of primary's, which it goes on copying, and starts it
// on a port nobody else has. primary is stopped meanwhile: not every PostgreSQL comes with pg_basebackup.
func (s *Server) follow(primary *Server, settings []string) error {
	primary.Stop(Fast)
	copying := exec.Command("cp", "-a", primary.Data, s.Data)
	copying.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	output, err := copying.CombinedOutput()
	primary.Start()
	if err != nil {
		return fmt.Errorf("cp: %w\n%s", err, output)
	}
	// With a slot the primary keeps what a standby that is stopped will ask for.
	slot := "standby_" + strings.ToLower(rand.Text()[:12])
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, primary.URL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "SELECT pg_create_physical_replication_slot($1, true)", slot)
	if err := errors.Join(err, conn.Close(ctx), s.write(filepath.Join(s.Data, "standby.signal"), "")); err != nil {
		return err
	}
	if err := s.configure(append(settings, "primary_conninfo = '"+primary.URL+"'", "primary_slot_name = '"+slot+"'")); err != nil {
		return err
	}
	address, err := url.Parse(primary.URL)
	if err != nil {
		return err
	}
	return s.startSomewhere(address)
}

// write makes a file of the server's.
func (s *Server) write(path, content string) error {
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil || s.owner == nil {
		return err
	}
	return os.Chown(path, int(s.owner.Uid), int(s.owner.Gid))
}

// startSomewhere starts the server on a port nobody else has; address is its own, but for that.
func (s *Server) startSomewhere(address *url.URL) (err error) {
	// Below the ports that systems hand out by themselves: nobody takes it while the server is
	// stopped. One that is free now may be taken a moment later: others are tried.
	for range 8 {
		s.port = 20000 + mathrand.IntN(12000)
		address.Host = "127.0.0.1:" + strconv.Itoa(s.port)
		s.URL = address.String()
		if err = s.start(); err == nil || !errors.Is(err, errPortTaken) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, s.log())
	}
	return nil
}

// configure adds lines to postgresql.conf.
func (s *Server) configure(lines []string) error {
	version, err := os.ReadFile(filepath.Join(s.Data, "PG_VERSION"))
	if err != nil {
		return err
	}
	// After a crash every file of every database is synced, one by one; Linux can do it at once, and
	// PostgreSQL makes use of that since version 14.
	if runtime.GOOS == "linux" && strings.TrimSpace(string(version)) != "13" {
		lines = append([]string{"recovery_init_sync_method = syncfs"}, lines...)
	}
	lines = append(lines, "unix_socket_directories = '"+s.home+"'")
	config, err := os.OpenFile(filepath.Join(s.Data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = config.WriteString("\n" + strings.Join(lines, "\n") + "\n")
	return errors.Join(err, config.Close())
}

var errPortTaken = errors.New("the port is taken")

// start starts the server and waits until it answers. After a crash it begins anew while processes
// of the last one hold its shared memory.
func (s *Server) start() error {
	ctx, cancel := context.WithTimeout(context.Background(), serverPatience)
	defer cancel()
	for {
		before := len(s.log())
		if err := s.launch(); err != nil {
			return err
		}
		for s.process != nil {
			if conn, err := pgx.Connect(ctx, s.URL); err == nil {
				return conn.Close(ctx)
			}
			select {
			case <-s.exited:
				s.process = nil
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
				return errors.New("it does not answer")
			}
		}
		said := s.log()[before:]
		switch {
		case strings.Contains(said, "could not create any TCP/IP sockets"):
			return errPortTaken
		case !strings.Contains(said, "pre-existing shared memory block"):
			return errors.New("it ended at once")
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return errors.New("processes of the last one do not end")
		}
	}
}

// launch starts the server's first process.
func (s *Server) launch() error {
	output, err := os.OpenFile(filepath.Join(s.home, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer output.Close()
	command := s.command("postgres", "-D", s.Data, "-p", strconv.Itoa(s.port))
	command.Env = append(os.Environ(), "PGPASSWORD="+s.password) // for the other nodes of Citus
	command.Stdout, command.Stderr = output, output
	if err := command.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		_ = command.Wait() // how it ended is in its log
		close(exited)
	}()
	s.process, s.exited = command.Process, exited
	return nil
}

// command is one of PostgreSQL's programs, run as the server's owner.
func (s *Server) command(program string, arguments ...string) *exec.Cmd {
	command := exec.Command(filepath.Join(s.programs, program), arguments...)
	command.Dir = s.home
	command.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	return command
}

// log is what the server has written.
func (s *Server) log() string {
	content, err := os.ReadFile(filepath.Join(s.home, "server.log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err.Error()
	}
	return string(content)
}

// serverPrograms is the folder of PostgreSQL's programs: of those that scripts/test-postgres took, or the newest.
func serverPrograms() (string, error) {
	if folder := os.Getenv("TEST_POSTGRES_PROGRAMS"); folder != "" {
		return folder, nil
	}
	var folders []string
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin"} {
		found, _ := filepath.Glob(pattern) // the patterns are well formed
		slices.SortFunc(found, func(a, b string) int { return versionIn(b) - versionIn(a) })
		folders = append(folders, found...)
	}
	if initdb, err := exec.LookPath("initdb"); err == nil {
		folders = append(folders, filepath.Dir(initdb))
	}
	for _, folder := range folders {
		if _, err := exec.LookPath(filepath.Join(folder, "initdb")); err == nil {
			return folder, nil
		}
	}
	return "", errors.New("this test starts and stops a PostgreSQL server of its own, whatever TEST_DATABASE_URL names: " +
		"install PostgreSQL's server programs (initdb, postgres), version 13 or later; make test does so on Debian")
}

// versionIn is the number in a path such as /usr/lib/postgresql/15/bin.
func versionIn(path string) int {
	version, _ := strconv.Atoi(strings.Trim(path, "abcdefghijklmnopqrstuvwxyz/-@"))
	return version
}

// serverOwner is the user the server runs as where that cannot be the one who runs the test: root.
func serverOwner() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		if account, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
