//go:build linux

// Package deploytest tests what installs the program: the image, the manifests, the unit and the release.
package deploytest

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
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

	"github.com/jackc/pgx/v5"
)

// nonroot is the user of distroless images with the tag nonroot.
const nonroot = 65532

const databaseVariable = "TEST_DATABASE_URL"

// root is the repository's. Go keeps the results of tests whose files and variables are the same, and does not look at
// files of another module, which are those that these tests are about. The address of a throw-away server is another one
// each time.
func root(t *testing.T) string {
	t.Helper()
	if os.Getenv(databaseVariable) == "" {
		t.Fatal("this test needs PostgreSQL: run make test, or scripts/test-postgres go test ./... from here")
	}
	return "../.."
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The server starts in the image as whoever deploys it starts it: by itself, and as the manifests say.
func TestTheImage(t *testing.T) {
	image := buildImage(t)
	t.Run("by itself", func(t *testing.T) {
		server := image.start(t, image.arguments, nil)
		server.answers(t, "/healthz")
		var outside []string
		_ = filepath.WalkDir(image.folder, func(path string, entry fs.DirEntry, err error) error {
			if name, _ := filepath.Rel(image.folder, path); !entry.IsDir() && name != "auditlogs" && !strings.HasPrefix(name, "data/") {
				outside = append(outside, name)
			}
			return err
		})
		if len(outside) > 0 {
			t.Errorf("the server left %q outside of /data", outside)
		}
		if _, err := os.Stat(filepath.Join(image.folder, "data/auditlogs.db")); err != nil {
			t.Error(err)
		}
	})
	t.Run("in Compose", func(t *testing.T) { startInCompose(t, image) })
	t.Run("in Kubernetes", func(t *testing.T) { startInKubernetes(t, image) })
	t.Run("variables", func(t *testing.T) {
		help, err := exec.CommandContext(t.Context(), filepath.Join(image.folder, "auditlogs"), "serve", "--help").Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"Dockerfile", "deploy/auditlogs.service", "deploy/compose.yaml", "deploy/kubernetes.yaml"} {
			for _, name := range regexp.MustCompile(`AUDITLOGS_[A-Z_]+`).FindAllString(read(t, file), -1) {
				if !strings.Contains(string(help), "($"+name+")") {
					t.Errorf("%s sets %s, which serve does not know", file, name)
				}
			}
		}
	})
}

// A program that is built without a file that git knows calls itself changed. What .dockerignore says is read by git's
// rules, which are the same for what it says.
func TestTheImageIsBuiltOfAllThatIsCommitted(t *testing.T) {
	command := exec.CommandContext(t.Context(), "git", "ls-files", "--cached", "--ignored", "--exclude-from=.dockerignore")
	command.Dir = root(t)
	if left, err := command.CombinedOutput(); err != nil || len(left) > 0 {
		t.Errorf("the build context lacks (%v):\n%s", err, left)
	}
}

// image is the file system that the Dockerfile makes, and how it is run.
type image struct {
	folder           string
	environment      []string
	entry, arguments []string
	port             string
}

