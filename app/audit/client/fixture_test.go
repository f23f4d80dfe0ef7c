package client_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/client"
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// logServer answers as the HTTP API does, without a network, and fails as a test tells it to.
type logServer struct {
	mutex    sync.Mutex
	stored   map[string]event.Event // by ID
	order    []string               // the IDs, as they came
	requests []sentEvents
	failures []failure
	down     failure                                         // of every request while it is not nil
	refuse   func(event.Event) *fault.Field                  // why it does not store an event; nil stores all
	gate     chan struct{}                                   // where not nil, a request waits for one
	answer   func(w http.ResponseWriter, events, length int) // in place of storing, unless it answers nothing
}

type sentEvents struct {
	at             time.Time
	idempotencyKey string
	ids            []string
}

// failure is what becomes of one request. serve stores the events and answers as if nothing was wrong.
type failure func(r *http.Request, serve func() *http.Response) (*http.Response, error)

func newLogServer() *logServer { return &logServer{stored: map[string]event.Event{}} }

// client makes a client of the server; it must be closed.
func (s *logServer) client(t *testing.T, change ...func(*client.Config)) *client.Client {
	t.Helper()
	config := client.Config{
		URL: "https://audit.example.com", Key: "alk_test",
		HTTPClient: &http.Client{Transport: s},
		Log:        slog.New(slog.NewTextHandler(testLog{t}, nil)),
	}
	for _, c := range change {
		c(&config)
	}
	client, err := client.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (s *logServer) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if s.gate != nil {
		select {
		case <-s.gate:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	var events []event.Event
	if err := json.Unmarshal(body, &events); err != nil {
		return nil, fmt.Errorf("the client sent %.100q: %w", body, err)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	sent := sentEvents{at: time.Now(), idempotencyKey: r.Header.Get("Idempotency-Key")}
	for _, e := range events {
		sent.ids = append(sent.ids, e.ID)
	}
	s.requests = append(s.requests, sent)
	serve := func() *http.Response {
		w := httptest.NewRecorder()
		if s.answer != nil {
			s.answer(w, len(events), len(body))
		}
		if w.Body.Len() == 0 {
			s.record(w, events)
		}
		return w.Result()
	}
	fail := s.down
	if len(s.failures) > 0 {
		fail, s.failures = s.failures[0], s.failures[1:]
	}
	if r.Method != http.MethodPost || r.URL.String() != "https://audit.example.com/api/v1/events" || r.Header.Get("Authorization") != "Bearer alk_test" {
		return problem("unauthorized", http.StatusUnauthorized, "the key is unknown"), nil
	}
	if fail != nil {
		return fail(r, serve)
	}
	return serve(), nil
}

// record stores all of the events or none.
func (s *logServer) record(w *httptest.ResponseRecorder, events []event.Event) {
	type refusal struct {
		Index int `json:"index"`
		*fault.Field
	}
	var refused []refusal
	for i, e := range events {
		if s.refuse == nil {
			continue
		}
		if field := s.refuse(e); field != nil {
			refused = append(refused, refusal{i, field})
		}
	}
	if len(refused) > 0 {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(map[string]any{"title": "Invalid events", "status": 422, "code": "invalid_events", "errors": refused})
		return
	}
	var receipts []map[string]any
	for _, e := range events {
		_, repeated := s.stored[e.ID]
		if !repeated {
			s.stored[e.ID] = e
			s.order = append(s.order, e.ID)
		}
		receipts = append(receipts, map[string]any{"entry_id": "entry-" + e.ID, "stored": true, "repeated": repeated})
	}
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{"events": receipts})
}

func (s *logServer) set(change func()) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	change()
}

// Failures.

// refused is a server that nobody listens for.
func refused(*http.Request, func() *http.Response) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
}

// lost is a connection that broke before the answer came.
func lost(_ *http.Request, serve func() *http.Response) (*http.Response, error) {
	serve()
	return nil, &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}
}

// silent is a server that stores the events and never answers.
func silent(r *http.Request, serve func() *http.Response) (*http.Response, error) {
	serve()
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// halfAnswered is an answer that breaks off.
func halfAnswered(_ *http.Request, serve func() *http.Response) (*http.Response, error) {
	response := serve()
	response.Body = io.NopCloser(io.LimitReader(response.Body, 20))
	return response, nil
}

// answering is a server, or a proxy, that answers with a status and no more.
func answering(status int, header ...string) failure {
	return func(*http.Request, func() *http.Response) (*http.Response, error) {
		w := httptest.NewRecorder()
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "<h1>Sorry</h1>")
		return w.Result(), nil
	}
}

// describing is a server that answers with problem details.
func describing(code fault.Code, status int, detail string) failure {
	return func(*http.Request, func() *http.Response) (*http.Response, error) {
		return problem(code, status, detail), nil
	}
}

func problem(code fault.Code, status int, detail string) *http.Response {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"code": code, "title": http.StatusText(status), "status": status, "detail": detail})
	return w.Result()
}

// testLog shows a log with the test's output, when the test fails.
type testLog struct{ t *testing.T }

func (l testLog) Write(line []byte) (int, error) {
	l.t.Logf("%s", line)
	return len(line), nil
}

var anna = event.Actor{ID: "u1", Name: "Anna Álvarez", Email: "anna@example.com"}

// anEvent is a valid one; tests change what they are about.
func anEvent(change ...func(*event.Event)) event.Event {
	e := event.Event{
		Organization: "acme",
		Action:       action.ServiceUpdate,
		EntityID:     "svc-1",
		EntityName:   "API",
		Actor:        anna,
		Metadata:     map[string]any{"service_name": "API"},
	}
	for _, c := range change {
		c(&e)
	}
	return e
}
