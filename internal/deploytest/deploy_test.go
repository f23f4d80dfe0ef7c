//go:build linux

// Package deploytest tests what installs the program: the image, the manifests, the unit and the release.
package deploytest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// nonroot is the user of distroless images with the tag nonroot.
const nonroot = 65532

// root is the repository's.
const root = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// instruction is what follows the last line of the Dockerfile that begins with name.
func instruction(t *testing.T, dockerfile, name string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^`+name+` (.+)$`).FindAllStringSubmatch(dockerfile, -1)
	if len(found) == 0 {
		t.Fatalf("the Dockerfile has no %s", name)
	}
	return found[len(found)-1][1]
}

// The image's file system, put together as the Dockerfile says and entered by chroot as its user, who can write
// nothing but /data: the server starts there, and leaves nothing elsewhere.
func TestTheImage(t *testing.T) {
	dockerfile := read(t, "Dockerfile")
	if base := instruction(t, dockerfile, "FROM"); !strings.HasSuffix(base, "static-debian12:nonroot") {
		t.Fatalf("the image is built on %s, and this test on something else", base)
	}
	image := t.TempDir()
	build := regexp.MustCompile(`go build (.+) -o /image/auditlogs \.`).FindStringSubmatch(dockerfile)
	if build == nil {
		t.Fatal("the Dockerfile does not build /image/auditlogs")
	}
	command := exec.CommandContext(t.Context(), "sh", "-c", "CGO_ENABLED=0 go build "+build[1]+" -o "+image+"/auditlogs .")
	command.Dir = root
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	if err := os.Mkdir(filepath.Join(image, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	process := &syscall.SysProcAttr{Chroot: image, Credential: &syscall.Credential{Uid: nonroot, Gid: nonroot, NoSetGroups: true}}
	if os.Getuid() == 0 {
		if err := os.Chown(filepath.Join(image, "data"), nonroot, nonroot); err != nil {
			t.Fatal(err)
		}
	} else { // its own user, under that number: the only one that may chroot
		process.Cloneflags = syscall.CLONE_NEWUSER
		process.UidMappings = []syscall.SysProcIDMap{{ContainerID: nonroot, HostID: os.Getuid(), Size: 1}}
		process.GidMappings = []syscall.SysProcIDMap{{ContainerID: nonroot, HostID: os.Getgid(), Size: 1}}
	}
	for folder := image; folder != "/"; folder = filepath.Dir(folder) {
		if info, err := os.Stat(folder); err == nil && info.Mode()&0o001 == 0 {
			if err := os.Chmod(folder, info.Mode()|0o055); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Chmod(image, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(image, 0o755) })

	var entry, arguments []string
	if err := json.Unmarshal([]byte(instruction(t, dockerfile, "ENTRYPOINT")), &entry); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(instruction(t, dockerfile, "CMD")), &arguments); err != nil {
		t.Fatal(err)
	}
	server := exec.CommandContext(t.Context(), entry[0], slices.Concat(entry[1:], arguments)...)
	server.Dir, server.SysProcAttr = "/", process
	server.Env = append(strings.Fields(instruction(t, dockerfile, "ENV")), "AUDITLOGS_ADDR=127.0.0.1:0") // a port of its own
	server.Cancel = func() error { return server.Process.Signal(syscall.SIGTERM) }
	console, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	server.Stderr = t.Output()
	if err := server.Start(); err != nil {
		t.Fatalf("entering the image: %v", err)
	}
	t.Cleanup(func() { _ = server.Wait() })
	var address string
	lines := bufio.NewScanner(console)
	for address == "" && lines.Scan() {
		if found := regexp.MustCompile(`Audit Logs is at (\S+)`).FindStringSubmatch(lines.Text()); found != nil {
			address = found[1]
		}
	}
	if address == "" {
		t.Fatal("the server did not say where it is")
	}
	client := http.Client{Timeout: 30 * time.Second}
	answer, err := client.Get(address + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("/healthz answers %d", answer.StatusCode)
	}
	var outside []string
	_ = filepath.WalkDir(image, func(path string, entry fs.DirEntry, err error) error {
		if name, _ := filepath.Rel(image, path); !entry.IsDir() && name != "auditlogs" && !strings.HasPrefix(name, "data/") {
			outside = append(outside, name)
		}
		return err
	})
	if len(outside) > 0 {
		t.Errorf("the server left %q outside of /data", outside)
	}
	if _, err := os.Stat(filepath.Join(image, "data/auditlogs.db")); err != nil {
		t.Error(err)
	}
}

// The unit is checked as systemd reads it.
func TestTheUnit(t *testing.T) {
	unit := filepath.Join(t.TempDir(), "auditlogs.service")
	text := read(t, "deploy/auditlogs.service")
	if !strings.Contains(text, "\nExecStart=/usr/local/bin/auditlogs serve\n") {
		t.Error("the unit starts something else")
	}
	if err := os.WriteFile(unit, []byte(strings.Replace(text, "/usr/local/bin/auditlogs", "/bin/true", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
	if err != nil || strings.Contains(string(output), "auditlogs.service") {
		t.Errorf("systemd-analyze: %v\n%s", err, output)
	}
}

// What a release consists of, of the last commit, for this system; another run makes the same bytes.
func TestRelease(t *testing.T) {
	clone := t.TempDir()
	run := func(name string, arguments ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), name, arguments...)
		command.Dir = clone
		output, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", name, arguments, err, output)
		}
		return string(output)
	}
	absolute, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	run("git", "clone", "--quiet", absolute, ".")
	platform := strings.ReplaceAll(strings.TrimSpace(run("go", "env", "GOOS", "GOARCH")), "\n", "/")
	var sums []string
	for range 2 {
		run("scripts/release", platform)
		run("sh", "-c", "cd release && sha256sum --check --strict SHA256SUMS")
		sums = append(sums, run("cat", "release/SHA256SUMS"))
	}
	if sums[0] != sums[1] {
		t.Errorf("two runs differ:\n%s\n%s", sums[0], sums[1])
	}
	if strings.Contains(sums[0], "devel") {
		t.Errorf("the version is unknown:\n%s", sums[0])
	}
	archive := regexp.MustCompile(`auditlogs_(\S+)_` + strings.ReplaceAll(platform, "/", "_") + `\.tar\.gz`).FindStringSubmatch(sums[0])
	if archive == nil {
		t.Fatalf("no archive in %s", sums[0])
	}
	run("tar", "--extract", "--file", "release/"+archive[0], "--directory", "release")
	if got := run("release/auditlogs/auditlogs", "version"); got != "v"+archive[1]+"\n" {
		t.Errorf("%s holds version %s", archive[0], got)
	}
	for _, file := range []string{"LICENSE", "README.md", "CHANGELOG.md", "docs/deployment.md", "deploy/auditlogs.service"} {
		if _, err := os.Stat(filepath.Join(clone, "release/auditlogs", file)); err != nil {
			t.Error(err)
		}
	}
	var bill struct {
		BOMFormat  string `json:"bomFormat"`
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal([]byte(run("cat", fmt.Sprintf("release/auditlogs_%s.sbom.json", archive[1]))), &bill); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, c := range bill.Components {
		names[c.Name] = c.Version != ""
	}
	if bill.BOMFormat != "CycloneDX" || !names["gorm.io/gorm"] || !names["modernc.org/sqlite"] {
		t.Errorf("the bill of materials is %q with %v", bill.BOMFormat, bill.Components)
	}
}
