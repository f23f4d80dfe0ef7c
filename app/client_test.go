package app_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/client"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// address is where services find the log: servers come and go behind it.
type address struct {
	server   atomic.Pointer[apptest.Server] // nil: nobody listens
	requests atomic.Int64
	// losesEvery is how often an answer is lost on its way back: of every so many one; 0 means none.
	losesEvery atomic.Int64
}

func (a *address) RoundTrip(r *http.Request) (*http.Response, error) {
	server := a.server.Load()
	if server == nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	}
	r = r.Clone(r.Context())
	r.URL.Host, r.Host = strings.TrimPrefix(server.URL, "http://"), ""
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if lost := a.losesEvery.Load(); err == nil && lost > 0 && a.requests.Add(1)%lost == 0 {
		_ = response.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	return response, err
}

// clientFixture is a log that services record in over HTTP.
type clientFixture struct {
	address
	t     *testing.T
	db    *database.DB
	clock *apptest.Clock
	org   models.Organization
	key   accounts.APIKey
	token string
}

func newClientFixture(t *testing.T, db *database.DB) *clientFixture {
	t.Helper()
	f := &clientFixture{t: t, db: db, clock: apptest.NewClock()}
	f.clock.Advance(time.Since(f.clock.Now())) // clients have no other clock than the machine's
	f.start()
	f.org = f.server.Load().Organization(t, "acme")
	err := f.server.Load().Store.Transaction(t.Context(), func(tx *gorm.DB) (err error) {
		f.key, f.token, err = accounts.CreateAPIKey(t.Context(), tx, f.org.ID, "deployer", accounts.ScopeWrite, "usr_1", 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *clientFixture) start() {
	f.t.Helper()
	f.server.Store(apptest.StartAt(f.t, f.db, f.clock))
}

func (f *clientFixture) stop() { f.server.Swap(nil).Stop() }

func (f *clientFixture) client(spool string) *client.Client {
	f.t.Helper()
	client, err := client.New(client.Config{
		URL: "http://audit.example.com", Key: f.token, Spool: spool,
		HTTPClient: &http.Client{Transport: &f.address},
		Log:        slog.New(slog.DiscardHandler),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return client
}

func (f *clientFixture) entries() (entries []models.Entry) {
	f.t.Helper()
	if err := f.db.Write.WithContext(f.t.Context()).Order("id").Find(&entries).Error; err != nil {
		f.t.Fatal(err)
	}
	return entries
}

// wantOnce demands that events 0 to n-1 are in the log, each once, and nothing else.
func (f *clientFixture) wantOnce(n int) {
	f.t.Helper()
	times := map[string]int{}
	for _, e := range f.entries() {
		times[e.EntityID]++
	}
	for i := range n {
		if id := fmt.Sprint(i); times[id] != 1 {
			f.t.Errorf("event %s is there %d times", id, times[id])
		}
	}
	if len(times) != n {
		f.t.Errorf("the log has %d events, want %d", len(times), n)
	}
}

// wantInOrder demands that events 0 to n-1 are in the log, in this order, and nothing else.
func (f *clientFixture) wantInOrder(n int) {
	f.t.Helper()
	entries := f.entries()
	if len(entries) != n {
		f.t.Errorf("the log has %d events, want %d", len(entries), n)
	}
	for i, e := range entries {
		if e.EntityID != fmt.Sprint(i) {
			f.t.Fatalf("entry %d is of event %s", i, e.EntityID)
		}
	}
}

func deployment(i int) audit.Event {
	return audit.Event{
		Action: action.DeploymentCreate, EntityID: fmt.Sprint(i), EntityName: "Größe <" + fmt.Sprint(i) + ">",
		Actor: audit.Actor{ID: "u1", Name: "Anna"}, Metadata: map[string]any{"service_name": "API", "token": "t0p"},
	}
}

func TestClientIsAnsweredAsRecordIs(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newClientFixture(t, db)
		c := f.client("")
		defer func() {
			if err := c.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		record := func(e audit.Event) (audit.Receipt, error) { return c.Record(t.Context(), e) }

		named := deployment(0)
		named.ID, named.OccurredAt = "m-1", time.Now().Add(-time.Hour).Truncate(time.Microsecond)
		first, err := record(named)
		if err != nil || !first.Stored || first.Repeated {
			t.Fatalf("answers %+v, %v", first, err)
		}
		if again, err := record(named); err != nil || !again.Repeated || again.EntryID != first.EntryID {
			t.Errorf("again: %+v, %v", again, err)
		}
		entries := f.entries()
		if len(entries) != 1 || entries[0].ID.String() != first.EntryID {
			t.Fatalf("the log has %+v", entries)
		}
		if e := entries[0]; e.EntityName != "Größe <0>" || e.ActorName != "Anna" || e.APIKeyID != f.key.ID || e.IP != "" ||
			!e.OccurredAt.Time().Equal(named.OccurredAt) || strings.Contains(e.Metadata, "t0p") {
			t.Errorf("stored %+v", e)
		}

		other := named
		other.EntityID = "1"
		if _, err := record(other); !errors.Is(err, audit.ErrIDReused) {
			t.Errorf("another event with the ID: %v", err)
		}
		foreign := deployment(1)
		foreign.Organization = "elsewhere"
		if _, err := record(foreign); !errors.Is(err, audit.ErrNoOrganization) {
			t.Errorf("another organization: %v", err)
		}
		old := deployment(1)
		old.OccurredAt = time.Now().AddDate(-1, 0, 0)
		var invalid *audit.InvalidEventError
		if _, err := record(old); !errors.As(err, &invalid) || invalid.Field != "occurred_at" || !errors.Is(err, audit.ErrExpired) {
			t.Errorf("an event of last year: %v", err)
		}
		set := func(sql string, args ...any) {
			if err := db.Write.Exec(sql, args...).Error; err != nil {
				t.Fatal(err)
			}
		}
		set("UPDATE audit_organizations SET logging_enabled = ?", false)
		if receipt, err := record(deployment(1)); err != nil || receipt != (audit.Receipt{}) {
			t.Errorf("while logging is off: %+v, %v", receipt, err)
		}
		set("UPDATE audit_organizations SET closed_at = ?", models.MicrosOf(f.clock.Now()))
		if _, err := record(deployment(1)); !errors.Is(err, audit.ErrOrganizationClosed) {
			t.Errorf("a deleted organization: %v", err)
		}
		set("UPDATE audit_api_keys SET revoked_at = ?", models.MicrosOf(f.clock.Now()))
		var answered *client.APIError
		if _, err := record(deployment(1)); !errors.As(err, &answered) || answered.Status != http.StatusUnauthorized {
			t.Errorf("a revoked key: %v", err)
		}
		f.wantOnce(1)
	})
}

func TestClientsEventsOutliveAnOutageOnce(t *testing.T) {
	for name, spooled := range map[string]bool{"with a spool": true, "without a spool": false} {
		t.Run(name, func(t *testing.T) {
			databasetest.Each(t, func(t *testing.T, db *database.DB) {
				f := newClientFixture(t, db)
				f.losesEvery.Store(3)
				spool := ""
				if spooled {
					spool = t.TempDir()
				}
				const producers, each = 40, 8
				client := f.client(spool)
				var recorded atomic.Int64
				var running sync.WaitGroup
				for p := range producers {
					running.Go(func() {
						for i := range each {
							if _, err := client.Record(t.Context(), deployment(p*each+i)); err != nil {
								t.Errorf("event %d: %v", p*each+i, err)
							}
							recorded.Add(1)
						}
					})
				}
				for range 2 { // under load
					for before := recorded.Load(); recorded.Load() < min(before+50, producers*each); {
						time.Sleep(time.Millisecond)
					}
					f.stop()
					f.start()
				}
				running.Wait()
				f.losesEvery.Store(0)
				if err := client.Close(t.Context()); err != nil {
					t.Error(err)
				}
				f.wantOnce(producers * each)
			})
		})
	}
}

// A service crashes while the log is away, again and again, and what it was about to send may have
// arrived each time.
func TestASpoolIsSentByWhoeverComesNext(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newClientFixture(t, db)
		f.losesEvery.Store(2)
		spool := t.TempDir()
		at := time.Now().Add(-time.Minute).Truncate(time.Second) // of all events
		ended, end := context.WithCancel(t.Context())
		end()
		const lives, each = 6, 20
		for life := range lives {
			c := f.client(spool)
			for i := range each {
				e := deployment(life*each + i)
				e.OccurredAt = at
				if receipt, err := c.Record(t.Context(), e); err != nil || !receipt.Spooled {
					t.Fatalf("answers %+v, %v", receipt, err)
				}
				if life == 3 && i == each/2 {
					f.stop()
				}
			}
			var unsent *client.UnsentError
			if err := c.Close(ended); err != nil && !errors.As(err, &unsent) {
				t.Fatal(err)
			}
		}
		backup := filepath.Join(t.TempDir(), "backup")
		if err := os.CopyFS(backup, os.DirFS(spool)); err != nil {
			t.Fatal(err)
		}
		f.start()
		c := f.client(spool)
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		f.wantInOrder(lives * each)

		// The spool comes back from a backup when the server has forgotten the IDs.
		f.clock.Advance(25 * time.Hour)
		if _, err := f.server.Load().Store.DeleteExpiredKeys(t.Context(), f.clock.Now(), 10_000); err != nil {
			t.Fatal(err)
		}
		c = f.client(backup)
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if stats := c.Stats(); stats.Recorded == 0 || stats.Refused > 0 {
			t.Errorf("sent again: %+v", stats)
		}
		f.wantInOrder(lives * each)
	})
}

// Whichever of several servers takes an event, it stays where its client had it.
func TestAClientsEventsOfOneMomentStayInOrder(t *testing.T) {
	for name, spooled := range map[string]bool{"with a spool": true, "without a spool": false} {
		t.Run(name, func(t *testing.T) {
			databasetest.Each(t, func(t *testing.T, db *database.DB) {
				f := newClientFixture(t, db)
				servers := []*apptest.Server{f.server.Load(), apptest.StartAt(t, db, f.clock)}
				spool := ""
				if spooled {
					spool = t.TempDir()
				}
				client := f.client(spool)
				for i := range 30 {
					f.server.Store(servers[i%2])
					e := deployment(i)
					e.OccurredAt = f.clock.Now().Truncate(time.Second)
					if i%3 == 0 {
						e.ID = fmt.Sprint("m-", i)
					}
					if _, err := client.Record(t.Context(), e); err != nil {
						t.Fatal(err)
					}
				}
				if err := client.Close(t.Context()); err != nil {
					t.Error(err)
				}
				f.wantInOrder(30)
			})
		})
	}
}
