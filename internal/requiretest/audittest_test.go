package requiretest

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/audittest"
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 123456789, time.UTC)

// deletion is an event with everything in it.
func deletion() audit.Event {
	return audit.Event{
		ID: "msg-1", Organization: "acme", Action: action.ServiceDelete, EntityID: "svc-1", EntityName: "API",
		Actor: audit.Actor{ID: "u1", Name: "Anna", Email: "anna@example.com"}, OccurredAt: noon,
		Metadata: map[string]any{"service_name": "API", "db_password": "hunter2", "changes": map[string]audit.Change{"replicas": {Before: 2, After: event.Absent{}}}},
		URL:      "https://example.com/svc-1", Request: audit.Request{IP: "192.0.2.1", UserAgent: "curl", ID: "req-1"},
	}
}

// failing runs check and returns how it fails its test.
func failing(t *testing.T, check func(testing.TB)) (says string) {
	t.Helper()
	observed := &observer{TB: t}
	done := make(chan struct{})
	go func() { // FailNow ends its goroutine
		defer close(done)
		check(observed)
	}()
	<-done
	if !observed.failed {
		t.Fatal("the check passed")
	}
	return strings.Join(observed.says, "\n")
}

type observer struct {
	testing.TB
	failed bool
	says   []string
}

func (o *observer) Helper()  {}
func (o *observer) FailNow() { o.failed = true; runtime.Goexit() }
func (o *observer) Fatal(args ...any) {
	o.says = append(o.says, fmt.Sprint(args...))
	o.FailNow()
}
func (o *observer) Fatalf(format string, args ...any) { o.Fatal(fmt.Sprintf(format, args...)) }
func (o *observer) Errorf(format string, args ...any) {
	o.failed = true
	o.says = append(o.says, fmt.Sprintf(format, args...))
}

// checkLog checks what RequireRecorded says of a log that holds the deletion.
func checkLog[L audittest.Log](t *testing.T, log L) {
	t.Helper()
	for name, want := range map[string]audit.Event{
		"everything":  deletion(),
		"nothing":     {},
		"the action":  {Action: action.ServiceDelete},
		"the type":    {EntityType: "service"},
		"the actor":   {Actor: audit.Actor{ID: "u1"}},
		"the time":    {OccurredAt: noon.Add(time.Nanosecond)},
		"the request": {Request: audit.Request{IP: "192.0.2.1"}},
		"the ID":      {ID: "msg-1"},
		"one change":  {Metadata: map[string]any{"changes": map[string]any{"replicas": map[string]any{"before": 2}}}},
		"a secret":    {Metadata: json.RawMessage(`{"db_password":"another"}`)},
	} {
		t.Run(name, func(t *testing.T) {
			audittest.RequireRecorded(t, log, want)
			if says := failing(t, func(t testing.TB) { audittest.RequireNotRecorded(t, log, want) }); !strings.Contains(says, "svc-1") {
				t.Errorf("says %s", says)
			}
		})
	}
	for says, want := range map[string]audit.Event{
		`entity_id: want "svc-2", it has "svc-1"`:                 {Action: action.ServiceDelete, EntityID: "svc-2"},
		`organization: want "beta", it has "acme"`:                {Organization: "beta"},
		`actor.name: want "Bo", it has "Anna"`:                    {Actor: audit.Actor{ID: "u1", Name: "Bo"}},
		`actor.source: want "nightly", it has none`:               {Actor: audit.System("nightly")},
		`metadata.changes.replicas.after: want null, it has none`: {Metadata: map[string]any{"changes": map[string]audit.Change{"replicas": {Before: 2}}}},
		`metadata.service_name: want "<web>", it has "API"`:       {Metadata: map[string]any{"service_name": "<web>"}},
		`id: want "msg-2", it has `:                               {ID: "msg-2"},
		`occurred_at: want "2026-11-20T12:00:00.123457Z"`:         {OccurredAt: noon.Add(time.Microsecond)},
	} {
		audittest.RequireNotRecorded(t, log, want)
		got := failing(t, func(t testing.TB) { audittest.RequireRecorded(t, log, want) })
		if !strings.Contains(got, says) || !strings.Contains(got, "the only entry differs in") {
			t.Errorf("says  %s\nwant  %s", got, says)
		}
	}
}

func TestRequireRecordedInATransaction(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		pool, err := db.Write.DB()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := audit.EnsureOrganization(t.Context(), db.Write, audit.Organization{Slug: "acme", ExternalID: "t-1"}); err != nil {
			t.Fatal(err)
		}
		err = db.Write.Transaction(func(tx *gorm.DB) error {
			says := failing(t, func(t testing.TB) { audittest.RequireRecorded(t, tx, audit.Event{Action: action.ServiceDelete}) })
			if says != "not recorded: service:delete of anything; the log is empty" {
				t.Errorf("says %s", says)
			}
			_, err := audit.Record(t.Context(), tx, deletion())
			checkLog(t, tx.WithContext(context.Background()).Where("1 = 0")) // its conditions do not count
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		audittest.RequireRecorded(t, db.Write, audit.Event{ExternalID: "t-1"})
		checkLog(t, pool)

		tx, err := pool.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		checkLog[*sql.Tx](t, tx)
		if _, err := tx.Exec("UPDATE audit_organizations SET name = 'still usable'"); err != nil {
			t.Error(err)
		}
	})
}

