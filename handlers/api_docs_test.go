package handlers_test

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

var (
	curlHeader = regexp.MustCompile(`-H ["']([^:]+): ([^"']+)["']`)
	curlData   = regexp.MustCompile(`(?s)-d '(.*?)'`)
)

// curlOf is the first request that a page of the documentation makes with curl and a body.
func curlOf(t *testing.T, page string) (headers []string, body string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "/api/v1/events \\\n")
	command, _, _ := strings.Cut(rest, "```")
	for _, header := range curlHeader.FindAllStringSubmatch(command, -1) {
		headers = append(headers, header[1], header[2])
	}
	data := curlData.FindStringSubmatch(command)
	if data == nil || len(headers) != 4 {
		t.Fatalf("%s makes no request that could be read: %q", page, command)
	}
	return headers, data[1]
}

// Following only the documentation: a key from Settings → API Keys, the request made with curl, and
// the entry on the page.
func TestTheDocumentedRequestIsAnEntryOnThePage(t *testing.T) {
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		p.organization("acme", ada)
		admin := p.signedIn(ada)
		made := admin.Post("/orgs/acme/settings/api-keys", "name", "Checkout service", "scope", "write", "expires", "never").Expect(http.StatusOK)
		key := made.Find("#shown-key").AttrOr("value", "")

		for _, page := range []string{"../docs/api.md", "../README.md"} {
			headers, body := curlOf(t, page)
			for i := range headers {
				headers[i] = strings.ReplaceAll(headers[i], "$AUDITLOGS_KEY", key)
			}
			answer := decoded[receipts](t, p.Client(t).Do(http.MethodPost, "/api/v1/events", strings.NewReader(body), headers...).Expect(http.StatusCreated))
			var sent struct {
				Action, EntityID string
				Actor            struct{ Name string }
			}
			if err := json.Unmarshal([]byte(strings.ReplaceAll(body, "entity_id", "EntityID")), &sent); err != nil {
				t.Fatal(err)
			}
			log := admin.Get("/orgs/acme" + auditLogs)
			row := `tbody[data-entry-id="` + *answer.Events[0].EntryID + `"] `
			for column, want := range map[string]string{"[data-col=action]": sent.Action, "[data-col=user] [data-value]": sent.Actor.Name} {
				if got := log.Text(row + column); got != want {
					t.Errorf("%s: its %s is %q on the page, want %q", page, column, got, want)
				}
			}
			if got := log.Text(row + "[data-col=entity_id] code[data-value]"); got != sent.EntityID {
				t.Errorf("%s: its entity is %q on the page, want %q", page, got, sent.EntityID)
			}
			if entry := admin.Get("/orgs/acme" + auditLogs + "/" + *answer.Events[0].EntryID).Expect(http.StatusOK); !strings.Contains(entry.Body, "Checkout service") {
				t.Errorf("%s: the entry does not name the key", page)
			}
		}
	})
}

// The answers that the documentation shows have the form of real ones.
func TestTheDocumentedAnswersAreTheServers(t *testing.T) {
	text, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, example := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		known := false
		for _, form := range []any{&receipts{}, &documentedPage{}, &documentedProblem{}} {
			decoder := json.NewDecoder(strings.NewReader(example[1]))
			decoder.DisallowUnknownFields()
			known = known || decoder.Decode(form) == nil
		}
		if !known {
			t.Errorf("no answer of the server looks like %s", example[1])
		}
	}
}

type documentedPage struct {
	Entries []struct {
		ID         string `json:"id"`
		OccurredAt string `json:"occurred_at"`
		RecordedAt string `json:"recorded_at"`
		Action     string `json:"action"`
		EntityType string `json:"entity_type"`
		EntityID   string `json:"entity_id"`
		EntityName string `json:"entity_name"`
		URL        string `json:"url"`
		Actor      map[string]string
		Request    map[string]string
		APIKey     map[string]string `json:"api_key"`
		Metadata   map[string]any
	} `json:"entries"`
	Next, Previous *string
}

type documentedProblem struct{ problem }
