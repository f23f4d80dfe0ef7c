package github_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/handlers/github"
)

var update = flag.Bool("update", false, "write testdata/events.json anew; look at what changed")

// examples are GitHub's own, with IDs made up.
func examples(t testing.TB) []github.Delivery {
	t.Helper()
	raw, err := os.ReadFile("testdata/examples.json")
	if err != nil {
		t.Fatal(err)
	}
	var kinds []struct {
		Name     string
		Examples []json.RawMessage
	}
	if err := json.Unmarshal(raw, &kinds); err != nil {
		t.Fatal(err)
	}
	var all []github.Delivery
	for _, kind := range kinds {
		for _, body := range kind.Examples {
			all = append(all, github.Delivery{ID: fmt.Sprint("delivery-", len(all)), Event: kind.Name, Body: body})
		}
	}
	return all
}

// Every example becomes the event that testdata/events.json says.
func TestExamples(t *testing.T) {
	var events []audit.Event
	for _, delivery := range examples(t) {
		told, err := delivery.AuditEvent()
		var ignored *github.IgnoredError
		if delivery.Event == "ping" && errors.As(err, &ignored) {
			continue
		}
		if err != nil {
			t.Errorf("%s %s: %v", delivery.ID, delivery.Event, err)
			continue
		}
		told.Organization = "acme"
		if err := event.Validate(t.Context(), told); err != nil {
			t.Errorf("%s %s: %v", delivery.ID, delivery.Event, err)
		}
		events = append(events, told)
	}
	got, err := json.MarshalIndent(events, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile("testdata/events.json", got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/events.json")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	gotLines, wantLines := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range gotLines {
		if i >= len(wantLines) || gotLines[i] != wantLines[i] {
			t.Fatalf("testdata/events.json:%d differs:\n%s", i+1, gotLines[i])
		}
	}
	t.Fatal("testdata/events.json says more than the examples")
}

// The example is that of GitHub's documentation.
func TestSignature(t *testing.T) {
	secret, body := []byte("It's a Secret to Everybody"), []byte("Hello, World!")
	const right = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	if err := github.CheckSignature(right, secret, body); err != nil {
		t.Error(err)
	}
	if signed := github.Sign(secret, body); signed != right {
		t.Errorf("signed %s", signed)
	}
	for header, want := range map[string]error{
		"":                                   github.ErrNoSignature,
		"sha256=":                            github.ErrMalformedSignature,
		right[:70]:                           github.ErrMalformedSignature,
		right + "00":                         github.ErrMalformedSignature,
		strings.TrimPrefix(right, "sha256="): github.ErrMalformedSignature,
		"sha1=" + right[7:]:                  github.ErrMalformedSignature,
		"sha256=" + strings.Repeat("z", 64):  github.ErrMalformedSignature,
		"sha256=" + strings.Repeat("0", 64):  github.ErrForged,
	} {
		if err := github.CheckSignature(header, secret, body); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", header, err, want)
		}
	}
	if err := github.CheckSignature(right, []byte("another"), body); !errors.Is(err, github.ErrForged) {
		t.Errorf("another secret: %v", err)
	}
	if err := github.CheckSignature(right, secret, []byte("Hello, world!")); !errors.Is(err, github.ErrForged) {
		t.Errorf("another body: %v", err)
	}
}

func TestWhatIsNotRecorded(t *testing.T) {
	for _, delivery := range []github.Delivery{
		{Event: "push", Body: []byte("not even read")},
		{Event: "ping", Body: []byte(`{}`)},
		{Event: "installation", Body: []byte(`{"action":"renamed","installation":{"id":1}}`)},
		{Event: "installation_repositories", Body: []byte(`{"action":"renamed","installation":{"id":1}}`)},
		{Event: "deployment", Body: []byte(`{"action":"edited"}`)},
	} {
		var ignored *github.IgnoredError
		if _, err := delivery.AuditEvent(); !errors.As(err, &ignored) {
			t.Errorf("%s %s: %v", delivery.Event, delivery.Body, err)
		}
	}
}

