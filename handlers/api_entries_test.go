package handlers_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/handlers/exchange"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// entriesPage is what GET /entries answers.
type entriesPage struct {
	Entries []struct {
		ID       string         `json:"id"`
		EntityID string         `json:"entity_id"`
		Metadata map[string]any `json:"metadata"`
	} `json:"entries"`
	Next, Previous *string
}

func (p entriesPage) ids() (ids []string) {
	for _, e := range p.Entries {
		ids = append(ids, e.ID)
	}
	return ids
}

// fill records n events, a minute apart, of some kinds and people.
func (s *service) fill(n int) {
	s.t.Helper()
	actions := []string{"service:update", "deployment:create", "project:delete", "report:publish"}
	var events []string
	for i := range n {
		events = append(events, event("action", fmt.Sprintf("%q", actions[i%len(actions)]), "entity_id", fmt.Sprintf(`"svc-%d"`, i%11),
			"actor", fmt.Sprintf(`{"id":"u-%d","name":"Person %d"}`, i%5, i%3), "metadata", fmt.Sprintf(`{"n":%d}`, i),
			"occurred_at", fmt.Sprintf("%q", s.Clock.Now().Add(-time.Duration(i)*time.Minute).Format(time.RFC3339))))
	}
	s.post(list(events...)).Expect(http.StatusCreated)
}

// askedOnPage is the query of the API as the page has it.
var askedOnPage = strings.NewReplacer("query=svc&q=delete", "q=delete+svc", "query=", "q=")

func TestEntriesAreThoseOfThePage(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		s.fill(130)
		reader := s.As(t, s.Member(t, "jo@example.com", accounts.RoleMember, s.org))
		other := s.Organization(t, "other")
		for _, query := range []string{
			"", "limit=25", "dir=asc", "sort=action", "sort=user&dir=desc&limit=25", "sort=entity_type", "action=service:update&action=project:delete",
			"actor=u-1&actor=u-3", "actor=system", "entity_type=deployment", "q=svc-7", "q=delete+svc&sort=user", "from=-1h", "to=2026-05-20T08:00:00Z",
			"from=2026-05-20&to=2026-05-20&tz=Europe/Berlin", "q=nothing", "tz=UTC", "q=a%20b&actor=a%26b",
			"query=-svc-7+action:service:*", "query=svc+-actor:u-1,u-2&limit=25&sort=user", "query=meta.n:1*+outcome:success&limit=25", "query=svc&q=delete",
		} {
			path, forward := "/entries?"+query, [][]string{}
			for {
				page := s.get(path).Expect(http.StatusOK)
				answer := decoded[entriesPage](t, page)
				forward = append(forward, answer.ids())
				var shown []string
				log := reader.Get("/orgs/acme/settings/audit-logs" + askedOnPage.Replace(strings.TrimPrefix(path, "/entries")))
				for _, row := range log.Find("#entries tbody[data-entry-id]").EachIter() {
					shown = append(shown, row.AttrOr("data-entry-id", ""))
				}
				if !slices.Equal(shown, answer.ids()) {
					t.Fatalf("%s: the page shows %d entries, the API %d, or another order", path, len(shown), len(answer.ids()))
				}
				for _, e := range answer.Entries {
					if len(e.Metadata) != 1 && strings.HasPrefix(e.EntityID, "svc-") { // that somebody signed in has none
						t.Errorf("%s: the metadata is %v", path, e.Metadata)
					}
				}
				wantLink := ""
				if answer.Next != nil {
					wantLink = "<" + *answer.Next + `>; rel="next"`
				}
				if link := page.Header.Get("Link"); !strings.HasPrefix(link, wantLink) || wantLink == "" && strings.Contains(link, "next") {
					t.Errorf("%s: Link is %q, want %q", path, link, wantLink)
				}
				if answer.Next == nil {
					// And all the way back.
					for i := len(forward) - 2; i >= 0; i-- {
						if answer = decoded[entriesPage](t, s.get(strings.TrimPrefix(*answer.Previous, "/api/v1")).Expect(http.StatusOK)); !slices.Equal(answer.ids(), forward[i]) {
							t.Errorf("%s: page %d is another one on the way back", query, i)
						}
					}
					if answer.Previous != nil {
						t.Errorf("%s: there is a page before the first", query)
					}
					break
				}
				path = strings.TrimPrefix(*answer.Next, "/api/v1")
			}
		}
		s.read = s.key(other, accounts.ScopeRead, 0)
		if page := s.get("/entries").Expect(http.StatusOK); page.Body != `{"entries":[],"next":null,"previous":null}`+"\n" {
			t.Errorf("the other organization's log is %s", page.Body)
		}
	})
}

