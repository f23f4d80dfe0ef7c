package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/client"
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

func closeClient(t *testing.T, client *client.Client) {
	t.Helper()
	if err := client.Close(t.Context()); err != nil {
		t.Errorf("Close answers %v", err)
	}
}

func TestClientSendsTheWholeEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLogServer()
		c := server.client(t)
		defer closeClient(t, c)
		ctx := event.WithActor(t.Context(), event.System("nightly"))
		ctx = event.WithRequest(ctx, event.Request{IP: "192.0.2.1", UserAgent: "curl", ID: "req-1"})
		receipt, err := c.Record(ctx, anEvent(func(e *event.Event) {
			e.Organization, e.Actor = "", event.Actor{}
			e.EntityName, e.URL = " <API> ", "https://example.com/a?b&c"
			e.Metadata = map[string]any{"n": json.Number("1.50")}
		}))
		if err != nil {
			t.Fatal(err)
		}
		if len(server.order) != 1 {
			t.Fatalf("%d events arrived", len(server.order))
		}
		id := server.order[0]
		if want := (event.Receipt{EntryID: "entry-" + id, Stored: true}); receipt != want || len(id) < 20 {
			t.Errorf("answers %+v, want %+v", receipt, want)
		}
		got := server.stored[id]
		if metadata := string(got.Metadata.(json.RawMessage)); metadata != `{"n":1.50}` {
			t.Errorf("metadata %s", metadata)
		}
		if got.Sequence == nil {
			t.Error("it has no sequence")
		}
		got.Metadata, got.Sequence = nil, nil
		want := event.Event{
			ID: id, Action: action.ServiceUpdate, EntityID: "svc-1", EntityName: "<API>", Actor: event.System("nightly"),
			OccurredAt: time.Now().UTC().Truncate(time.Microsecond), URL: "https://example.com/a?b&c", Request: event.RequestFrom(ctx),
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("arrived %+v\nwant    %+v", got, want)
		}
		if stats := c.Stats(); stats != (client.Stats{Recorded: 1, Requests: 1}) {
			t.Errorf("counted %+v", stats)
		}
	})
}

func TestClientRepeatsTheSameRequestUntilItIsAnswered(t *testing.T) {
	for name, tc := range map[string]struct {
		failures []failure
		least    time.Duration
	}{
		"no connection":            {failures: []failure{refused}},
		"a connection that breaks": {failures: []failure{lost, lost}},
		"no answer":                {failures: []failure{silent}, least: 10 * time.Second},
		"half an answer":           {failures: []failure{halfAnswered}},
		"another server's answer":  {failures: []failure{answering(http.StatusOK)}},
		"a server that fails":      {failures: []failure{answering(http.StatusInternalServerError), answering(http.StatusBadGateway)}},
		"a restart":                {failures: []failure{describing(fault.Busy, http.StatusServiceUnavailable, "restarting")}},
		"a repeat under way":       {failures: []failure{describing(fault.Conflict, http.StatusConflict, "the same request is under way")}},
		"too many requests":        {failures: []failure{answering(http.StatusTooManyRequests, "Retry-After", "7")}, least: 7 * time.Second},
		"a time to come back": {failures: []failure{func(r *http.Request, serve func() *http.Response) (*http.Response, error) {
			at := time.Now().Add(9 * time.Second).UTC().Format(http.TimeFormat)
			return answering(http.StatusServiceUnavailable, "Retry-After", at)(r, serve)
		}}, least: 8 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newLogServer()
				server.failures = tc.failures
				c := server.client(t, func(c *client.Config) { c.Timeout = 10 * time.Second })
				defer closeClient(t, c)
				receipt, err := c.Record(t.Context(), anEvent())
				if err != nil || !receipt.Stored {
					t.Fatalf("answers %+v, %v", receipt, err)
				}
				first, last := server.requests[0], server.requests[len(server.requests)-1]
				if n := len(tc.failures) + 1; len(server.requests) != n || len(server.order) != 1 {
					t.Errorf("%d requests, want %d; %d events were stored", len(server.requests), n, len(server.order))
				}
				if first.idempotencyKey == "" || first.idempotencyKey != last.idempotencyKey || !slices.Equal(first.ids, last.ids) {
					t.Errorf("first %+v, last %+v", first, last)
				}
				if took := last.at.Sub(first.at); took < max(tc.least, 100*time.Millisecond) {
					t.Errorf("repeated after %s, want %s at least", took, tc.least)
				}
				if stats := c.Stats(); stats.Recorded != 1 || stats.Retries != int64(len(tc.failures)) {
					t.Errorf("counted %+v", stats)
				}
			})
		})
	}
}

