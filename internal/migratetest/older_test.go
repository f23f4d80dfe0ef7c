//go:build unix

package migratetest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/commands"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

// olderCommit is the last before entries said how they ended, whose schema has version 14.
const olderCommit, olderVersion = "7e4e0a7", 14

// older builds the program of that commit, in a folder that is kept: what was compiled there is used again.
var olderProgram = sync.OnceValues(func() (program string, err error) {
	there := func() bool { return exec.Command("git", "cat-file", "-e", olderCommit+"^{commit}").Run() == nil }
	if !there() && exec.Command("git", "fetch", "--quiet", "--unshallow").Run() != nil || !there() {
		return "", fmt.Errorf("this test builds the program of commit %s, which is not here: the clone has to have the whole history (git fetch --unshallow)", olderCommit)
	}
	caches, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(caches, "auditlogs-tests", olderCommit)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	program = filepath.Join(folder, "auditlogs")
	for _, command := range []*exec.Cmd{
		exec.Command("sh", "-c", "git -C ../.. archive "+olderCommit+" | tar -x -C '"+folder+"'"),
		exec.Command("go", "build", "-C", folder, "-o", program, "."),
	} {
		if out, err := command.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w\n%s", command, err, out)
		}
	}
	return program, nil
})

// A table of docs/deployment.md says which program runs on which schema.
func TestProgramsOnTheSchemasOfOthers(t *testing.T) {
	program, err := olderProgram()
	if err != nil {
		t.Fatal(err)
	}
	for name, address := range map[string]string{
		"sqlite":   "sqlite:" + filepath.Join(t.TempDir(), "older.db"),
		"postgres": databasetest.EmptyPostgresURL(t),
	} {
		t.Run(name, func(t *testing.T) { (&upgrade{program, address}).test(t) })
	}
}

// upgrade is a database that the older program made, and both programs use.
type upgrade struct{ program, address string }

func (u *upgrade) test(t *testing.T) {
	record := []string{"record", "--organization", "acme", "--action", "service:update", "--system", "test", "--entity-id"}
	reset := []string{"reset-password", "nobody@example.com"}
	const later = "later than this program's"

	u.older(t, "", "migrate")
	db := databasetest.Open(t, u.address)
	if there := u.version(t, db); there != olderVersion {
		t.Fatalf("the older program made version %d, want %d", there, olderVersion)
	}
	u.fill(t, db)
	u.older(t, "", append(record, "by-older")...)
	server := u.serveOlder(t)
	server.use(t, "before")

	// The newer one on the older schema.
	for _, arguments := range [][]string{append(record, "refused"), reset, {"organizations"}, {"backup", filepath.Join(t.TempDir(), "backup")}} {
		u.newer(t, "its schema is not this version's: run auditlogs migrate first", arguments...)
	}
	err := db.Write.Transaction(func(tx *gorm.DB) error {
		_, err := audit.Record(t.Context(), tx, audit.Event{Organization: "acme", Action: action.ServiceUpdate, EntityID: "refused", Actor: audit.System("test"),
			Outcome: audit.OutcomeFailure})
		return err
	})
	if !errors.Is(err, audit.ErrNotMigrated) {
		t.Errorf("the newer package records on the older schema with %v", err)
	}
	if there := u.version(t, db); there != olderVersion {
		t.Fatalf("the schema has version %d after what changes none", there)
	}
	u.newer(t, "", "migrate")
	if there := u.version(t, db); there <= olderVersion {
		t.Fatalf("the schema has version %d after it was migrated", there)
	}

	// The older one on the newer schema: what runs goes on, and what is started records, and serves no more.
	for n := range 3 {
		server.use(t, fmt.Sprint("after-", n))
	}
	u.older(t, "", append(record, "by-older-later")...)
	u.older(t, "", "migrate")
	u.older(t, later, "serve", "--addr", "127.0.0.1:0")
	u.older(t, later, reset...)
	server.stop(t)

	u.newer(t, "", append(record, "by-newer")...)
	u.newer(t, "no account has the e-mail address", reset...) // it runs
	if err := db.Write.Exec("INSERT INTO audit_schema_version (version_id, is_applied) VALUES (999, true)").Error; err != nil {
		t.Fatal(err)
	}
	u.newer(t, later, "serve", "--addr", "127.0.0.1:0")
	u.newer(t, "no account has the e-mail address", reset...)
	u.newer(t, "", "organizations")
	u.newer(t, "schema has version 999", "backup", filepath.Join(t.TempDir(), "backup"))
	var entities []string
	if err := db.Read.Raw("SELECT entity_id FROM audit_entries ORDER BY org_id, id").Scan(&entities).Error; err != nil {
		t.Fatal(err)
	}
	if want := []string{"by-older", "before", "after-0", "after-1", "after-2", "by-older-later", "by-newer"}; !slices.Equal(entities, want) {
		t.Errorf("the log has %q, want %q", entities, want)
	}
}

