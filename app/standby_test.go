//go:build unix

package app_test

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

const (
	acmeLog  = "/orgs/acme/settings/audit-logs"
	patience = 20 * time.Second
)

// What is told of replicas is tested in package database.
var quietLog = slog.New(slog.DiscardHandler)

// replicated is a primary and a standby, and two servers that read the log from the standby.
type replicated struct {
	t                *testing.T
	address          string // of the database at the primary
	primary, standby *databasetest.Server
	one, two         *apptest.Server
	admin, reader    *apptest.Client // at one
	key              string          // a program's, for reading
}

func newReplicated(t *testing.T) *replicated {
	r := &replicated{t: t, primary: databasetest.StartServer(t, "fsync = off")}
	r.address = r.primary.Database(t)
	r.standby = r.primary.Standby(t, r.address)
	clock := apptest.NewClock()
	open := func() *database.DB {
		db := databasetest.Open(t, r.address)
		if err := db.ReadLogFrom(t.Context(), []string{r.standby.URL}, quietLog); err != nil {
			t.Fatal(err)
		}
		return db
	}
	r.one, r.two = apptest.StartAt(t, open(), clock), apptest.StartAt(t, open(), clock)
	org := r.one.Organization(t, "acme")
	r.admin = r.one.As(t, r.one.Member(t, "ada@example.com", accounts.RoleAdmin, org))
	r.reader = r.one.As(t, r.one.Member(t, "jo@example.com", accounts.RoleMember, org))
	err := r.one.Store.Transaction(t.Context(), func(tx *gorm.DB) (err error) {
		_, r.key, err = accounts.CreateAPIKey(t.Context(), tx, org.ID, "reporting", accounts.ScopeRead, "ada", 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// record records an event as an application does, and returns the ID of its entry.
func (r *replicated) record(action action.Action) (id string) {
	r.t.Helper()
	err := r.one.Store.Transaction(r.t.Context(), func(tx *gorm.DB) error {
		receipt, err := audit.Record(r.t.Context(), tx, audit.Event{
			Organization: "acme", Action: action, EntityID: "x-1", Actor: audit.System("test"),
		})
		id = receipt.EntryID
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// onStandby runs a statement at the standby.
func (r *replicated) onStandby(statement string) {
	r.t.Helper()
	conn, err := pgx.Connect(r.t.Context(), r.standby.URL)
	if err == nil {
		defer conn.Close(r.t.Context())
		_, err = conn.Exec(r.t.Context(), statement)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// pause stops the standby's replay when it answers the reader and the admin, and returns the ID of an
// entry that it does not hold.
func (r *replicated) pause() (missing string) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		r.onStandby("SELECT pg_wal_replay_pause()")
		missing = r.record(action.ServiceUpdate)
		if !r.sees(r.reader, missing) && !r.sees(r.admin, missing) && !r.sees(r.reader.At(r.two), missing) {
			return missing
		}
		r.onStandby("SELECT pg_wal_replay_resume()")
		if time.Now().After(deadline) {
			r.t.Fatal("the standby does not answer")
		}
	}
}

// resume lets the standby go on, and waits until it shows an entry.
func (r *replicated) resume(missing string) {
	r.t.Helper()
	r.onStandby("SELECT pg_wal_replay_resume()")
	for deadline := time.Now().Add(patience); !r.sees(r.reader, missing); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatal("the standby does not go on")
		}
	}
}

// sees reports whether somebody's log shows an entry.
func (r *replicated) sees(client *apptest.Client, id string) bool {
	r.t.Helper()
	return client.Get(acmeLog).Expect(http.StatusOK).Find(`tbody[data-entry-id="`+id+`"]`).Length() == 1
}

// latest is the action at the top of somebody's log.
func latest(client *apptest.Client) string {
	cells := client.Get(acmeLog).Expect(http.StatusOK).Find(`#entries tbody[data-entry-id] [data-col=action]`)
	return strings.TrimSpace(cells.First().Text())
}

// api asks the API with the key.
func (r *replicated) api(path string) *apptest.Page {
	r.t.Helper()
	return r.one.Client(r.t).Get("/api/v1"+path, "Authorization", "Bearer "+r.key)
}

func TestTheLogIsReadFromAStandby(t *testing.T) {
	r := newReplicated(t)
	missing := r.pause()

	t.Run("by who reads", func(t *testing.T) {
		fragment := r.reader.Fragment(acmeLog + "?sort=action").Expect(http.StatusOK).Body
		page := r.reader.Get(acmeLog + "?actor=system").Expect(http.StatusOK)
		history := r.reader.Get("/orgs/acme/resources/service?id=x-1").Expect(http.StatusOK).Body
		if strings.Contains(fragment+page.Body+history, missing) || !strings.Contains(fragment, "user:sign_in") {
			t.Error("the log is not the standby's")
		}
		file := r.reader.Get(acmeLog + "/export?format=ndjson").Expect(http.StatusOK).Body
		if strings.Contains(file, missing) || !strings.Contains(file, "user:sign_in") {
			t.Errorf("the export is not the standby's: %s", file)
		}
		if page := r.api("/entries").Expect(http.StatusOK); strings.Contains(page.Body, missing) || !strings.Contains(page.Body, "user:sign_in") {
			t.Errorf("the API does not answer from the standby: %s", page.Body)
		}
	})
	r.resume(missing)
	missing = r.pause()
	t.Run("and one entry by its ID wherever it is", func(t *testing.T) {
		r.reader.Get(acmeLog + "/" + missing).Expect(http.StatusOK)
		r.api("/entries/" + missing).Expect(http.StatusOK)
		r.reader.Get(acmeLog + "/" + missing[:len(missing)-1] + "x").Expect(http.StatusNotFound)
	})
	t.Run("and what somebody changed from the primary", func(t *testing.T) {
		other := r.one.As(t, r.one.Member(t, "li@example.com", accounts.RoleMember, r.organization()))
		if !r.sees(other, missing) || latest(other) != string(action.UserSignIn) {
			t.Errorf("who signed in does not see it: %q", latest(other))
		}
		for _, change := range []struct {
			path   string
			fields []string
			action action.Action
		}{
			{"/orgs/acme/settings/organization", []string{"name", "ACME"}, action.OrganizationUpdate},
			{"/orgs/acme/settings/audit", []string{"enabled", "on", "retention_days", "120"}, action.OrganizationAuditConfigUpdate},
			{"/orgs/acme/settings/members/invitations", []string{"role", "member"}, action.MemberInvite},
		} {
			if page := r.admin.Post(change.path, change.fields...); page.Status >= 400 {
				t.Fatalf("%s answers %d: %s", change.path, page.Status, page.Body)
			}
			for name, client := range map[string]*apptest.Client{"this": r.admin, "another": r.admin.At(r.two)} {
				if got := latest(client); got != string(change.action) {
					t.Errorf("at %s server the log begins with %q, want %q", name, got, change.action)
				}
			}
			if got := latest(r.reader); got == string(change.action) {
				t.Errorf("the reader sees %q", got)
			}
		}
		// An export has what its taker changed before, and is itself seen by them.
		if file := r.admin.Get(acmeLog + "/export?format=csv").Expect(http.StatusOK).Body; !strings.Contains(file, string(action.MemberInvite)) {
			t.Error("the export lacks what its taker changed")
		}
		if got := latest(r.admin); got != string(action.AuditLogExport) {
			t.Errorf("after an export the log begins with %q", got)
		}
		if got := r.reader.Get("/orgs/acme/settings/organization").Expect(http.StatusOK).Find("input[name=name]"); got.Length() > 0 && got.AttrOr("value", "") != "ACME" {
			t.Errorf("the organization is called %q", got.AttrOr("value", ""))
		}
	})
	t.Run("within what the organization keeps now", func(t *testing.T) {
		r.admin.Post("/orgs/acme/settings/audit", "enabled", "on", "retention_days", "1", "confirm", "yes").Expect(http.StatusSeeOther)
		r.one.Clock.Advance(25 * time.Hour) // what the standby holds has expired; the deletion is to come
		if n := r.reader.Get(acmeLog).Expect(http.StatusOK).Find("tbody[data-entry-id]").Length(); n != 0 {
			t.Errorf("%d entries are shown that have expired", n)
		}
	})
	if page := r.one.Client(t).Get("/healthz").Expect(http.StatusOK); page.Body != "ok\n" {
		t.Errorf("healthz says %q", page.Body)
	}
	t.Run("which says how late it is", r.testMetrics)
	t.Run("or from the primary, whatever happens to it", r.testFailures)
}

// testMetrics is for a standby that is paused. It lets it go on.
func (r *replicated) testMetrics(t *testing.T) {
	await := func(what string, is func(late, behind, readFrom float64) bool) {
		t.Helper()
		for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
			found, _ := scrape(t, r.one)
			late, ok := found.value("auditlogs_replica_lag_seconds", "replica", "1")
			behind, _ := found.value("auditlogs_replica_lag_bytes", "replica", "1")
			readFrom, _ := found.value("auditlogs_replica_read_from", "replica", "1")
			if is(late, behind, readFrom) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("a replica that %s is %v s and %v bytes late (%t), and read from: %v", what, late, behind, ok, readFrom)
			}
		}
	}
	await("does not go on", func(late, behind, _ float64) bool { return late > 0.4 && behind > 0 })
	r.onStandby("SELECT pg_wal_replay_resume()")
	await("has caught up", func(late, behind, readFrom float64) bool { return late == 0 && behind == 0 && readFrom == 1 })
}

func (r *replicated) organization() models.Organization {
	r.t.Helper()
	return logtest.FindOrganization(r.t, r.one.Store, "acme")
}

func (r *replicated) testFailures(t *testing.T) {
	wantAll := func(id string) {
		t.Helper()
		if !r.sees(r.reader, id) || !strings.Contains(r.reader.Get(acmeLog+"/export?format=ndjson").Expect(http.StatusOK).Body, id) ||
			!strings.Contains(r.api("/entries").Expect(http.StatusOK).Body, id) {
			t.Errorf("an entry is missed")
		}
	}
	health := func(want string) {
		t.Helper()
		for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
			page := r.one.Client(t).Get("/healthz").Expect(http.StatusOK)
			if page.Body == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("healthz says %q, want %q", page.Body, want)
			}
		}
	}
	for _, end := range []func(){func() { r.standby.Stop(databasetest.Fast) }, r.standby.Kill} {
		r.resume(r.pause())
		end()
		wantAll(r.record(action.ServiceCreate))
		health("ok\nread database 1: does not answer\n")
		wantAll(r.record(action.ServiceCreate))
		r.standby.Start()
	}
	r.resume(r.pause()) // it is used again

	r.onStandby("SELECT pg_promote()")
	health("ok\nread database 1: is none: it takes changes itself\n")
	wantAll(r.record(action.ServiceDelete))
}

// An address may name both servers of a pair: whichever takes changes is the primary, and the other
// one, where it follows, is read from.
func TestAServerFollowsAFailover(t *testing.T) {
	r := newReplicated(t)
	both, err := url.Parse(r.address)
	if err != nil {
		t.Fatal(err)
	}
	second, err := url.Parse(r.standby.URL)
	if err != nil {
		t.Fatal(err)
	}
	both.Host += "," + second.Host
	both.RawQuery += "&target_session_attrs=read-write"
	db := databasetest.Open(t, both.String())
	if err := db.ReadLogFrom(t.Context(), []string{r.address, r.standby.URL}, quietLog); err != nil {
		t.Fatal(err)
	}
	if problems := db.ReadProblems(); len(problems) != 1 || problems[0] != "read database 1: is none: it takes changes itself" {
		t.Errorf("it says %q", problems)
	}
	server := apptest.StartAt(t, db, r.one.Clock)
	r.resume(r.pause())
	r.primary.Stop(databasetest.Immediate)
	r.onStandby("SELECT pg_promote()")

	admin := r.admin.At(server)
	deadline := time.Now().Add(patience) // the connections to the old primary are found to be broken
	for admin.Post("/orgs/acme/settings/organization", "name", "ACME").Status != http.StatusSeeOther && time.Now().Before(deadline) {
		time.Sleep(50 * time.Millisecond)
	}
	if got := latest(admin); got != string(action.OrganizationUpdate) {
		t.Errorf("after a failover the log begins with %q", got)
	}
}
