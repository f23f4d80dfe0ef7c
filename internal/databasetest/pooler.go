//go:build unix

package databasetest

import (
	"context"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Pooler starts PgBouncer in transaction mode in front of the server that address names, and gives the address of the
// database through it. It is stopped when the test ends. settings are lines of its configuration.
//
// Its few connections to PostgreSQL take turns, so that nobody has the same one for long.
func Pooler(t testing.TB, address string, settings ...string) string {
	t.Helper()
	through, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	program := poolerProgram(t)
	if PoolerCanKeepStatements(t) {
		settings = append([]string{"max_prepared_statements = 0"}, settings...) // on since 1.24
	}
	home := newServer(t, "") // a folder, and somebody who is not root
	password, _ := through.User.Password()
	host, port := through.Hostname(), through.Port()
	for range 8 {
		through.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(20000+mathrand.IntN(12000)))
		lines := append([]string{
			"[databases]",
			fmt.Sprintf("* = host=%s port=%s user=%s password='%s'", host, port, through.User.Username(), password),
			"[pgbouncer]",
			"listen_addr = 127.0.0.1",
			"listen_port = " + through.Port(),
			"unix_socket_dir =",
			"auth_type = any",
			"pool_mode = transaction",
			"min_pool_size = 4",
			"default_pool_size = 4",
			"max_client_conn = 500",
			"server_round_robin = 1",
		}, settings...)
		config := filepath.Join(home.home, "pgbouncer.ini")
		if err := os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if startPooler(t, home, program, config, through.String()) {
			return through.String()
		}
	}
	t.Fatal("PgBouncer does not start")
	return ""
}

func poolerProgram(t testing.TB) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program, err = exec.LookPath("/usr/sbin/pgbouncer") // which is not in everybody's PATH
	}
	if err != nil {
		t.Fatal("this test needs PgBouncer: make test installs it on Debian")
	}
	return program
}

// PoolerCanKeepStatements reports whether PgBouncer knows prepared statements, and so the setting
// max_prepared_statements: from 1.21 on. Pooler leaves them off.
func PoolerCanKeepStatements(t testing.TB) bool {
	t.Helper()
	output, err := exec.Command(poolerProgram(t), "--version").Output()
	if err != nil {
		t.Fatalf("ask PgBouncer for its version: %v", err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(string(output), "PgBouncer %d.%d", &major, &minor); err != nil {
		t.Fatalf("PgBouncer's version is %q", output)
	}
	return major > 1 || minor >= 21
}

// startPooler reports whether PgBouncer answers: its port may be taken.
func startPooler(t testing.TB, home *Server, program, config, address string) bool {
	t.Helper()
	command := exec.Command(program, "--quiet", config)
	command.Dir = home.home
	command.SysProcAttr = &syscall.SysProcAttr{Credential: home.owner}
	var said strings.Builder
	command.Stderr = &said
	if err := command.Start(); err != nil {
		t.Fatalf("start PgBouncer: %v", err)
	}
	exited := make(chan struct{})
	go func() {
		_ = command.Wait()
		close(exited)
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill()
		<-exited
	})
	ctx, cancel := context.WithTimeout(t.Context(), serverPatience)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, address)
		if err == nil {
			_ = conn.Close(ctx)
			return true
		}
		select {
		case <-exited:
			t.Logf("PgBouncer: %s", said.String())
			return false
		case <-ctx.Done():
			t.Fatalf("PgBouncer does not answer: %v\n%s", err, said.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
