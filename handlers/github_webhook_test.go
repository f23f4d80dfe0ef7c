package handlers_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/handlers/github"
	"github.com/auditlogs/auditlogs/internal/apptest"
	"github.com/auditlogs/auditlogs/models"
)

// hook is GitHub, delivering to acme.
type hook struct {
	*town
	org          models.Organization
	admin        *apptest.Client
	client       *apptest.Client
	path, secret string
}

func eachHook(t *testing.T, test func(t *testing.T, h *hook)) {
	t.Helper()
	eachTown(t, func(t *testing.T, p *town) {
		ada := p.user("Ada")
		h := &hook{town: p, org: p.organization("acme", ada), admin: p.signedIn(ada), client: p.Client(t)}
		h.path, h.secret = connectGitHub(t, h.admin)
		test(t, h)
	})
}

// deliver sends a delivery that GitHub signed. More headers replace those it has.
func (h *hook) deliver(id, event, body string, headers ...string) *apptest.Page {
	h.t.Helper()
	all := map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": event, "X-GitHub-Delivery": id,
		"X-Hub-Signature-256": github.Sign([]byte(h.secret), []byte(body)),
	}
	for i := 0; i < len(headers); i += 2 {
		all[headers[i]] = headers[i+1]
	}
	var pairs []string
	for name, value := range all {
		if value != "" {
			pairs = append(pairs, name, value)
		}
	}
	return h.client.Do(http.MethodPost, h.path, strings.NewReader(body), pairs...)
}

// recorded are the entries made of deliveries, oldest first.
func (h *hook) recorded() []models.Entry {
	h.t.Helper()
	var entries []models.Entry
	err := h.Store.Reader(h.t.Context()).Where("org_id = ? AND source = ?", h.org.ID, github.Source).Order("id").Find(&entries).Error
	if err != nil {
		h.t.Fatal(err)
	}
	return entries
}

// refused is a delivery that is answered with a problem and leaves the log as it was.
func (h *hook) refused(page *apptest.Page, status int, words string) {
	h.t.Helper()
	page.Expect(status)
	var problem struct {
		Status        int
		Title, Detail string
	}
	if err := json.Unmarshal([]byte(page.Body), &problem); err != nil || page.Header.Get("Content-Type") != "application/problem+json" {
		h.t.Errorf("no problem details but %s: %s", page.Header.Get("Content-Type"), page.Body)
	}
	if problem.Status != status || !strings.Contains(problem.Detail, words) {
		h.t.Errorf("refused with %q, want %q", problem.Detail, words)
	}
	if n := len(h.recorded()); n != 0 {
		h.t.Errorf("%d entries were recorded", n)
	}
}

func deploymentBody(created time.Time) string {
	return fmt.Sprintf(`{"action":"created","deployment":{"id":7,"sha":"f95f852bd8fca8fcc58a9a2d6c842781e32a215e",
		"ref":"main","environment":"production","created_at":%q},
		"repository":{"full_name":"octo/web","html_url":"https://github.com/octo/web"},"sender":{"login":"octocat"}}`,
		created.Format(time.RFC3339))
}