func TestClientGivesUp(t *testing.T) {
	for name, tc := range map[string]struct {
		down     failure
		requests int // 1: not repeated
		unknown  bool
		status   int
	}{
		"nobody listens":       {down: refused},
		"no answer comes":      {down: silent, unknown: true},
		"the server fails":     {down: answering(http.StatusInternalServerError), unknown: true, status: 500},
		"it is overloaded":     {down: answering(http.StatusTooManyRequests), status: 429},
		"come back in an hour": {down: answering(http.StatusTooManyRequests, "Retry-After", "3600"), requests: 1, status: 429},
		"the key is wrong":     {down: describing("unauthorized", http.StatusUnauthorized, "the key has expired"), requests: 1, status: 401},
		"it may not write":     {down: describing(fault.Forbidden, http.StatusForbidden, "the key reads only"), requests: 1, status: 403},
		"a redirect":           {down: answering(http.StatusMovedPermanently, "Location", "https://elsewhere.example.com/"), requests: 1, status: 301},
		"another server":       {down: answering(http.StatusNotFound), requests: 1, status: 404},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newLogServer()
				server.down = tc.down
				c := server.client(t)
				defer closeClient(t, c)
				began := time.Now()
				_, err := c.Record(t.Context(), anEvent())
				if err == nil || errors.Is(err, event.ErrOutcomeUnknown) != tc.unknown {
					t.Errorf("answers %v; the outcome is unknown: %t", err, tc.unknown)
				}
				var answered *client.APIError
				if errors.As(err, &answered) != (tc.status != 0) || answered != nil && answered.Status != tc.status {
					t.Errorf("answers %v, want the status %d", err, tc.status)
				}
				if n := len(server.requests); tc.requests == 0 && n < 2 || tc.requests == 1 && n != 1 {
					t.Errorf("%d requests", n)
				}
				if took := time.Since(began); took > 65*time.Second {
					t.Errorf("it took %s", took)
				}
				if stats := c.Stats(); stats.Failed != 1 || stats.Waiting != 0 {
					t.Errorf("counted %+v", stats)
				}
			})
		})
	}
}

func TestClientAnswersWithTheErrorsOfRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLogServer()
		client := server.client(t)
		defer closeClient(t, client)
		var invalid *fault.Field
		if _, err := client.Record(t.Context(), anEvent(func(e *event.Event) { e.Action = "nonsense" })); !errors.As(err, &invalid) || invalid.Field != "action" {
			t.Errorf("a bad action: %v", err)
		}
		if _, err := client.Record(t.Context(), anEvent(func(e *event.Event) { e.Actor = event.Actor{} })); !errors.Is(err, event.ErrNoActor) {
			t.Errorf("no actor: %v", err)
		}
		if len(server.requests) != 0 {
			t.Errorf("%d requests were sent for what this side can find", len(server.requests))
		}
		for name, tc := range map[string]struct {
			field fault.Field
			is    error
		}{
			"another organization": {fault.Field{Field: "organization", Code: "unknown_organization", Reason: "is not the one of the key"}, event.ErrNoOrganization},
			"an ID used before":    {fault.Field{Field: "id", Code: "id_reused", Reason: "was used for another event"}, event.ErrIDReused},
			"too old":              {fault.Field{Field: "occurred_at", Code: "expired", Reason: "is older than the retention of 90 days"}, event.ErrExpired},
			"something new":        {fault.Field{Field: "colour", Code: "too_bright", Reason: "hurts the eyes"}, nil},
		} {
			server.refuse = func(event.Event) *fault.Field { return &tc.field }
			_, err := client.Record(t.Context(), anEvent())
			if tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("%s: %v, want %v", name, err, tc.is)
			}
			if !errors.As(err, &invalid) || *invalid != tc.field {
				t.Errorf("%s: %v", name, err)
			}
		}
		server.down = describing(fault.OrganizationClosed, http.StatusConflict, "nothing is recorded any more")
		if _, err := client.Record(t.Context(), anEvent()); !errors.Is(err, event.ErrOrganizationClosed) {
			t.Errorf("a deleted organization: %v", err)
		}
	})
}

