package handlers_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/errors"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"

	"github.com/auditlogs/auditlogs/app"
	"github.com/auditlogs/auditlogs/models"
)

// description is openapi.yaml as the server serves it.
type description struct {
	validator.Validator
	model *v3.Document
}

func (s *service) description() description {
	s.t.Helper()
	page := s.client.Get("/api/v1/openapi.yaml").Expect(http.StatusOK)
	if got := page.Header.Get("Content-Type"); got != "application/yaml" {
		s.t.Errorf("it is of type %q", got)
	}
	document, err := libopenapi.NewDocument([]byte(page.Body))
	if err != nil {
		s.t.Fatal(err)
	}
	model, err := document.BuildV3Model()
	if err != nil {
		s.t.Fatal(err)
	}
	checks, failures := validator.NewValidator(document, config.WithFormatAssertions(), config.WithoutSecurityValidation())
	for _, failure := range failures {
		s.t.Fatal(failure)
	}
	s.t.Cleanup(checks.Release)
	return description{checks, &model.Model}
}

// operations lists what is described: "GET /entries 200" and so on.
func (d description) operations() (list []string) {
	for path, item := range d.model.Paths.PathItems.FromOldest() {
		for method, operation := range item.GetOperations().FromOldest() {
			for status := range operation.Responses.Codes.KeysFromOldest() {
				list = append(list, strings.ToUpper(method)+" "+path+" "+status)
			}
		}
	}
	return list
}

func report(t *testing.T, what string, failures []*errors.ValidationError) {
	t.Helper()
	for _, failure := range failures {
		t.Errorf("%s: %s: %s", what, failure.Message, failure.Reason)
		for _, detail := range failure.SchemaValidationErrors {
			t.Errorf("    %s", detail.Error())
		}
	}
}

// The description is checked against the running server: each status of each operation is brought
// about, by a request that is as described unless the status says it is not.
func TestTheServerIsAsDescribed(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		s.set("UPDATE audit_organizations SET external_id = 't-1'")
		d := s.description()
		_, failures := d.ValidateDocument()
		report(t, "the document", failures)

		missing := map[string]bool{}
		for _, operation := range d.operations() {
			missing[operation] = true
		}
		ask := func(operation, query string, key apiKey, body string, headers ...string) (answer string) {
			t.Helper()
			parts := strings.Fields(operation)
			method, path, status := parts[0], parts[1], parts[2]
			request, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/api/v1"+strings.Replace(path, "/{id}", "", 1)+query, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+key.token)
			if method == http.MethodPost {
				request.Header.Set("Content-Type", "application/json")
			}
			for i := 0; i+1 < len(headers); i += 2 {
				request.Header.Set(headers[i], headers[i+1])
			}
			if !slices.Contains([]string{"400", "413", "415", "422"}, status) && !strings.HasPrefix(request.Header.Get("Content-Type"), "application/x-ndjson") {
				_, failures := d.ValidateHttpRequestSync(request)
				report(t, "the request of "+operation+" "+query, failures)
				request.Body = io.NopCloser(strings.NewReader(body))
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatalf("%s: %v", operation, err)
			}
			content, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatalf("%s: %v", operation, err)
			}
			_ = response.Body.Close()
			if got := response.StatusCode; got/100 != int(status[0]-'0') || !strings.HasSuffix(status, "XX") && response.Status[:3] != status {
				t.Errorf("%s is answered %d: %s", operation, got, content)
				return string(content)
			}
			response.Body = io.NopCloser(bytes.NewReader(content))
			_, failures := d.ValidateHttpResponse(request, response)
			report(t, "the answer of "+operation+" "+query, failures)
			delete(missing, operation)
			return string(content)
		}

		person := event("id", `"m-1"`, "organization", `"acme"`, "entity_type", `"service"`, "entity_name", `"API"`,
			"occurred_at", `"2026-05-20T09:00:00+02:00"`, "sequence", "7", "metadata", `{"n":1}`, "url", `"https://example.com/1"`, "request", `{"ip":"192.0.2.7","user_agent":"x","id":"y"}`)
		agent := event("action", `"Login failed"`, "entity_id", "", "outcome", `"denied"`, "reason", `"no permission"`, "metadata", `{"password":"x"}`,
			"related", `[{"type":"subnet","id":"sn-1","name":"internal","role":"network"},{"type":"image","id":"im-1"}]`,
			"actor", `{"type":"agent","id":"bot","on_behalf_of":{"id":"u-7","session":"s-1"}}`)
		nobody := event("action", "", "native_action", `"Login failed"`, "outcome", `"failure"`, "actor", `{"type":"anonymous"}`)
		system := event("external_id", `"t-1"`, "actor", `{"id":"system","source":"nightly"}`, "metadata", "null")
		ask("POST /events 201", "", s.write, person, "Idempotency-Key", "k 1")
		ask("POST /events 201", "", s.write, person, "Idempotency-Key", "k 1")
		ask("POST /events 200", "", s.write, person)
		ask("POST /events 201", "", s.write, list(system, event(), person, agent, nobody))
		ask("POST /events 201", "", s.write, event()+"\n"+event()+"\n", "Content-Type", "application/x-ndjson")
		ask("POST /events 400", "", s.write, "[")
		ask("POST /events 400", "", s.write, list(event(), "{"))
		ask("POST /events 401", "", apiKey{}, event())
		ask("POST /events 403", "", s.read, event())
		ask("POST /events 413", "", s.write, strings.Repeat(" ", 5<<20)+event())
		ask("POST /events 415", "", s.write, event(), "Content-Type", "text/plain")
		ask("POST /events 422", "", s.write, list(event(), event("actor", "")))
		ask("POST /events 422", "", s.write, event(), "Idempotency-Key", "k 1")

		ask("GET /entries 200", "", s.read, "")
		for _, query := range []string{
			"?action=service:update&action=deployment:*&actor=u-7&actor=system&entity_type=service&q=svc&from=-7d&to=2026-11-20&tz=Europe/Berlin&sort=action&dir=desc&limit=25",
			"?limit=25&cursor=" + cursorOf(t, s),
			"?format=ocsf", "?format=cloudevents", "?format=ecs",
		} {
			ask("GET /entries 200", query, s.read, "")
		}
		ask("GET /entries 400", "?format=csv", s.read, "")
		ask("GET /entries 400", "?limit=7", s.read, "")
		ask("GET /entries 400", "?ipp=1", s.read, "")
		ask("GET /entries 401", "", apiKey{}, "")
		ask("GET /entries 403", "", s.write, "")
		for i, e := range s.entries() {
			ask("GET /entries/{id} 200", "/"+e.ID.String()+[]string{"", "?format=ocsf", "?format=cloudevents", "?format=ecs"}[i%4], s.read, "")
		}
		ask("GET /entries/{id} 400", "/x?ipp=1", s.read, "")
		ask("GET /entries/{id} 401", "/x", apiKey{}, "")
		ask("GET /entries/{id} 403", "/x", s.write, "")
		ask("GET /entries/{id} 404", "/x", s.read, "")
		ask("GET /actions 200", "", s.read, "")
		ask("GET /actions 400", "?ipp=1", s.read, "")
		ask("GET /actions 401", "", apiKey{}, "")
		ask("GET /openapi.yaml 200", "", apiKey{}, "")

		s.set("UPDATE audit_organizations SET closed_at = ?", models.MicrosOf(s.Clock.Now()))
		ask("POST /events 409", "", s.write, event())
		ask("GET /entries 409", "", s.read, "")
		ask("GET /entries/{id} 409", "/x", s.read, "")
		ask("GET /actions 409", "", s.read, "")
		s.set("UPDATE audit_organizations SET closed_at = 0")
		s.set("ALTER TABLE audit_entries RENAME TO gone")
		ask("POST /events 5XX", "", s.write, event())
		ask("GET /entries 5XX", "", s.read, "")
		ask("GET /entries/{id} 5XX", "/019e44c1-6d40-7000-8065-c8f85549e2a1", s.read, "")
		ask("GET /actions 5XX", "", s.read, "")
		s.Clock.Advance(-time.Minute) // no token comes back
		for _, key := range []apiKey{s.read, s.write} {
			for s.client.Get("/api/v1/actions", "Authorization", "Bearer "+key.token).Status != http.StatusTooManyRequests {
			}
		}
		ask("POST /events 429", "", s.write, event())
		ask("GET /entries 429", "", s.read, "")
		ask("GET /entries/{id} 429", "/x", s.read, "")
		ask("GET /actions 429", "", s.read, "")
		http.DefaultClient.CloseIdleConnections()
		for operation := range missing {
			t.Errorf("%s is described, and did not come about", operation)
		}
	}, func(c *app.Config) { c.APIRateLimit = 40 })
}