func TestHowAnEntryCameIntoTheLogIsAnswered(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		at := models.MicrosOf(s.Clock.Now())
		original := models.Original{Origin: models.OriginImport, RecordedAt: "2026-05-20T09:00:00.000000Z", APIKey: &models.OriginalAPIKey{ID: "key_0", Name: "<Old>"}}.Text()
		for origin, original := range map[models.Origin]string{models.OriginHere: "", models.OriginImport: "", models.OriginRestore: original} {
			entry := models.Entry{
				ID: models.NewEntryID(at), OccurredAt: at, RecordedAt: at, Action: "service:update", EntityType: "service", EntityID: "svc-1",
				ActorID: "u1", ActorKey: "ada", ActorName: "Ada", Origin: origin, Original: original,
			}
			err := s.Store.Transaction(t.Context(), func(tx *gorm.DB) error {
				_, err := models.InsertEntry(t.Context(), models.HandleOf(tx), models.NewEntry{Organization: models.OrganizationRef{Slug: "acme"}, Entry: entry})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			answer := decoded[map[string]json.RawMessage](t, s.get("/entries/"+entry.ID.String()).Expect(http.StatusOK))
			if !jsonEqual(t, answer["origin"], strings.ReplaceAll(fmt.Sprintf("%q", origin), `""`, "")) || !jsonEqual(t, answer["original"], original) {
				t.Errorf("%q: origin %s, original %s", origin, answer["origin"], answer["original"])
			}
			list := s.get("/entries?limit=25").Expect(http.StatusOK)
			if origin != models.OriginHere && !strings.Contains(list.Body, fmt.Sprintf(`"origin":%q`, origin)) {
				t.Errorf("the list does not say %q", origin)
			}
		}
	})
}

// jsonEqual reports whether got is the JSON want, or whether there is neither.
func jsonEqual(t *testing.T, got json.RawMessage, want string) bool {
	t.Helper()
	if len(got) == 0 || want == "" {
		return len(got) == len(want)
	}
	var a, b any
	if err := errors.Join(json.Unmarshal(got, &a), json.Unmarshal([]byte(want), &b)); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(a, b)
}

func TestAMalformedParameterIsNamed(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		for query, field := range map[string]string{
			"sort=password": "sort", "limit=1000": "limit", "limit=0": "limit", "from=yesterdayish": "from", "cursor=torn": "cursor", "dir=up": "dir",
			"action=%00": "action", "tz=Mars": "tz", "query=acton:x": "query", "query=ip:10.0.0.300": "query", "q=%00": "q", "q=%ff": "q", "actor=%zz": "actor", "entity_type=A": "entity_type",
			"ip=%00": "ip", "request_id=%ff": "request_id", "api_key=%zz": "api_key", "source=" + strings.Repeat("s", 101): "source",
		} {
			p := problemOf(t, s.get("/entries?"+query), http.StatusBadRequest)
			if p.faults() != "- "+field || !strings.HasSuffix(p.Type, "#invalid-parameter") {
				t.Errorf("%s: %+v", query, p)
			}
		}
	})
}

