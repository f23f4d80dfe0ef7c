//go:build unix

package soak

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// childVariable names, to a process that is this test binary, what it is to do.
const childVariable = "SOAK_CHILD"

// children are what processes of this binary do other than testing.
var children = map[string]func() error{
	"batcher":     batcherChild,
	"client":      clientChild,
	"follower":    followerChild,
	"transaction": transactionChild,
}

// process is a process that a test starts, to kill it.
type process struct {
	name   string
	stderr *output
	// exited is closed once the process has ended and every line it wrote was read.
	exited chan struct{}

	command *exec.Cmd
	stdin   io.Closer
	err     error // how it ended
}

// startChild starts this binary as one of children.
func startChild(t *testing.T, name string, variables []string, line func(string)) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self)
	command.Env = append(append(os.Environ(), childVariable+"="+name), variables...)
	return start(t, name, command, line)
}

// start starts a process and hands every line it writes to line, which is called by one goroutine.
// What is running when the test ends is killed.
func start(t *testing.T, name string, command *exec.Cmd, line func(string)) *process {
	t.Helper()
	p := &process{name: name, stderr: &output{}, exited: make(chan struct{}), command: command}
	command.Stderr = p.stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdin = stdin
	// A pipe of the test's own: that of StdoutPipe is closed, unread lines and all, by Wait.
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout = writer
	err = command.Start()
	_ = writer.Close()
	if err != nil {
		_ = reader.Close()
		t.Fatal(err)
	}
	go func() {
		lines := bufio.NewScanner(reader)
		for lines.Scan() {
			line(lines.Text())
		}
		_ = reader.Close()
		p.err = command.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() { p.kill(t) })
	return p
}

// kill ends the process with SIGKILL. It returns when the process is gone and its lines are read.
func (p *process) kill(t *testing.T) {
	t.Helper()
	_ = p.command.Process.Kill() // one that has ended is fine
	p.await(t)
}

// finish lets a child end by itself, which it does when its standard input ends.
func (p *process) finish(t *testing.T) {
	t.Helper()
	_ = p.stdin.Close()
	p.await(t)
	if p.err != nil {
		t.Errorf("%s: %v\n%s", p.name, p.err, p.stderr)
	}
}

func (p *process) await(t *testing.T) {
	t.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		_ = p.command.Process.Kill()
		t.Fatalf("%s does not end\n%s", p.name, p.stderr)
	}
}

// mustRun ends the test where the process has ended.
func (p *process) mustRun(t *testing.T) {
	t.Helper()
	select {
	case <-p.exited:
		t.Fatalf("%s has ended by itself: %v\n%s", p.name, p.err, p.stderr)
	default:
	}
}

// output keeps what a process writes; it may be read meanwhile.
type output struct {
	mutex sync.Mutex
	bytes bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.bytes.Write(b)
}

func (o *output) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.bytes.String()
}