// cursorOf is a cursor of the log with 25 entries a page.
func cursorOf(t *testing.T, s *service) string {
	t.Helper()
	s.fill(30)
	next := decoded[entriesPage](t, s.get("/entries?limit=25").Expect(http.StatusOK)).Next
	if next == nil {
		t.Fatal("there is one page")
	}
	_, cursor, _ := strings.Cut(*next, "cursor=")
	return cursor
}

func TestEveryRouteOfTheAPIIsDescribed(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		described := map[string]bool{}
		for _, operation := range s.description().operations() {
			method, rest, _ := strings.Cut(operation, " ")
			path, _, _ := strings.Cut(rest, " ")
			described[method+" "+path] = true
		}
		routes := map[string]bool{}
		for _, route := range s.App.Routes() {
			if path, ok := strings.CutPrefix(route.Path, "/api/v1"); ok && route.Method != http.MethodHead {
				routes[route.Method+" "+strings.Replace(path, ":entry", "{id}", 1)] = true
			}
		}
		if !maps.Equal(routes, described) {
			t.Errorf("the routes are %v,\ndescribed are %v", slices.Sorted(maps.Keys(routes)), slices.Sorted(maps.Keys(described)))
		}
	})
}

func TestTheExamplesOfTheDescriptionAreAccepted(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		content := s.description().model.Paths.PathItems.GetOrZero("/events").Post.RequestBody.Content
		for name, example := range content.GetOrZero("application/json").Examples.FromOldest() {
			var value any
			if err := example.Value.Decode(&value); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			body, err := json.Marshal(value)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			s.post(string(body)).Expect(http.StatusCreated)
		}
		s.post(content.GetOrZero("application/x-ndjson").Example.Value, "Content-Type", "application/x-ndjson").Expect(http.StatusCreated)
		s.wantEntries(5)
	})
}