func TestOneEntry(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		s.Clock.Advance(123456 * time.Microsecond)
		s.post(list(
			event("entity_name", `"A<b>"`, "metadata", `{"n":1.50,"<":"&"}`, "url", `"https://example.com/?a=1&b=2"`, "request", `{"ip":"192.0.2.7"}`),
			event("occurred_at", `"2026-05-19T00:00:00Z"`, "actor", `{"id":"system","source":"nightly"}`),
			event("occurred_at", `"2026-05-18T00:00:00Z"`, "action", `"svc.Updated"`, "outcome", `"denied"`, "reason", `"no permission"`, "metadata", `{"password":"x"}`,
				"related", `[{"type":"subnet","id":"sn-1","name":"internal","role":"network"},{"type":"image","id":"im-1"}]`,
				"actor", `{"type":"agent","id":"bot","name":"Deploy bot","on_behalf_of":{"type":"service","id":"ci","email":"ci@example.com","session":"s-1"}}`),
			event("occurred_at", `"2026-05-17T00:00:00Z"`, "action", `"user.sign_in_refused"`, "entity_id", "", "outcome", `"failure"`, "actor", `{"type":"anonymous"}`),
			event("occurred_at", `"2026-05-16T00:00:00Z"`, "outcome", `"success"`, "actor", `{"type":"user","id":"u-7"}`, "related", "[]", "reason", `""`),
		)).Expect(http.StatusCreated)
		entries := s.entries()
		for i, want := range []string{
			`{"id":"` + entries[0].ID.String() + `","occurred_at":"2026-05-20T09:30:00.123456Z","recorded_at":"2026-05-20T09:30:00.123456Z",
			"action":"service:update","entity_type":"service","entity_id":"svc-1","entity_name":"A<b>",
			"actor":{"id":"u-7","name":"Ada Lovelace","email":"ada@example.com"},"request":{"ip":"192.0.2.7","user_agent":"","id":""},
			"api_key":{"id":"` + s.write.ID + `","name":"The write key"},"url":"https://example.com/?a=1&b=2","metadata":{"<":"&","n":1.50}}`,
			`{"id":"` + entries[1].ID.String() + `","occurred_at":"2026-05-19T00:00:00.000000Z","recorded_at":"2026-05-20T09:30:00.123456Z",
			"action":"service:update","entity_type":"service","entity_id":"svc-1","entity_name":"",
			"actor":{"id":"system","name":"system","source":"nightly"},"request":{"ip":"","user_agent":"","id":""},
			"api_key":{"id":"` + s.write.ID + `","name":"The write key"},"url":"","metadata":{}}`,
			`{"id":"` + entries[2].ID.String() + `","occurred_at":"2026-05-18T00:00:00.000000Z","recorded_at":"2026-05-20T09:30:00.123456Z",
			"action":"svc:updated","native_action":"svc.Updated","entity_type":"svc","entity_id":"svc-1","entity_name":"",
			"related":[{"type":"subnet","id":"sn-1","name":"internal","role":"network"},{"type":"image","id":"im-1"}],"outcome":"denied","reason":"no permission",
			"actor":{"type":"agent","id":"bot","name":"Deploy bot","email":"",
				"on_behalf_of":{"type":"service","id":"ci","name":"ci@example.com","email":"ci@example.com","session":"s-1"}},
			"request":{"ip":"","user_agent":"","id":""},
			"api_key":{"id":"` + s.write.ID + `","name":"The write key"},"url":"","metadata":{"password":"[masked]"},"masked":1}`,
			`{"id":"` + entries[3].ID.String() + `","occurred_at":"2026-05-17T00:00:00.000000Z","recorded_at":"2026-05-20T09:30:00.123456Z",
			"action":"user:sign_in_refused","native_action":"user.sign_in_refused","entity_type":"user","entity_id":"","entity_name":"","outcome":"failure",
			"actor":{"type":"anonymous","id":"anonymous","name":"anonymous","email":""},"request":{"ip":"","user_agent":"","id":""},
			"api_key":{"id":"` + s.write.ID + `","name":"The write key"},"url":"","metadata":{}}`,
			`{"id":"` + entries[4].ID.String() + `","occurred_at":"2026-05-16T00:00:00.000000Z","recorded_at":"2026-05-20T09:30:00.123456Z",
			"action":"service:update","entity_type":"service","entity_id":"svc-1","entity_name":"",
			"actor":{"id":"u-7","name":"u-7","email":""},"request":{"ip":"","user_agent":"","id":""},
			"api_key":{"id":"` + s.write.ID + `","name":"The write key"},"url":"","metadata":{}}`,
		} {
			page := s.get("/entries/" + entries[i].ID.String()).Expect(http.StatusOK)
			var got, wanted any
			if err := json.Unmarshal([]byte(want), &wanted); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(page.Body), &got); err != nil || !reflect.DeepEqual(got, wanted) {
				t.Errorf("the entry is %s\nwant %s (%v)", page.Body, want, err)
			}
			if i == 0 && !strings.Contains(page.Body, `{"<":"&","n":1.50}`) {
				t.Errorf("the digits of the metadata changed: %s", page.Body)
			}
		}

		id := entries[0].ID.String()
		for _, wrong := range []string{"x", strings.Repeat("0", 36), "00000000-0000-7000-8000-000000000000"} {
			problemOf(t, s.get("/entries/"+wrong), http.StatusNotFound)
		}
		mine := s.read
		s.read = s.key(s.Organization(t, "other"), accounts.ScopeRead, 0)
		problemOf(t, s.get("/entries/"+id), http.StatusNotFound)
		s.read = mine
		s.Clock.Advance(90*24*time.Hour + time.Microsecond)
		problemOf(t, s.get("/entries/"+id), http.StatusNotFound)
	})
}