func TestAPayloadThatLacksSomethingNamesIt(t *testing.T) {
	for _, tc := range []struct{ event, body, field string }{
		{"deployment", ``, "body"},
		{"deployment", `{"action":"created","deployment":{"id":1`, "body"},
		{"deployment", `[]`, "body"},
		{"deployment", `{"action":"created"}`, "deployment.id"},
		{"deployment", `{"action":"created","deployment":{"id":0}}`, "deployment.id"},
		{"deployment", `{"action":"created","deployment":{"id":"one"}}`, "deployment.id"},
		{"deployment", `{"action":"created","deployment":{"id":1}}`, "repository.full_name"},
		{"deployment_status", `{"deployment":{"id":1},"repository":{"full_name":"a/b"}}`, "deployment_status.state"},
		{"installation", `{"action":"created"}`, "installation.id"},
		{"installation_repositories", `{"action":"added","installation":null}`, "installation.id"},
	} {
		_, err := github.Delivery{Event: tc.event, Body: []byte(tc.body)}.AuditEvent()
		var lacks *fault.Field
		if !errors.As(err, &lacks) || lacks.Field != tc.field {
			t.Errorf("%s %s: %v, want %s", tc.event, tc.body, err, tc.field)
		}
	}
}

func TestAnythingGitHubAllowsCanBeStored(t *testing.T) {
	var repositories []string
	for i := range 3000 {
		repositories = append(repositories, fmt.Sprintf(`{"full_name":"%s/%0100d"}`, strings.Repeat("o", 39), i))
	}
	for name, delivery := range map[string]github.Delivery{
		"a long environment": {Event: "deployment", Body: fmt.Appendf(nil,
			`{"deployment":{"id":1,"environment":"%s","description":"\u0000"},"repository":{"full_name":"o/r","html_url":"https://github.com/o/r"}}`,
			strings.Repeat("ü", 255))},
		"many repositories": {Event: "installation", Body: fmt.Appendf(nil,
			`{"action":"created","installation":{"id":1,"created_at":"yesterday"},"repositories":[%s]}`, strings.Join(repositories, ","))},
		"many repositories added and removed": {Event: "installation_repositories", Body: fmt.Appendf(nil,
			`{"action":"added","installation":{"id":1},"repositories_added":[%[1]s],"repositories_removed":[%[1]s]}`, strings.Join(repositories, ","))},
		"a link that is none": {Event: "installation", Body: []byte(
			`{"action":"deleted","installation":{"id":1,"html_url":"javascript:alert(1)"}}`)},
		"a link that signs somebody in": {Event: "deployment", Body: []byte(
			`{"deployment":{"id":1},"repository":{"full_name":"o/r","html_url":"https://user:pass@github.com/o/r"}}`)},
		"nobody": {Event: "deployment", Body: []byte(
			`{"sender":null,"organization":null,"workflow_run":null,"deployment":{"id":1,"creator":null},"repository":{"full_name":"o/r"}}`)},
	} {
		told, err := delivery.AuditEvent()
		told.Organization = "acme"
		if err == nil {
			err = event.Validate(t.Context(), told)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever is signed: it is an event that can be stored, or an error of the two kinds.
func FuzzAuditEvent(f *testing.F) {
	for _, delivery := range examples(f) {
		f.Add(delivery.Event, []byte(delivery.Body))
	}
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		told, err := github.Delivery{ID: "delivery", Event: name, Body: body}.AuditEvent()
		var ignored *github.IgnoredError
		var lacks *fault.Field
		switch {
		case errors.As(err, &ignored), errors.As(err, &lacks):
			return
		case err != nil:
			t.Fatal(err)
		}
		told.Organization = "acme"
		if told.OccurredAt.After(time.Now()) || told.OccurredAt.Before(time.UnixMicro(1)) {
			told.OccurredAt = time.Time{} // as the receiver does
		}
		var invalid *audit.InvalidEventError
		if err := event.Validate(t.Context(), told); errors.As(err, &invalid) && invalid.Field == "metadata" && len(body) > 100_000 {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	})
}
