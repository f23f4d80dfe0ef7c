package commands

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/handlers/secrets"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// storeSecret connects an organization to GitHub, its secret encrypted with key.
func storeSecret(t *testing.T, url, slug, key string) {
	t.Helper()
	box, err := secrets.New(key)
	if err != nil {
		t.Fatal(err)
	}
	store, err := databasetest.Open(t, url).Store(nil)
	if err != nil {
		t.Fatal(err)
	}
	err = store.Transaction(t.Context(), func(tx *gorm.DB) error {
		org, err := models.CreateOrganization(t.Context(), models.HandleOf(tx), slug, slug, "")
		if err != nil {
			return err
		}
		_, err = accounts.ConnectGitHub(t.Context(), tx, org.ID, "usr_1", func(purpose string) []byte {
			return box.Seal(purpose, []byte("hush"))
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// starts says that the server starts with a secret key; "" gives it none.
func starts(t *testing.T, url, key string) {
	t.Helper()
	t.Setenv("AUDITLOGS_SECRET_KEY", key)
	_, stop := serve(t, "--database", url)
	stop()
}

// refusesToStart says that the server ends with one line that holds words, and no key.
func refusesToStart(t *testing.T, url, key, words string) {
	t.Helper()
	t.Setenv("AUDITLOGS_SECRET_KEY", key)
	code, stdout, stderr := execute(t, "serve", "--addr", "127.0.0.1:0", "--database", url)
	if code != 1 || !strings.Contains(stderr, words) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("exit code %d, %q, want one line with %q", code, stderr, words)
	}
	for part := range strings.SplitSeq(key, ",") {
		if part != "" && strings.Contains(stdout+stderr, part) {
			t.Errorf("it shows the key: %q", stderr)
		}
	}
}

func TestASecretKeyIsMadeBesideASQLiteDatabase(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log.db")
	url := "sqlite:" + file
	starts(t, url, "")
	made, err := os.ReadFile(file + ".key")
	if err != nil {
		t.Fatal(err)
	}
	if key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(made))); err != nil || len(key) != 32 {
		t.Errorf("the file holds %d bytes of base64: %v", len(key), err)
	}
	if info, err := os.Stat(file + ".key"); err != nil || info.Mode() != 0o600 {
		t.Errorf("the file's mode is %v: %v", info.Mode(), err)
	}
	if left, _ := filepath.Glob(file + ".key.*"); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}

	storeSecret(t, url, "acme", string(made))
	starts(t, url, "")
	if again, err := os.ReadFile(file + ".key"); err != nil || string(again) != string(made) {
		t.Errorf("the key changed: %v", err)
	}
	refusesToStart(t, url, secrets.NewKey(), "--secret-key is not the key")
	if err := os.WriteFile(file+".key", []byte(secrets.NewKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	refusesToStart(t, url, "", "log.db.key is not the key")
	if err := os.WriteFile(file+".key", []byte("half a ke"), 0o600); err != nil {
		t.Fatal(err)
	}
	refusesToStart(t, url, "", "log.db.key is not the base64 of 32 bytes")
	if err := os.Remove(file + ".key"); err != nil {
		t.Fatal(err)
	}
	refusesToStart(t, url, "", "log.db.key is missing")
	starts(t, url, strings.TrimSpace(string(made)))
}

func TestPostgreSQLNeedsTheSecretKeyOnceASecretIsStored(t *testing.T) {
	url, key := databasetest.EmptyPostgresURL(t), secrets.NewKey()
	starts(t, url, "")
	starts(t, url, key)
	starts(t, url, secrets.NewKey()) // nothing was encrypted yet
	storeSecret(t, url, "acme", key)
	refusesToStart(t, url, "", "--secret-key is required")
	refusesToStart(t, url, secrets.NewKey(), "--secret-key is not the key")
	starts(t, url, key)
}

func TestTheSecretKeyIsChanged(t *testing.T) {
	for name, url := range map[string]string{
		"sqlite":   "sqlite:" + filepath.Join(t.TempDir(), "log.db"),
		"postgres": databasetest.EmptyPostgresURL(t),
	} {
		t.Run(name, func(t *testing.T) {
			older, newer := secrets.NewKey(), secrets.NewKey()
			starts(t, url, older)
			storeSecret(t, url, "acme", older)
			storeSecret(t, url, "other", newer)
			starts(t, url, newer+","+older)
			starts(t, url, newer)
			refusesToStart(t, url, older, "--secret-key is not the key")
		})
	}
}

func TestASecretKeyThatIsNone(t *testing.T) {
	refusesToStart(t, "sqlite:"+filepath.Join(t.TempDir(), "log.db"), "correct-horse", "--secret-key is not the base64 of 32 bytes")
}
