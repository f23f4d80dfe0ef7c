//go:build linux

package app_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// storing is a server whose database is kept from storing anything.
type storing struct {
	*apptest.Server
	t          *testing.T
	program    *apptest.Client // with key
	key        string
	reader     *apptest.Client
	stored     int // acknowledged
	eventBytes int
}

func newStoring(t *testing.T, db *database.DB) *storing {
	t.Helper()
	s := &storing{Server: apptest.Start(t, db), t: t}
	org := s.Organization(t, "acme")
	s.program, s.key = s.Client(t), s.Key(t, org, accounts.ScopeWrite)
	s.reader = s.As(t, s.Member(t, "jo@example.com", accounts.RoleMember, org))
	for range 3 {
		s.send(http.StatusCreated)
	}
	s.health(http.StatusOK, "ok")
	return s
}

// send sends an event, which is answered with one of statuses: refused, with when to come again.
func (s *storing) send(statuses ...int) (status int) {
	s.t.Helper()
	noise := make([]byte, max(1, s.eventBytes/2)) // which nothing makes smaller
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	page := s.program.Do(http.MethodPost, "/api/v1/events", strings.NewReader(fmt.Sprintf(
		`{"action":"service:update","entity_id":"s-1","actor":{"id":"u","name":"U"},"metadata":{"noise":%q}}`, hex.EncodeToString(noise))),
		"Authorization", "Bearer "+s.key, "Content-Type", "application/json")
	if page.Status == http.StatusCreated {
		s.stored++
	}
	for _, want := range statuses {
		if page.Status != want {
			continue
		}
		if seconds, err := strconv.Atoi(page.Header.Get("Retry-After")); want == http.StatusServiceUnavailable && (err != nil || seconds < 1) {
			s.t.Errorf("a refusal says Retry-After: %q", page.Header.Get("Retry-After"))
		}
		return page.Status
	}
	s.t.Fatalf("an event is answered %d, want one of %d: %s", page.Status, statuses, page.Body)
	return 0
}

// sendUntil sends events until one is answered with that status.
func (s *storing) sendUntil(status int) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); s.send(http.StatusCreated, http.StatusServiceUnavailable) != status; {
		if time.Now().After(deadline) {
			s.t.Fatalf("no event is answered %d", status)
		}
	}
}

// health waits until a probe finds the server's health to be so.
func (s *storing) health(status int, words string) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		s.Clock.Advance(time.Minute)
		page := s.program.Get("/healthz")
		if page.Status == status && strings.Contains(page.Body, words) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("/healthz answers %d, %q, want %d, %q", page.Status, page.Body, status, words)
		}
	}
}

// reads expects that the log can be read.
func (s *storing) reads() {
	s.t.Helper()
	page := s.reader.Get(acmeLog + "?action=service:update").Expect(http.StatusOK)
	if n := page.Find("tbody[data-entry-id]").Length(); n != min(s.stored, 50) {
		s.t.Errorf("the log shows %d entries, want %d", n, min(s.stored, 50))
	}
	s.program.Get("/readyz").Expect(http.StatusOK)
}

// well expects that all is well again, and that every entry that was acknowledged is there.
func (s *storing) well() {
	s.t.Helper()
	s.health(http.StatusOK, "ok")
	s.send(http.StatusCreated)
	s.reads()
	var kept int
	if err := s.DB.Read.Raw("SELECT COUNT(*) FROM audit_entries WHERE action = 'service:update'").Scan(&kept).Error; err != nil || kept != s.stored {
		s.t.Errorf("%d entries are kept of %d acknowledged: %v", kept, s.stored, err)
	}
}

func TestNothingIsStoredOnAFullDisk(t *testing.T) {
	test := func(t *testing.T, disk *databasetest.Disk, db *database.DB) {
		s := newStoring(t, db)
		for range 5 { // so that a row alone would find room in pages that are there
			s.health(http.StatusOK, "ok")
		}
		s.eventBytes = 100 << 10
		disk.Fill()
		s.Clock.Advance(time.Minute) // the first probe finds it: those after it might fill what room its row has left
		if page := s.program.Get("/healthz").Expect(http.StatusServiceUnavailable); !strings.Contains(page.Body, "database: stores nothing: its disk is full") {
			t.Errorf("its health is %q", page.Body)
		}
		s.sendUntil(http.StatusServiceUnavailable)
		s.eventBytes = 0
		s.health(http.StatusServiceUnavailable, "its disk is full")
		s.reads()
		disk.Free()
		s.well()

		// Found by an event, and by no probe: the clock stands still.
		s.eventBytes = 100 << 10
		disk.Fill()
		s.sendUntil(http.StatusServiceUnavailable)
		if page := s.program.Get("/healthz").Expect(http.StatusServiceUnavailable); !strings.Contains(page.Body, "its disk is full") {
			t.Errorf("its health is %q", page.Body)
		}
		disk.Free()
		s.eventBytes = 0
		s.well()
	}
	t.Run("sqlite", func(t *testing.T) {
		disk := databasetest.NewDisk(t, 32<<20)
		content, err := os.ReadFile(databasetest.SQLiteFile(t))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(disk.Folder, "log.db")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		test(t, disk, databasetest.Open(t, "sqlite:"+path))
	})
	t.Run("postgres", func(t *testing.T) {
		disk := databasetest.NewDisk(t, 64<<20)
		server := databasetest.StartServer(t, "fsync = off")
		test(t, disk, databasetest.Open(t, server.DatabaseIn(t, disk.Folder)))
	})
}

