package handlers_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
	"github.com/auditlogs/auditlogs/models/entries"
)

// service is a program that uses the API of a running app, with keys of the organization acme.
type service struct {
	*apptest.Server
	t           *testing.T
	client      *apptest.Client
	org         models.Organization
	read, write apiKey
}

type apiKey struct {
	accounts.APIKey
	token string
}

// eachService runs test on both databases, each with an empty log.
func eachService(t *testing.T, test func(t *testing.T, s *service), options ...func(*app.Config)) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		test(t, newService(t, db, options...))
	})
}

func newService(t *testing.T, db *database.DB, options ...func(*app.Config)) *service {
	t.Helper()
	server := apptest.Start(t, db, options...)
	s := &service{Server: server, t: t, client: server.Client(t), org: server.Organization(t, "acme")}
	s.read, s.write = s.key(s.org, accounts.ScopeRead, 0), s.key(s.org, accounts.ScopeWrite, 0)
	return s
}

func (s *service) key(org models.Organization, scope accounts.KeyScope, expires models.Micros) (key apiKey) {
	s.t.Helper()
	err := s.Store.Transaction(s.t.Context(), func(tx *gorm.DB) (err error) {
		key.APIKey, key.token, err = accounts.CreateAPIKey(s.t.Context(), tx, org.ID, "The "+string(scope)+" key", scope, "usr_1", expires)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return key
}

// post sends events as JSON. headers are names and values.
func (s *service) post(body string, headers ...string) *apptest.Page {
	s.t.Helper()
	headers = append([]string{"Authorization", "Bearer " + s.write.token}, headers...)
	if !strings.Contains(strings.Join(headers, "\n"), "Content-Type") {
		headers = append(headers, "Content-Type", "application/json")
	}
	return s.client.Do(http.MethodPost, "/api/v1/events", strings.NewReader(body), headers...)
}

func (s *service) get(path string) *apptest.Page {
	s.t.Helper()
	return s.client.Get("/api/v1"+path, "Authorization", "Bearer "+s.read.token)
}

// entries lists the whole log, newest first.
func (s *service) entries() (all []models.Entry) {
	s.t.Helper()
	err := entries.NewLog(s.Store).Each(s.t.Context(), s.org, entries.Query{}, func(batch []models.Entry) error {
		all = append(all, batch...)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

func (s *service) wantEntries(n int) {
	s.t.Helper()
	if entries := s.entries(); len(entries) != n {
		s.t.Errorf("the log has %d entries, want %d", len(entries), n)
	}
}

// set changes rows behind the app's back.
func (s *service) set(sql string, args ...any) {
	s.t.Helper()
	if err := s.DB.Write.Exec(sql, args...).Error; err != nil {
		s.t.Fatal(err)
	}
}

// event is the JSON of an event, with members added or replaced.
func event(members ...string) string {
	e := map[string]json.RawMessage{
		"action": json.RawMessage(`"service:update"`), "entity_id": json.RawMessage(`"svc-1"`),
		"actor": json.RawMessage(`{"id":"u-7","name":"Ada Lovelace","email":"ada@example.com"}`),
	}
	for i := 0; i+1 < len(members); i += 2 {
		if e[members[i]] = json.RawMessage(members[i+1]); members[i+1] == "" {
			delete(e, members[i])
		}
	}
	text, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func list(events ...string) string { return "[" + strings.Join(events, ",") + "]" }

// decoded reads the JSON of an answer.
func decoded[T any](t *testing.T, page *apptest.Page) (value T) {
	t.Helper()
	if err := json.Unmarshal([]byte(page.Body), &value); err != nil {
		t.Fatalf("the answer is not as expected: %v\n%s", err, page.Body)
	}
	return value
}

// receipts are what POST /events answers.
type receipts struct {
	Events []struct {
		EntryID  *string `json:"entry_id"`
		Stored   bool    `json:"stored"`
		Repeated bool    `json:"repeated"`
	} `json:"events"`
}

// problem is an error as programs read it. Faults lists its errors as "index field" each.
type problem struct {
	Type, Title, Code, Detail, Instance string
	Status                              int
	Errors                              []struct {
		Index               *int
		Field, Code, Detail string
	}
}

func (p problem) faults() string {
	var faults []string
	for _, e := range p.Errors {
		index := "-"
		if e.Index != nil {
			index = fmt.Sprint(*e.Index)
		}
		faults = append(faults, index+" "+e.Field)
	}
	return strings.Join(faults, ", ")
}

// problemOf ends the test where the answer is not a problem of that status.
func problemOf(t *testing.T, page *apptest.Page, status int) problem {
	t.Helper()
	page.Expect(status)
	if got := page.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("the problem is sent as %q", got)
	}
	p := decoded[problem](t, page)
	if p.Status != status || p.Type == "" || p.Title == "" || p.Code == "" || p.Detail == "" {
		t.Errorf("the problem is %+v", p)
	}
	if _, id, _ := strings.Cut(p.Instance, "#"); id == "" || id != page.Header.Get("X-Request-ID") {
		t.Errorf("the problem's instance is %q, the request %q", p.Instance, page.Header.Get("X-Request-ID"))
	}
	return p
}