// In a form of other programs the API answers with the same pages, and an export has the same lines.
func TestEntriesInOtherForms(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		s.fill(30)
		admin := s.As(t, s.Member(t, "jo@example.com", accounts.RoleAdmin, s.org))
		own := decoded[entriesPage](t, s.get("/entries?limit=25&q=svc").Expect(http.StatusOK))
		for _, form := range exchange.Forms {
			var all []string
			path := "/entries?limit=25&q=svc&format=" + form.Name
			for pages := 0; path != ""; pages++ {
				page := s.get(path).Expect(http.StatusOK)
				answer := decoded[struct {
					Entries        []json.RawMessage
					Next, Previous *string
				}](t, page)
				for i, e := range answer.Entries {
					if pages == 0 && !strings.Contains(string(e), own.Entries[i].ID) {
						t.Errorf("%s: entry %d is another one: %s", form.Name, i, e)
					}
					all = append(all, string(e))
				}
				if path = ""; answer.Next != nil {
					path = strings.TrimPrefix(*answer.Next, "/api/v1")
				}
				if path == "" != (pages == 1) || !strings.Contains(page.Header.Get("Link"), "&format="+form.Name+">") {
					t.Errorf("%s: page %d has the link %q", form.Name, pages, page.Header.Get("Link"))
				}
			}
			export := admin.Get("/orgs/acme" + auditLogs + "/export?q=svc&format=" + form.Name).Expect(http.StatusOK).Body
			if lines := strings.Join(all, "\n") + "\n"; lines != export {
				t.Errorf("%s: the export is\n%.300s, the answer\n%.300s", form.Name, export, lines)
			}
			if one := s.get("/entries/" + own.Entries[0].ID + "?format=" + form.Name).Expect(http.StatusOK); strings.TrimSpace(one.Body) != all[0] {
				t.Errorf("%s: one entry is %s, want %s", form.Name, one.Body, all[0])
			}
		}
		refused := problemOf(t, s.get("/entries?format=csv"), http.StatusBadRequest)
		if got := refused.Errors[0].Detail; !strings.HasPrefix(got, "must be ocsf, cloudevents or ecs") {
			t.Errorf("it is refused as %q", got)
		}
		if empty := s.get("/entries?format=&limit=25&q=svc").Expect(http.StatusOK); !slices.Equal(decoded[entriesPage](t, empty).ids(), own.ids()) {
			t.Error("without a form it is not our own")
		}
	})
}

