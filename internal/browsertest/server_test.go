package browsertest

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/app/demo"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

const (
	logs     = "/orgs/northwind/settings/audit-logs"
	settings = "/orgs/northwind/settings/organization"
	members  = "/orgs/northwind/settings/members"
	apiKeys  = "/orgs/northwind/settings/api-keys"

	accessLog    = "/orgs/northwind/settings/access-log"
	integrations = "/orgs/northwind/settings/integrations"
)

// filled is the file of a demo database, made once: every test gets a copy.
var filled struct {
	once sync.Once
	file []byte
	err  error
}

// serveDemo runs the app on a demo of the test's own. Nothing happens in it but what the test does.
func serveDemo(t *testing.T, options ...func(*app.Config)) *apptest.Server {
	t.Helper()
	filled.once.Do(func() { filled.file, filled.err = fillDemo(t) })
	if filled.err != nil {
		t.Fatal(filled.err)
	}
	path := filepath.Join(t.TempDir(), "demo.db")
	if err := os.WriteFile(path, filled.file, 0o600); err != nil {
		t.Fatal(err)
	}
	return apptest.Start(t, databasetest.Open(t, "sqlite:"+path), append(options, func(c *app.Config) {
		c.Demo = true
		c.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	})...)
}

func fillDemo(t *testing.T) ([]byte, error) {
	path := filepath.Join(t.TempDir(), "filled.db")
	db := databasetest.SQLite(t)
	store, err := db.Store(apptest.NewClock().Now)
	if err != nil {
		return nil, err
	}
	if err := demo.Prepare(t.Context(), store, slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
		return nil, err
	}
	if err := store.Writer(t.Context()).Exec("VACUUM INTO ?", path).Error; err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