func (u *upgrade) version(t *testing.T, db *database.DB) (version int) {
	t.Helper()
	if err := db.Write.Raw("SELECT max(version_id) FROM audit_schema_version").Scan(&version).Error; err != nil {
		t.Fatal(err)
	}
	return version
}

// Two API keys: one to send with, and one to read with.
var writeKey, readKey = "alk_" + strings.Repeat("w", 43), "alk_" + strings.Repeat("r", 43)

// fill makes an organization and the keys.
func (u *upgrade) fill(t *testing.T, db *database.DB) {
	t.Helper()
	now := models.MicrosOf(time.Now())
	insert := func(table string, row map[string]any) {
		t.Helper()
		if err := db.Write.Table(table).Create(row).Error; err != nil {
			t.Fatal(err)
		}
	}
	insert("audit_organizations", map[string]any{"slug": "acme", "name": "Acme", "created_at": now})
	for scope, token := range map[string]string{"write": writeKey, "read": readKey} {
		sum := sha256.Sum256([]byte(token))
		insert("audit_api_keys", map[string]any{"token_hash": sum[:], "org_id": 1, "id": "key_" + scope, "name": scope, "scope": scope,
			"hint": token[len(token)-4:], "created_by": "usr_ada", "created_at": now})
	}
}

// older runs the older program, which must succeed or, where a reason is given, refuse with it and exit code 1.
func (u *upgrade) older(t *testing.T, reason string, arguments ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, u.program, append(arguments, "--database", u.address)...)
	out, _ := command.CombinedOutput()
	expectEnd(t, "older", arguments, command.ProcessState.ExitCode(), string(out), reason)
}

// newer does the same with the program as it is.
func (u *upgrade) newer(t *testing.T, reason string, arguments ...string) {
	t.Helper()
	var out bytes.Buffer
	code := commands.Run(t.Context(), append(arguments, "--database", u.address), strings.NewReader(""), &out, &out)
	expectEnd(t, "newer", arguments, code, out.String(), reason)
}

func expectEnd(t *testing.T, program string, arguments []string, code int, said, reason string) {
	t.Helper()
	want := 0
	if reason != "" {
		want = 1
	}
	if code != want || !strings.Contains(said, reason) {
		t.Errorf("the %s program's %s ends with exit code %d, want %d, and says %s", program, strings.Join(arguments, " "), code, want, said)
	}
}

// olderServer is a server of the older program.
type olderServer struct {
	command *exec.Cmd
	url     string
}

func (u *upgrade) serveOlder(t *testing.T) olderServer {
	t.Helper()
	command := exec.Command(u.program, "serve", "--addr", "127.0.0.1:0", "--database", u.address)
	command.Env = append(os.Environ(), "AUDITLOGS_SECRET_KEY=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
	console, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() }) // where it was not stopped
	for lines := bufio.NewScanner(console); lines.Scan(); {
		if _, url, found := strings.Cut(lines.Text(), "Audit Logs is at "); found {
			return olderServer{command, url}
		}
	}
	t.Fatal("the older program does not serve")
	return olderServer{}
}

// use sends an event and reads it back. PostgreSQL refuses once, on each connection, what that version has prepared of a
// table that has got a column since; whoever is answered 500 sends it again, as package client does.
func (s olderServer) use(t *testing.T, entity string) {
	t.Helper()
	for _, asked := range []struct {
		method, path, key, body string
		status                  int
	}{
		{http.MethodPost, "/api/v1/events", writeKey, `{"action":"service:update","entity_id":"` + entity + `","actor":{"id":"u-1"}}`, http.StatusCreated},
		{http.MethodGet, "/api/v1/entries?q=" + entity, readKey, "", http.StatusOK},
		{http.MethodGet, "/login", "", "", http.StatusOK},
	} {
		const connections = 20 // of a server
		for again := range connections + 1 {
			request, err := http.NewRequestWithContext(t.Context(), asked.method, s.url+asked.path, strings.NewReader(asked.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+asked.key)
			request.Header.Set("Content-Type", "application/json")
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			var body bytes.Buffer
			_, _ = body.ReadFrom(answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusInternalServerError && again < connections {
				continue
			}
			if answer.StatusCode != asked.status {
				t.Errorf("the older server answers %s %s, %s, with %s: %s", asked.method, asked.path, entity, answer.Status, body.String())
			}
			break
		}
	}
}

func (s olderServer) stop(t *testing.T) {
	t.Helper()
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.command.Wait(); err != nil {
		t.Errorf("the older server ends with %v", err)
	}
}
