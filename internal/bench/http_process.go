package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server in a process of its own.
type process struct {
	URL     string
	command *exec.Cmd
	log     string // the file of its log
}

var serverAddress = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)

// startProcess runs a server whose log goes to a file in folder, until it says where it listens.
func startProcess(ctx context.Context, folder, program string, arguments ...string) (*process, error) {
	log, err := os.CreateTemp(folder, "log-")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{command: exec.CommandContext(ctx, program, arguments...), log: log.Name()}
	p.command.Stderr = log
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if p.URL = serverAddress.FindString(lines.Text()); p.URL != "" {
			go func() { _, _ = io.Copy(io.Discard, stdout) }()
			return p, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("%s did not start", filepath.Base(program)), p.command.Wait(), p.lastWords())
}

// stop ends the server in order.
func (p *process) stop() error {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := p.command.Wait(); err != nil {
		return errors.Join(err, p.lastWords())
	}
	return nil
}

// lastWords is the end of its log as an error.
func (p *process) lastWords() error {
	content, err := os.ReadFile(p.log)
	if err != nil {
		return err
	}
	return errors.New(strings.TrimSpace(string(content[max(0, len(content)-1000):])))
}

// ticks is how many of the kernel's units of processor time a second has: 100 on every Linux.
const ticks = 100

// cpu is the processor time the server has used.
func (p *process) cpu() (time.Duration, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	// The second field, the program's name, may hold blanks; it ends with the last parenthesis.
	fields := strings.Fields(string(content[strings.LastIndexByte(string(content), ')')+1:]))
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / ticks, err
}

// memory is how many bytes of the server are resident now, and were at most.
func (p *process) memory() (now, most int64, err error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(line, ":")
		kilobytes, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			now = kilobytes << 10
		case "VmHWM":
			most = kilobytes << 10
		}
	}
	return now, most, nil
}