// together records events at the same time, while a first request is under way, and answers with what
// each call answered.
func together(t *testing.T, server *logServer, c *client.Client, events []event.Event) []error {
	t.Helper()
	server.gate = make(chan struct{}, 1000)
	var calls sync.WaitGroup
	calls.Go(func() {
		if _, err := c.Record(t.Context(), anEvent(func(e *event.Event) { e.ID = "first" })); err != nil {
			t.Error(err)
		}
	})
	synctest.Wait()
	errs := make([]error, len(events))
	for i, e := range events {
		calls.Go(func() {
			var receipt event.Receipt
			receipt, errs[i] = c.Record(t.Context(), e)
			if errs[i] == nil && receipt.EntryID != "entry-"+e.ID {
				t.Errorf("event %s was answered with %+v", e.ID, receipt)
			}
		})
	}
	synctest.Wait()
	if waiting := c.Stats().Waiting; waiting != int64(len(events))+1 {
		t.Errorf("%d calls wait, want %d", waiting, len(events)+1)
	}
	close(server.gate)
	calls.Wait()
	return errs
}

func numbered(n int, change ...func(i int, e *event.Event)) []event.Event {
	events := make([]event.Event, n)
	for i := range events {
		events[i] = anEvent(func(e *event.Event) { e.ID, e.EntityID = fmt.Sprintf("m-%d", i), fmt.Sprintf("svc-%d", i) })
		for _, c := range change {
			c(i, &events[i])
		}
	}
	return events
}

func TestClientsCallsShareRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLogServer()
		client := server.client(t)
		defer closeClient(t, client)
		for i, err := range together(t, server, client, numbered(1500)) {
			if err != nil {
				t.Errorf("event %d: %v", i, err)
			}
		}
		if len(server.requests) != 3 || len(server.requests[1].ids) != 1000 || len(server.order) != 1501 {
			t.Errorf("%d requests, the second with %d events; %d stored", len(server.requests), len(server.requests[1].ids), len(server.order))
		}
	})
}

func TestClientsLargeEventsAreSentInSeveralRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLogServer()
		server.answer = func(w http.ResponseWriter, events, length int) {
			if length > 5_000_000 {
				http.Error(w, "too large", http.StatusRequestEntityTooLarge)
			}
		}
		client := server.client(t)
		defer closeClient(t, client)
		large := numbered(40, func(_ int, e *event.Event) { e.Metadata = map[string]any{"text": strings.Repeat("x", 250_000)} })
		for i, err := range together(t, server, client, large) {
			if err != nil {
				t.Errorf("event %d: %v", i, err)
			}
		}
		if len(server.order) != 41 || len(server.requests) != 4 {
			t.Errorf("%d stored by %d requests", len(server.order), len(server.requests))
		}
	})
}

func TestARefusedEventSpoilsNoneOfThoseItIsSentWith(t *testing.T) {
	for name, prepare := range map[string]func(*logServer){
		"named by the server": func(s *logServer) {
			s.refuse = func(e event.Event) *fault.Field {
				if e.ID == "m-3" || e.ID == "m-7" {
					return fault.Newf("occurred_at", fault.Expired, "is too old")
				}
				return nil
			}
		},
		"too much for a proxy together": func(s *logServer) {
			s.answer = func(w http.ResponseWriter, events, _ int) {
				if events > 3 {
					http.Error(w, "too large", http.StatusRequestEntityTooLarge)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := newLogServer()
				prepare(server)
				client := server.client(t)
				defer closeClient(t, client)
				for i, err := range together(t, server, client, numbered(20)) {
					if bad := server.refuse != nil && (i == 3 || i == 7); (err != nil) != bad {
						t.Errorf("event %d: %v", i, err)
					}
				}
				if want := map[bool]int{true: 19, false: 21}[server.refuse != nil]; len(server.order) != want {
					t.Errorf("%d stored, want %d", len(server.order), want)
				}
				keys := map[string]bool{}
				for _, request := range server.requests {
					keys[request.idempotencyKey] = true
				}
				if len(keys) != len(server.requests) {
					t.Error("requests with different events have the same idempotency key")
				}
			})
		})
	}
}

func TestClientsCallersMayLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLogServer()
		server.gate = make(chan struct{})
		c := server.client(t)
		defer closeClient(t, c)
		ctx, cancel := context.WithCancel(t.Context())
		var calls sync.WaitGroup
		record := func(id string, unknown bool) {
			calls.Go(func() {
				_, err := c.Record(ctx, anEvent(func(e *event.Event) { e.ID = id }))
				if !errors.Is(err, context.Canceled) || errors.Is(err, event.ErrOutcomeUnknown) != unknown {
					t.Errorf("%s: %v", id, err)
				}
			})
			synctest.Wait()
		}
		record("under way", true)
		record("waiting", false)
		cancel()
		calls.Wait()
		synctest.Wait()
		if stats := c.Stats(); stats.Waiting != 0 || stats.Failed != 2 {
			t.Errorf("counted %+v", stats)
		}
		if _, err := c.Record(ctx, anEvent()); !errors.Is(err, context.Canceled) {
			t.Errorf("a context that has ended: %v", err)
		}
		close(server.gate)
		if receipt, err := c.Record(t.Context(), anEvent()); err != nil || !receipt.Stored {
			t.Errorf("afterwards: %+v, %v", receipt, err)
		}
		if len(server.order) != 1 {
			t.Errorf("%d stored, want none of those that left", len(server.order))
		}
	})
}

func TestClosingAClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newLogServer()
		c := server.client(t)
		var calls sync.WaitGroup
		errs := make([]error, 10)
		record := func() {
			for i := range errs {
				calls.Go(func() { _, errs[i] = c.Record(t.Context(), anEvent()) })
			}
			synctest.Wait()
		}
		server.gate = make(chan struct{}, 10)
		record()
		for range 10 {
			server.gate <- struct{}{}
		}
		closeClient(t, c)
		calls.Wait()
		if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 || len(server.order) != 10 {
			t.Errorf("closed under load: %v; %d stored", errs, len(server.order))
		}
		if _, err := c.Record(t.Context(), anEvent()); !errors.Is(err, client.ErrClosed) {
			t.Errorf("a closed client answers %v", err)
		}

		c = server.client(t)
		server.gate = make(chan struct{})
		record()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var unsent *client.UnsentError
		if err := c.Close(ctx); !errors.As(err, &unsent) || unsent.Events != 10 {
			t.Errorf("Close answers %v, want 10 unsent events", err)
		}
		calls.Wait()
		for _, err := range errs {
			if !errors.Is(err, client.ErrClosed) {
				t.Errorf("a caller is told %v", err)
			}
		}
		if err := c.Close(t.Context()); !errors.As(err, &unsent) || unsent.Events != 10 {
			t.Errorf("closed again it answers %v", err)
		}
	})
}

func TestAClientsConfigurationIsChecked(t *testing.T) {
	for name, change := range map[string]func(*client.Config){
		"no address":     func(c *client.Config) { c.URL = "" },
		"no scheme":      func(c *client.Config) { c.URL = "audit.example.com" },
		"a password":     func(c *client.Config) { c.URL = "https://anna:secret@audit.example.com" },
		"no key":         func(c *client.Config) { c.Key = "" },
		"a broken key":   func(c *client.Config) { c.Key = "alk_\n" },
		"a file":         func(c *client.Config) { c.Spool = "client_test.go" },
		"below zero":     func(c *client.Config) { c.MaxSpoolBytes = -1 },
		"no time at all": func(c *client.Config) { c.Timeout = -1 },
	} {
		config := client.Config{URL: "https://audit.example.com", Key: "alk_test"}
		change(&config)
		if client, err := client.New(config); err == nil {
			_ = client.Close(t.Context())
			t.Errorf("%s was accepted", name)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows the password: %v", name, err)
		}
	}
}