func TestTheClosestEntryIsShown(t *testing.T) {
	var recorder audittest.Recorder
	for _, id := range []string{"svc-1", "svc-2", "svc-3"} {
		e := deletion()
		e.ID, e.EntityID = "", id
		if id == "svc-2" {
			e.EntityName = "Web"
		}
		if _, err := recorder.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	got := failing(t, func(t testing.TB) {
		audittest.RequireRecorded(t, &recorder, audit.Event{EntityID: "svc-2", EntityName: "web", Action: action.ServiceDelete})
	})
	if want := "not recorded: service:delete of svc-2; the closest of 3 entries differs in\n\tentity_name: want \"web\", it has \"Web\""; got != want {
		t.Errorf("says\n%s\nwant\n%s", got, want)
	}
}

func TestRecorderAnswersAsRecordDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(365 * 30 * 24 * time.Hour) // the bubble begins in 2000
		var recorder audittest.Recorder
		ctx := audit.WithActor(t.Context(), audit.Actor{ID: "u1", Email: "anna@example.com"})
		ctx = audit.WithRequest(ctx, audit.Request{IP: "192.0.2.1"})
		named := audit.Event{ID: "m-1", ExternalID: "t-1", Action: "report:publish", EntityID: "r-1", Metadata: map[string]any{"token": "hunter2"}}
		first, err := recorder.Record(ctx, named)
		if err != nil || first.EntryID == "" || !first.Stored || first.Repeated {
			t.Fatalf("answers %+v, %v", first, err)
		}
		at := time.Now()
		time.Sleep(time.Hour)
		if again, err := recorder.Record(ctx, named); err != nil || !again.Repeated || again.EntryID != first.EntryID {
			t.Errorf("the second time answers %+v, %v", again, err)
		}
		other := named
		other.EntityID = "r-2"
		if _, err := recorder.Record(ctx, other); !errors.Is(err, audit.ErrIDReused) {
			t.Errorf("another event with the ID: %v", err)
		}
		var invalid *audit.InvalidEventError
		if _, err := recorder.Record(ctx, audit.Event{ExternalID: "t-1", Action: "x"}); !errors.As(err, &invalid) || invalid.Field != "action" {
			t.Errorf("an invalid event: %v", err)
		}
		if _, err := recorder.Record(t.Context(), other); !errors.Is(err, audit.ErrNoActor) {
			t.Errorf("without an actor: %v", err)
		}
		down := errors.New("down")
		recorder.Fail(down)
		if _, err := recorder.Record(ctx, audit.Event{}); !errors.Is(err, down) {
			t.Errorf("while it fails: %v", err)
		}
		recorder.Fail(nil)
		events := recorder.Events()
		if len(events) != 1 {
			t.Fatalf("%d events were kept", len(events))
		}
		if e := events[0]; e.Actor.Name != "anna@example.com" || e.Request.IP != "192.0.2.1" || e.EntityType != "report" ||
			!e.OccurredAt.Equal(at) || string(e.Metadata.(json.RawMessage)) != `{"token":"[masked]"}` {
			t.Errorf("kept %+v", e)
		}
	})
}

func TestRecorderInMemoryHoldsWhatTheTableWould(t *testing.T) {
	var recorder audittest.Recorder
	if _, err := recorder.Record(t.Context(), deletion()); err != nil {
		t.Fatal(err)
	}
	checkLog(t, &recorder)
}

func TestRequireDeclared(t *testing.T) {
	type limits struct {
		CPU    int `json:"cpu" audit:"track"`
		Memory int `json:"memory"`
	}
	audittest.RequireDeclared(t, struct {
		Name string `audit:"track"`
		DSN  string `audit:"secret"`
		Seen int    `audit:"ignore"`
	}{})
	says := failing(t, func(t testing.TB) {
		audittest.RequireDeclared(t, struct {
			Name   string `json:"name"`
			Limits limits `json:"limits" audit:"track"`
		}{})
	})
	if !strings.Contains(says, "field limits.memory is not declared") || !strings.Contains(says, "field name is") || strings.Contains(says, "cpu") {
		t.Errorf("says %s", says)
	}
}

func TestNoProgramHasItLinkedIn(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "github.com/auditlogs/auditlogs").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.Fields(string(out))
	if !slices.Contains(packages, "github.com/auditlogs/auditlogs/app/audit") {
		t.Fatalf("go list answers %s", out)
	}
	if slices.Contains(packages, "github.com/auditlogs/auditlogs/app/audit/audittest") {
		t.Error("the server has package audittest linked in")
	}
}

func TestAProgramThatHasItLinkedInPanics(t *testing.T) {
	program := filepath.Join(t.TempDir(), "main.go")
	err := os.WriteFile(program, []byte("package main\n\nimport _ \"github.com/auditlogs/auditlogs/app/audit/audittest\"\n\nfunc main() {}\n"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "run", program).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "panic: package audittest is for tests") {
		t.Errorf("it ran: %v\n%s", err, out)
	}
}