// A program that misspells a parameter would otherwise get an answer to another question.
func TestUnknownParametersAreRefusedByTheAPI(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		s.fill(2)
		entry := s.entries()[0].ID.String()
		for query, field := range map[string]string{
			"/entries?ipp=192.0.2.7": "ipp", "/entries?limit=25&Action=service:update": "Action", "/entries?format=csv": "format", "/entries?a%20b": "a b", "/entries/" + entry + "?format=OCSF": "format",
			"/entries/" + entry + "?tz=UTC": "tz", "/actions?q=x": "q", "/entries?%FF=1": "\ufffd", "/entries?=1": "",
		} {
			answer := decoded[problem](t, s.get(query).Expect(http.StatusBadRequest))
			if answer.Title != "Invalid parameter" || len(answer.Errors) != 1 || answer.Errors[0].Field != field {
				t.Errorf("%s is answered %+v", query, answer)
			}
		}
		if answer := decoded[problem](t, s.client.Do(http.MethodPost, "/api/v1/events?dry_run=1", strings.NewReader(event()),
			"Authorization", "Bearer "+s.write.token, "Content-Type", "application/json").Expect(http.StatusBadRequest)); answer.Errors[0].Field != "dry_run" {
			t.Errorf("recording is answered %+v", answer)
		}
		s.get("/entries?&limit=&q=&").Expect(http.StatusOK)
		reader := s.As(t, s.Member(t, "jo@example.com", accounts.RoleMember, s.org))
		reader.Get("/orgs/acme/settings/audit-logs?ipp=192.0.2.7").Expect(http.StatusOK)
	})
}

func TestActionsOfTheCatalogueAndOfTheLog(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		s.fill(4)
		if err := models.SaveRegisteredActions(t.Context(), s.Store.Writer(t.Context()), []action.Action{"invoice:pay"}); err != nil {
			t.Fatal(err)
		}
		answer := decoded[struct {
			Actions []struct {
				Action, Group string
				Recorded      bool
			}
		}](t, s.get("/actions").Expect(http.StatusOK))
		found := map[string]string{}
		for _, a := range answer.Actions {
			found[a.Action] = fmt.Sprint(a.Group, " ", a.Recorded)
		}
		for action, want := range map[string]string{
			"deployment:create": "Deployments true", "deployment:delete": "Deployments false", "user:sign_in": "Access false", "report:publish": "Your application true", "invoice:pay": "Your application false",
		} {
			if found[action] != want {
				t.Errorf("%s is %q, want %q", action, found[action], want)
			}
		}
		if len(found) != len(answer.Actions) || answer.Actions[0].Action != "deployment:create" {
			t.Errorf("%d actions, %d of them different, the first %s", len(answer.Actions), len(found), answer.Actions[0].Action)
		}
	})
}

func TestLargeAnswersAreSentAsTheyAre(t *testing.T) {
	s := newService(t, databasetest.SQLite(t))
	large := event("metadata", `{"text":"`+strings.Repeat("x", 250_000)+`"}`)
	s.post(list(large, large, large, large, large)).Expect(http.StatusCreated)
	for path, want := range map[string]string{"/entries": "", "/entries/" + s.entries()[0].ID.String(): "br"} {
		page := s.client.Get("/api/v1"+path, "Authorization", "Bearer "+s.read.token, "Accept-Encoding", "gzip, br").Expect(http.StatusOK)
		if got := page.Header.Get("Content-Encoding"); got != want {
			t.Errorf("%s: Content-Encoding is %q, want %q", path, got, want)
		}
	}
}