// Every example of GitHub's becomes the entry that the test data of package github says.
func TestGitHubExamplesBecomeEntries(t *testing.T) {
	read := func(name string, into any) {
		t.Helper()
		raw, err := os.ReadFile("../handlers/github/testdata/" + name)
		if err == nil {
			err = json.Unmarshal(raw, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var kinds []struct {
		Name     string
		Examples []json.RawMessage
	}
	var want []audit.Event
	read("examples.json", &kinds)
	read("events.json", &want)
	eachHook(t, func(t *testing.T, h *hook) {
		n := 0
		for _, kind := range kinds {
			for _, body := range kind.Examples {
				page := h.deliver(fmt.Sprint("delivery-", n), kind.Name, string(body)).Expect(200)
				if kind.Name == "ping" && !strings.Contains(page.Body, "Connected to ACME.") {
					t.Errorf("a ping is answered %s", page.Body)
				}
				n++
			}
		}
		entries := h.recorded()
		if len(entries) != len(want) {
			t.Fatalf("%d entries, want %d", len(entries), len(want))
		}
		for i, e := range entries {
			if !e.BySystem() || e.Action != string(want[i].Action) || e.EntityType != want[i].Action.Entity() ||
				e.EntityID != want[i].EntityID || e.EntityName != want[i].EntityName || e.URL != want[i].URL || e.IP != "127.0.0.1" {
				t.Errorf("entry %d is %+v, want %+v", i, e, want[i])
			}
			// The examples are years old: their entries would have expired.
			if e.OccurredAt != models.MicrosOf(h.Clock.Now()) {
				t.Errorf("entry %d occurred at %s", i, e.OccurredAt.Time())
			}
			var said map[string]any
			if err := json.Unmarshal(want[i].Metadata.(json.RawMessage), &said); err != nil {
				t.Fatal(err)
			}
			if got := metadataOf(t, e); !reflect.DeepEqual(got, said) {
				t.Errorf("entry %d says %v, want %v", i, got, said)
			}
		}
	})
}

func TestADeliveryIsStoredOnce(t *testing.T) {
	eachHook(t, func(t *testing.T, h *hook) {
		body := deploymentBody(h.Clock.Now().Add(-time.Minute))
		type answer struct {
			Message  string
			EntryID  string `json:"entry_id"`
			Repeated bool
		}
		read := func(page *apptest.Page) (a answer) {
			t.Helper()
			if err := json.Unmarshal([]byte(page.Expect(200).Body), &a); err != nil {
				t.Fatal(err)
			}
			return a
		}
		first := read(h.deliver("d-1", "deployment", body))
		entries := h.recorded()
		if len(entries) != 1 || entries[0].ID.String() != first.EntryID || first.Repeated {
			t.Fatalf("%d entries, answered %+v", len(entries), first)
		}
		if at := entries[0].OccurredAt.Time(); !at.Equal(h.Clock.Now().Add(-time.Minute)) {
			t.Errorf("it occurred at %s", at)
		}
		for _, later := range []time.Duration{0, 72 * time.Hour, 20 * 24 * time.Hour} {
			h.Clock.Advance(later)
			again := read(h.deliver("d-1", "deployment", body))
			if !again.Repeated || again.EntryID != first.EntryID || !strings.Contains(again.Message, "Already received") {
				t.Errorf("again after %s: %+v", later, again)
			}
		}
		if n := len(h.recorded()); n != 1 {
			t.Errorf("%d entries", n)
		}

		var senders sync.WaitGroup
		for range 4 {
			client := *h
			client.client = h.Client(t)
			senders.Go(func() { client.deliver("d-2", "deployment", body).Expect(200) })
		}
		senders.Wait()
		if n := len(h.recorded()); n != 2 {
			t.Errorf("%d entries after four of a kind at once", n)
		}
	})
}

// The ID of a delivery is not signed: who has caught one could send it again under others.
func TestASignedBodyIsStoredOnceAnHourWhateverItsID(t *testing.T) {
	eachHook(t, func(t *testing.T, h *hook) {
		body := deploymentBody(h.Clock.Now())
		first := h.deliver("d-1", "deployment", body).Expect(200)
		id := h.recorded()[0].ID.String()
		if strings.Contains(first.Body, "repeated") {
			t.Errorf("the first is answered %s", first.Body)
		}
		again := func(id string, want string) {
			t.Helper()
			if page := h.deliver(id, "deployment", body).Expect(200); !strings.Contains(page.Body, want) || !strings.Contains(page.Body, `"repeated":true`) {
				t.Errorf("%s is answered %s, want %s, repeated", id, page.Body, want)
			}
		}
		again("d-2", id)
		h.deliver("d-3", "deployment", body+" ").Expect(200) // not the same text, so signed anew
		h.Clock.Advance(time.Hour - time.Microsecond)
		again("d-4", id)
		if n := len(h.recorded()); n != 2 {
			t.Errorf("%d entries within the hour, want 2", n)
		}
		h.Clock.Advance(time.Microsecond)
		if page := h.deliver("d-4", "deployment", body).Expect(200); strings.Contains(page.Body, "repeated") {
			t.Errorf("after an hour: %s", page.Body)
		}
		h.Clock.Advance(2 * time.Hour)
		again("d-1", id)

		var senders sync.WaitGroup
		body = deploymentBody(h.Clock.Now())
		for n := range 4 {
			client := *h
			client.client = h.Client(t)
			senders.Go(func() { client.deliver(fmt.Sprint("d-at-once-", n), "deployment", body).Expect(200) })
		}
		senders.Wait()
		if n := len(h.recorded()); n != 4 {
			t.Errorf("%d entries after four of a kind at once, want 4", n)
		}
	})
}

// What was not stored, because the database failed, can be delivered again.
func TestADeliveryThatFailedCanBeSentAgain(t *testing.T) {
	eachHook(t, func(t *testing.T, h *hook) {
		body := deploymentBody(h.Clock.Now())
		rename := func(from, to string) {
			t.Helper()
			if err := h.DB.Write.Exec("ALTER TABLE " + from + " RENAME TO " + to).Error; err != nil {
				t.Fatal(err)
			}
		}
		rename("audit_entities", "audit_entities_away")
		h.deliver("d-1", "deployment", body).Expect(500)
		rename("audit_entities_away", "audit_entities")
		if page := h.deliver("d-1", "deployment", body).Expect(200); strings.Contains(page.Body, "repeated") {
			t.Errorf("answered %s", page.Body)
		}
		if n := len(h.recorded()); n != 1 {
			t.Errorf("%d entries", n)
		}
	})
}

func TestDeliveriesThatAreRefused(t *testing.T) {
	eachHook(t, func(t *testing.T, h *hook) {
		body := deploymentBody(h.Clock.Now())
		right := github.Sign([]byte(h.secret), []byte(body))
		for name, tc := range map[string]struct {
			body    string
			headers []string
			status  int
			words   string
		}{
			"no signature":        {body, []string{"X-Hub-Signature-256", ""}, 401, "X-Hub-Signature-256 is missing"},
			"half a signature":    {body, []string{"X-Hub-Signature-256", right[:40]}, 401, "64 hexadecimal digits"},
			"SHA-1":               {body, []string{"X-Hub-Signature-256", "", "X-Hub-Signature", "sha1=" + right[7:47]}, 401, "is missing"},
			"forged":              {body, []string{"X-Hub-Signature-256", github.Sign([]byte("guess"), []byte(body))}, 401, "does not fit"},
			"changed":             {strings.Replace(body, "octocat", "mallory", 1), []string{"X-Hub-Signature-256", right}, 401, "does not fit"},
			"truncated":           {body[:len(body)/2], []string{"X-Hub-Signature-256", right}, 401, "does not fit"},
			"truncated, signed":   {body[:len(body)/2], nil, 400, "unexpected end of JSON"},
			"empty":               {"", nil, 400, "unexpected end of JSON"},
			"without an ID":       {body, []string{"X-GitHub-Delivery", ""}, 400, "X-GitHub-Delivery"},
			"without an event":    {body, []string{"X-GitHub-Event", ""}, 400, "X-GitHub-Event"},
			"an ID of its own":    {body, []string{"X-GitHub-Delivery", "<script>"}, 400, "X-GitHub-Delivery"},
			"of another kind":     {body, []string{"Content-Type", "text/plain"}, 415, "application/json"},
			"a form without it":   {"a=b", []string{"Content-Type", "application/x-www-form-urlencoded"}, 400, "unexpected end of JSON"},
			"no form":             {"payload=%zz", []string{"Content-Type", "application/x-www-form-urlencoded"}, 400, "form"},
			"of no deployment":    {`{"action":"created"}`, nil, 400, "deployment.id"},
			"a ping that is none": {`{`, []string{"X-GitHub-Event", "ping"}, 400, "not JSON"},
		} {
			t.Run(name, func(t *testing.T) {
				inner := *h
				inner.t = t
				inner.refused(inner.deliver("d-1", "deployment", tc.body, tc.headers...), tc.status, tc.words)
			})
		}
		if connection, _ := h.Accounts.GitHubConnection(t.Context(), h.org.ID); connection.LastDeliveryAt != 0 {
			t.Errorf("the last delivery is %q", connection.LastDelivery)
		}
	})
}

// Whoever has no secret cannot find out which addresses are in use.
func TestAnAddressWithoutAConnectionIsRefusedLikeAForgedDelivery(t *testing.T) {
	eachHook(t, func(t *testing.T, h *hook) {
		body := deploymentBody(h.Clock.Now())
		forged := h.deliver("d-1", "deployment", body, "X-Hub-Signature-256", github.Sign(nil, []byte(body))).Expect(401)
		inUse := h.path
		answerOf := func(page *apptest.Page) string { return strings.ReplaceAll(withoutReference(page), h.path, "") }
		want := answerOf(forged)
		for _, path := range []string{"/webhooks/github/ghc_" + strings.Repeat("a", 26), "/webhooks/github/x", "/webhooks/github/" + h.org.Slug} {
			h.path = path
			if page := h.deliver("d-1", "deployment", body).Expect(401); answerOf(page) != want {
				t.Errorf("%s answers %s, want %s", path, page.Body, want)
			}
		}
		h.path = inUse
		h.admin.Post(integrations+"/github/secret", "confirm", "yes").Expect(200)
		h.refused(h.deliver("d-1", "deployment", body), 401, "does not fit") // the secret before
		h.admin.Post(integrations+"/github/disconnect", "confirm", "yes").Expect(303)
		h.refused(h.deliver("d-1", "deployment", body), 401, "does not fit")
	})
}

func TestADeletedOrganizationTakesNoDeliveries(t *testing.T) {
	eachHook(t, func(t *testing.T, h *hook) {
		h.close(h.org)
		h.refused(h.deliver("d-1", "deployment", deploymentBody(h.Clock.Now())), 401, "does not fit")
	})
}

func TestADeliveryThatIsTooLarge(t *testing.T) {
	eachHook(t, func(t *testing.T, h *hook) {
		padded := func(size int) string {
			body := deploymentBody(h.Clock.Now())
			return body + strings.Repeat(" ", size-len(body))
		}
		h.refused(h.deliver("d-1", "deployment", padded(5<<20+1)), 413, "5 MB")
		h.deliver("d-1", "deployment", padded(5<<20)).Expect(200)
	})
}

func TestDeliveriesAsForms(t *testing.T) {
	eachHook(t, func(t *testing.T, h *hook) {
		form := url.Values{"payload": {deploymentBody(h.Clock.Now())}}.Encode()
		h.deliver("d-1", "deployment", form, "Content-Type", "application/x-www-form-urlencoded").Expect(200)
		if entries := h.recorded(); len(entries) != 1 || entries[0].EntityName != "octo/web production" {
			t.Errorf("recorded: %+v", entries)
		}
	})
}

func TestDeliveriesOfWhichNothingIsKept(t *testing.T) {
	eachHook(t, func(t *testing.T, h *hook) {
		for event, body := range map[string]string{"push": `{"ref":"refs/heads/main"}`, "installation": `{"action":"renamed","installation":{"id":1}}`} {
			if page := h.deliver("d-1", event, body).Expect(202); !strings.Contains(page.Body, "not recorded") {
				t.Errorf("%s is answered %s", event, page.Body)
			}
			if text := h.admin.Get(integrations).Text("#github .facts"); !strings.Contains(text, event) || !strings.Contains(text, "(not recorded)") {
				t.Errorf("after %s the page says %q", event, text)
			}
		}
		h.deliver("d-2", "ping", `{"zen":"Keep it logically awesome."}`).Expect(200)
		if text := h.admin.Get(integrations).Text("#github .facts"); !strings.Contains(text, "ping") {
			t.Errorf("after a ping the page says %q", text)
		}
		if n := len(h.recorded()); n != 0 {
			t.Errorf("%d entries", n)
		}
		h.deliver("d-3", "deployment", deploymentBody(h.Clock.Now())).Expect(200)
		page := h.admin.Get(integrations)
		if got := page.Find("#github time[datetime='2026-05-20T09:30:00Z']").Length(); got == 0 || !strings.Contains(page.Text("#github .facts"), "deployment") {
			t.Errorf("after a deployment the page says %q", page.Text("#github .facts"))
		}
	})
}

func TestWithLoggingOffDeliveriesAreAnsweredAndNotStored(t *testing.T) {
	eachHook(t, func(t *testing.T, h *hook) {
		h.admin.Post("/orgs/acme/settings/audit", "retention_days", "90", "confirm", "yes").Expect(303)
		body := deploymentBody(h.Clock.Now())
		if page := h.deliver("d-1", "deployment", body).Expect(200); !strings.Contains(page.Body, "logging is off") || strings.Contains(page.Body, "entry_id") {
			t.Errorf("answered %s", page.Body)
		}
		h.admin.Post("/orgs/acme/settings/audit", "enabled", "on", "retention_days", "90").Expect(303)
		if page := h.deliver("d-1", "deployment", body).Expect(200); !strings.Contains(page.Body, `"repeated":true`) {
			t.Errorf("again: %s", page.Body)
		}
		if n := len(h.recorded()); n != 0 {
			t.Errorf("%d entries", n)
		}
	})
}

func TestTheTimeOfADelivery(t *testing.T) {
	eachHook(t, func(t *testing.T, h *hook) {
		now := h.Clock.Now()
		for i, tc := range []struct{ said, want time.Time }{
			{now.Add(-2 * time.Hour), now.Add(-2 * time.Hour)},
			{now.Add(4 * time.Minute), now.Add(4 * time.Minute)},
			{now.Add(6 * time.Minute), now},
			{now.AddDate(0, 0, -89), now.AddDate(0, 0, -89)},
			{now.AddDate(0, 0, -91), now},
		} {
			id := fmt.Sprint("d-", i)
			h.deliver(id, "deployment", deploymentBody(tc.said)).Expect(200)
			for _, e := range h.recorded() {
				if metadataOf(t, e)["delivery"] == id && !e.OccurredAt.Time().Equal(tc.want) {
					t.Errorf("GitHub says %s, it occurred %s, want %s", tc.said, e.OccurredAt.Time(), tc.want)
				}
			}
		}
	})
}

func TestADeliveryOnThePage(t *testing.T) {
	eachHook(t, func(t *testing.T, h *hook) {
		h.deliver("d-1", "deployment_status", `{"action":"created","deployment_status":{"state":"failure"},"deployment":{"id":7,"sha":"f95f852"},
			"repository":{"full_name":"octo/web"},"sender":{"login":"octocat"}}`).Expect(200)
		page := h.admin.Get("/orgs/acme/settings/audit-logs?action=deployment:status_update&actor=system").Expect(200)
		row := page.Find("#entries tbody[data-entry-id]")
		if row.Length() != 1 || page.Text("#entries tbody [data-col=user] [data-value]") != "system" || page.Text("#entries tbody [data-col=action]") != "deployment:status_update" {
			t.Errorf("the log shows %q", page.Text("#entries"))
		}
		entry := h.admin.Get("/orgs/acme/settings/audit-logs/" + row.AttrOr("data-entry-id", "")).Expect(200)
		for _, words := range []string{"octocat", "octo/web", "f95f852", "failure", github.Source} {
			if !strings.Contains(entry.Body, words) {
				t.Errorf("the entry does not say %s", words)
			}
		}
	})
}