// A session keeps the setting that its database had when it began: once the database takes changes again, the
// connections must be others.
func TestADatabaseThatBecomesReadOnly(t *testing.T) {
	ctx := t.Context()
	address := databasetest.PostgresURL(t)
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(parsed.Path, "/")
	parsed.Path = "/postgres"
	operator, err := pgx.Connect(ctx, parsed.String())
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Close(context.Background())
	set := func(value string) {
		t.Helper()
		if _, err := operator.Exec(ctx, "ALTER DATABASE "+name+" SET default_transaction_read_only = "+value); err != nil {
			t.Fatal(err)
		}
	}
	s := newStoring(t, databasetest.Open(t, address))
	set("on")
	for ended := false; !ended; { // PostgreSQL 13 does not wait for them by itself
		err := operator.QueryRow(ctx, "SELECT COUNT(pg_terminate_backend(pid)) = 0 FROM pg_stat_activity WHERE datname = $1", name).Scan(&ended)
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := readOnly(t, s.DB); n != 10 { // new ones, in place of those that were ended
		t.Errorf("%d of 10 connections are read-only", n)
	}
	s.health(http.StatusServiceUnavailable, "database: stores nothing: it is read-only")
	s.send(http.StatusServiceUnavailable)
	s.reads()
	if n := readOnly(t, s.DB); n != 10 {
		t.Errorf("%d of 10 connections are read-only", n)
	}
	for old := false; !old; { // younger ones would be kept for a moment
		err := operator.QueryRow(ctx, `SELECT MAX(backend_start) < clock_timestamp() - interval '1 s' FROM pg_stat_activity WHERE datname = $1`, name).Scan(&old)
		if err != nil {
			t.Fatal(err)
		}
	}
	set("off")
	refused := 0
	for range 5 {
		if s.send(http.StatusCreated, http.StatusServiceUnavailable) != http.StatusCreated {
			refused++
		}
	}
	if refused > 1 {
		t.Errorf("%d of 5 events are refused by connections that should have been dropped", refused)
	}
	s.well()
	if n := readOnly(t, s.DB); n > 0 {
		t.Errorf("%d of 10 connections are still read-only", n)
	}
}

// readOnly returns how many of ten connections of the pool are.
func readOnly(t *testing.T, db *database.DB) (n int) {
	t.Helper()
	pool, err := db.Write.DB()
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		conn, err := pool.Conn(t.Context())
		for err == nil && conn.PingContext(t.Context()) != nil { // it was ended
			_ = conn.Close()
			conn, err = pool.Conn(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var is string
		if err := conn.QueryRowContext(t.Context(), "SHOW transaction_read_only").Scan(&is); err != nil {
			t.Fatal(err)
		}
		if is == "on" {
			n++
		}
	}
	return n
}

// The same of a whole server, whose sessions follow at once.
func TestAServerThatBecomesReadOnly(t *testing.T) {
	server := databasetest.StartServer(t, "fsync = off")
	s := newStoring(t, databasetest.Open(t, server.Database(t)))
	server.Exec(t, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
	s.sendUntil(http.StatusServiceUnavailable)
	s.health(http.StatusServiceUnavailable, "it is read-only")
	s.reads()
	server.Exec(t, "ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")
	s.sendUntil(http.StatusCreated)
	s.well()
}

// readers returns how many connections there are that read, or can be made, of more than there were before.
func readers(t *testing.T, db *database.DB) (n int) {
	t.Helper()
	pool, err := db.Read.DB()
	if err != nil {
		t.Fatal(err)
	}
	pool.SetMaxOpenConns(8)
	pool.SetMaxIdleConns(8)
	for range 8 {
		conn, err := pool.Conn(t.Context())
		if err == nil {
			defer conn.Close()
			n++
		} else if !errors.Is(err, models.ErrFileGone) {
			t.Error(err)
		}
	}
	return n
}

func TestNothingIsStoredInAFileThatIsGone(t *testing.T) {
	path := databasetest.SQLiteFile(t)
	s := newStoring(t, databasetest.Open(t, "sqlite:"+path))
	gone := func() {
		t.Helper()
		s.send(http.StatusServiceUnavailable)
		s.health(http.StatusServiceUnavailable, "database: stores nothing: its file was deleted or replaced")
		s.reads()
		if n := readers(t, s.DB); n < 1 || n > 7 {
			t.Errorf("%d connections read it, want those that did before", n)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Rename(path, path+".away"))
	gone()
	if _, err := os.Stat(path); err == nil {
		t.Error("a new file was made in its place")
	}
	must(os.Rename(path+".away", path))
	s.well()

	must(os.Rename(path, path+".away"))
	must(os.Rename(databasetest.SQLiteFile(t), path))
	gone()
	must(os.Rename(path+".away", path))
	s.well()

	must(os.Remove(path))
	gone()
}