func buildImage(t *testing.T) image {
	t.Helper()
	dockerfile := read(t, "Dockerfile")
	if base := instruction(t, dockerfile, "FROM"); !strings.HasSuffix(base, "static-debian12:nonroot") {
		t.Fatalf("the image is built on %s, and this test on something else", base)
	}
	image := image{folder: t.TempDir(), environment: strings.Fields(instruction(t, dockerfile, "ENV")), port: instruction(t, dockerfile, "EXPOSE")}
	for name, list := range map[string]*[]string{"ENTRYPOINT": &image.entry, "CMD": &image.arguments} {
		if err := json.Unmarshal([]byte(instruction(t, dockerfile, name)), list); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Contains(image.environment, "AUDITLOGS_ADDR=0.0.0.0:"+image.port) {
		t.Errorf("the image exposes port %s, and listens elsewhere: %q", image.port, image.environment)
	}
	build := regexp.MustCompile(`go build (.+) -o /image/auditlogs \.`).FindStringSubmatch(dockerfile)
	if build == nil {
		t.Fatal("the Dockerfile does not build /image/auditlogs")
	}
	command := exec.CommandContext(t.Context(), "sh", "-c", "CGO_ENABLED=0 go build "+build[1]+" -o "+image.folder+"/auditlogs .")
	command.Dir = root(t)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	data := filepath.Join(image.folder, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(data, nonroot, nonroot); err != nil {
			t.Fatal(err)
		}
	}
	for folder := image.folder; folder != "/"; folder = filepath.Dir(folder) {
		if info, err := os.Stat(folder); err == nil && info.Mode()&0o001 == 0 {
			if err := os.Chmod(folder, info.Mode()|0o055); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Chmod(image.folder, 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(image.folder, 0o755) })
	return image
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

// server is one that runs in the image.
type server struct{ address string }

// start enters the image by chroot as its user, who can write nothing but /data, and runs its program until it answers.
func (i image) start(t *testing.T, arguments, environment []string) server {
	t.Helper()
	process := &syscall.SysProcAttr{Chroot: i.folder, Credential: &syscall.Credential{Uid: nonroot, Gid: nonroot, NoSetGroups: true}}
	if os.Getuid() != 0 { // its own user, under that number: the only one that may chroot
		process.Cloneflags = syscall.CLONE_NEWUSER
		process.UidMappings = []syscall.SysProcIDMap{{ContainerID: nonroot, HostID: os.Getuid(), Size: 1}}
		process.GidMappings = []syscall.SysProcIDMap{{ContainerID: nonroot, HostID: os.Getgid(), Size: 1}}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := server{listener.Addr().String()} // a port of its own, which nobody else takes as soon
	_ = listener.Close()
	command := exec.CommandContext(t.Context(), i.entry[0], slices.Concat(i.entry[1:], arguments)...)
	command.Dir, command.SysProcAttr = "/", process
	command.Env = slices.Concat(i.environment, environment, []string{"AUDITLOGS_ADDR=" + s.address})
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.Stdout, command.Stderr = t.Output(), t.Output()
	if err := command.Start(); err != nil {
		t.Fatalf("enter the image: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = command.Wait()
		close(ended)
	}()
	t.Cleanup(func() { <-ended })
	for deadline := time.After(time.Minute); ; {
		if connection, err := net.Dial("tcp", s.address); err == nil {
			_ = connection.Close()
			return s
		}
		select {
		case <-ended:
			t.Fatalf("the server ends: %v", command.ProcessState)
		case <-deadline:
			t.Fatal("the server does not answer")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// answers expects 200 at path.
func (s server) answers(t *testing.T, path string) {
	t.Helper()
	client := http.Client{Timeout: 30 * time.Second}
	answer, err := client.Get("http://" + s.address + path)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("%s answers %d", path, answer.StatusCode)
	}
}

// newDatabase makes a database of the PostgreSQL server that the tests have, which is dropped when the test ends.
func newDatabase(t *testing.T) (address string) {
	t.Helper()
	config, err := pgx.ParseConfig(os.Getenv(databaseVariable))
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("auditlogs_deploytest_%d_%d", os.Getpid(), time.Now().UnixNano())
	exec := func(statement string) {
		t.Helper()
		connection, err := pgx.ConnectConfig(context.Background(), config)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close(context.Background())
		if _, err := connection.Exec(context.Background(), statement); err != nil {
			t.Error(err)
		}
	}
	exec("CREATE DATABASE " + name)
	t.Cleanup(func() { exec("DROP DATABASE " + name + " WITH (FORCE)") })
	return fmt.Sprintf("postgres://%s:%s@%s:%d/%s?sslmode=disable", config.User, config.Password, config.Host, config.Port, name)
}
