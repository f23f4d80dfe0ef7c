package handlers_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

func TestAnEventBecomesAnEntry(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		page := s.post(event("entity_name", `"API"`, "metadata", `{"changes":{"replicas":{"before":1,"after":2.50}}}`,
			"url", `"https://example.com/svc-1"`, "request", `{"ip":"192.0.2.7","user_agent":"curl","id":"req-1"}`,
			"occurred_at", `"2026-05-20T10:00:00+02:00"`)).Expect(http.StatusCreated)
		if got := page.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control is %q", got)
		}
		answer := decoded[receipts](t, page)
		entries := s.entries()
		if len(entries) != 1 || len(answer.Events) != 1 || !answer.Events[0].Stored || answer.Events[0].Repeated {
			t.Fatalf("%d entries, answered %s", len(entries), page.Body)
		}
		got := entries[0]
		if got.ID.String() != *answer.Events[0].EntryID {
			t.Errorf("the entry is %s, answered %s", got.ID, *answer.Events[0].EntryID)
		}
		at := models.MicrosOf(time.Date(2026, 5, 20, 8, 0, 0, 0, time.UTC))
		want := models.Entry{
			OrgID: s.org.ID, ID: got.ID, OccurredAt: at, RecordedAt: models.MicrosOf(s.Clock.Now()),
			Action: "service:update", EntityType: "service", EntityID: "svc-1", EntityName: "API",
			ActorID: "u-7", ActorKey: "ada lovelace", ActorName: "Ada Lovelace", ActorEmail: "ada@example.com",
			IP: "192.0.2.7", UserAgent: "curl", RequestID: "req-1",
			APIKeyID: s.write.ID, APIKeyName: "The write key", URL: "https://example.com/svc-1",
			Metadata: `{"changes":{"replicas":{"after":2.50,"before":1}}}`,
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("stored is %+v\nwant      %+v", got, want)
		}
	})
}

func TestWhereAnEventCameFromIsWhatItSays(t *testing.T) {
	s := newService(t, databasetest.SQLite(t))
	s.post(event(), "User-Agent", "the sender").Expect(http.StatusCreated)
	if e := s.entries()[0]; e.IP != "" || e.UserAgent != "" || e.RequestID != "" {
		t.Errorf("an event that says nothing came from %q, %q, %q", e.IP, e.UserAgent, e.RequestID)
	}
}

func TestSeveralEventsAtOnce(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		var events []string
		for i := range 1000 {
			events = append(events, event("entity_id", fmt.Sprintf(`"svc-%d"`, i), "actor", `{"id":"system","source":"nightly"}`))
		}
		answer := decoded[receipts](t, s.post(list(events...)).Expect(http.StatusCreated))
		inOrder := map[string]string{}
		for _, e := range s.entries() {
			inOrder[e.ID.String()] = e.EntityID
		}
		for i, receipt := range answer.Events {
			if inOrder[*receipt.EntryID] != fmt.Sprintf("svc-%d", i) {
				t.Fatalf("receipt %d is that of %s", i, inOrder[*receipt.EntryID])
			}
		}
		lines := "\n" + strings.Join(events[:3], "\r\n\n") + "\n\n"
		answer = decoded[receipts](t, s.post(lines, "Content-Type", "application/x-ndjson; charset=UTF-8").Expect(http.StatusCreated))
		if len(answer.Events) != 3 {
			t.Errorf("three lines have %d receipts", len(answer.Events))
		}
		s.wantEntries(1003)
		const mark = "\ufeff"
		s.post(mark + " " + list(events[0])).Expect(http.StatusCreated)
		s.post(mark + events[0]).Expect(http.StatusCreated)
		s.post(mark+events[0]+"\n", "Content-Type", "application/x-ndjson").Expect(http.StatusCreated)
		s.wantEntries(1006)

		for _, many := range []string{list(append(events, event())...), "[" + strings.Repeat("{},", 1000) + "{}]"} {
			if p := problemOf(t, s.post(many), http.StatusBadRequest); !strings.Contains(p.Detail, "more than 1000") {
				t.Errorf("too many events: %s", p.Detail)
			}
		}
		s.wantEntries(1006)
	})
}

func TestARefusedRequestListsEveryBadEvent(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		s.set("UPDATE audit_organizations SET external_id = 't-1', retention_days = 30")
		for name, tc := range map[string]struct {
			body   string
			status int
			faults string
		}{
			"fields": {list(event(), event("entity_id", "", "entity_name", `"x"`), event("action", `"Update"`, "native_action", `"x"`), event("actor", ""), event("metadata", `[1]`)), 422,
				"1 entity_id, 2 action, 3 actor, 4 metadata"},
			"several of one": {list(event(), event("action", "", "outcome", `"maybe"`, "related", `[{"type":"A"}]`, "url", `"ftp://x"`, "occurred_at", `"2025-04-20T09:29:59Z"`)), 422,
				"1 action, 1 related[0].type, 1 related[0].id, 1 outcome, 1 url, 1 occurred_at"},
			"types and fields together": {list(event("entity_id", "7"), event(), event("entiy_name", `"x"`), event("url", `"ftp://x"`)), 422,
				"0 entity_id, 2 entiy_name, 3 url"},
			"time": {list(event("occurred_at", `"2026-04-20T09:29:59Z"`), event("occurred_at", `"2026-04-20T09:30:00Z"`),
				event("occurred_at", `"2026-05-20T09:35:01Z"`), event("occurred_at", `"2026-05-20T09:35:00Z"`), event("occurred_at", `"today"`)), 422,
				"0 occurred_at, 2 occurred_at, 4 occurred_at"},
			"time and fields together": {list(event("occurred_at", `"2025-04-20T09:29:59Z"`), event("entity_id", `" "`), event("id", `"`+strings.Repeat("x", 201)+`"`)), 422,
				"0 occurred_at, 1 entity_id, 2 id"},
			"names": {list(event(), event("Actor", `{"name":"Mallory"}`), event("metadata", `{"a":1,"b":1,"a":2}`), event("actor", `{"id":"u1","id":"u2"}`),
				strings.Replace(event(), "{", `{"action":"service:create",`, 1)), 422, "1 Actor, 2 metadata, 3 actor.id, 4 action"},
			"IDs":                     {list(event("entity_id", `" svc-1"`), event("actor", `{"id":"u1\u2003"}`)), 422, "0 entity_id, 1 actor.id"},
			"another organization":    {list(event("organization", `"acme"`), event("organization", `"other"`), event("external_id", `"t-1"`), event("external_id", `"t-2"`)), 422, "1 organization, 3 external_id"},
			"one ID for two events":   {list(event("id", `"m-1"`), event("id", `"m-1"`, "entity_id", `"other"`)), 422, "1 id"},
			"a person called system":  {event("actor", `{"id":"system","name":"Eve"}`), 422, "0 actor"},
			"not JSON":                {list(event(), `{"action":}`, event("entity_id", `" "`)), 400, "1 event, 2 entity_id"},
			"no object":               {list(event(), `"service:update"`, `null`), 400, "1 event, 2 action, 2 actor"},
			"a comma too many":        {"[" + event() + ",]", 400, "1 event"},
			"a comma too few":         {"[" + event() + event() + "]", 400, "0 event"},
			"a list cut off":          {"[" + event() + "," + event(), 400, ""},
			"an event cut off":        {"[" + event() + "," + event()[:20], 400, "1 event"},
			"one event cut off":       {event()[:20], 400, "0 event"},
			"an empty list":           {" [ ] ", 400, ""},
			"nothing":                 {" \n", 400, ""},
			"a list and more":         {list(event()) + list(event()), 400, ""},
			"an event and more":       {event() + event(), 400, "0 event"},
			"no UTF-8":                {event("entity_name", "\"\xff\""), 400, "0 event"},
			"brackets in the wrong":   {`[` + event() + `}]`, 400, "0 event"},
			"levels upon levels":      {`[` + strings.Repeat(`{"metadata":`, 20000), 400, "0 event"},
			"metadata upon metadata":  {event("metadata", strings.Repeat(`{"a":`, 33)+"1"+strings.Repeat("}", 33)), 422, "0 metadata"},
			"an unusual organization": {event("organization", `"acme"`, "external_id", `"t-9"`), 422, "0 external_id"},
		} {
			t.Run(name, func(t *testing.T) {
				p := problemOf(t, s.post(tc.body), tc.status)
				if p.faults() != tc.faults {
					t.Errorf("the faults are %q, want %q: %+v", p.faults(), tc.faults, p)
				}
				for _, e := range p.Errors {
					if e.Detail == "" || e.Code == "" {
						t.Errorf("nothing is said of %s: %+v", e.Field, e)
					}
				}
				s.wantEntries(0)
			})
		}
		p := problemOf(t, s.post("\n{}\n\n"+event()+"\nx\n", "Content-Type", "application/x-ndjson"), http.StatusBadRequest)
		if p.faults() != "0 action, 0 actor, 2 event" {
			t.Errorf("the faults of the lines are %q", p.faults())
		}
		p = problemOf(t, s.post(event("occurred_at", `"2026-01-01T00:00:00Z"`)), http.StatusUnprocessableEntity)
		if !strings.Contains(p.Errors[0].Detail, "30 days") || p.Errors[0].Code != "expired" {
			t.Errorf("of an event that is too old it says %+v", p.Errors[0])
		}
		for code, body := range map[string]string{
			"no_actor":             event("actor", ""),
			"unknown_organization": event("organization", `"other"`),
		} {
			p := problemOf(t, s.post(body), http.StatusUnprocessableEntity)
			if p.Code != "invalid_events" || len(p.Errors) != 1 || p.Errors[0].Code != code {
				t.Errorf("%s: the problem is %+v", code, p)
			}
		}
		s.wantEntries(0)
	})
}

func TestBodiesThatAreNotRead(t *testing.T) {
	s := newService(t, databasetest.SQLite(t))
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	if _, err := writer.Write([]byte(event())); err != nil || writer.Close() != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		body    string
		headers []string
	}{
		"a form":          {"action=service:update", []string{"Content-Type", "application/x-www-form-urlencoded"}},
		"XML":             {"<event/>", []string{"Content-Type", "text/xml"}},
		"another charset": {event(), []string{"Content-Type", "application/json; charset=latin1"}},
		"nonsense":        {event(), []string{"Content-Type", "?;;"}},
		"packed":          {packed.String(), []string{"Content-Encoding", "gzip"}},
	} {
		t.Run(name, func(t *testing.T) {
			problemOf(t, s.post(tc.body, tc.headers...), http.StatusUnsupportedMediaType)
		})
	}
	s.wantEntries(0)
}

func TestABodyThatIsTooLarge(t *testing.T) {
	s := newService(t, databasetest.SQLite(t))
	padded := func(size int) string { return strings.Repeat(" ", size-len(event())) + event() }
	s.post(padded(5 << 20)).Expect(http.StatusCreated)
	problemOf(t, s.post(padded(5<<20+1)), http.StatusRequestEntityTooLarge)
	s.wantEntries(1)
	// Forms are not that large.
	form := strings.Repeat("a", 1<<20+1)
	s.client.Do(http.MethodPost, "/login", strings.NewReader(form), "Content-Type", "application/x-www-form-urlencoded").
		Expect(http.StatusRequestEntityTooLarge)
}

func TestARequestThatBreaksOff(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		body := list(event(), event())
		_, err = fmt.Fprintf(conn, "POST /api/v1/events HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			s.write.token, len(body)+1, body)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		content, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusBadRequest || got != "application/problem+json" {
			t.Errorf("it is answered %d as %s: %s", answer.StatusCode, got, content)
		}
		s.wantEntries(0)
	})
}

func TestEventsOfOneMomentStayInOrder(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		numbered := func(n int, members ...string) string {
			members = append(members, "entity_id", fmt.Sprintf(`"%d"`, n), "occurred_at", `"2026-05-20T09:00:00Z"`)
			if n%2 == 0 {
				members = append(members, "id", fmt.Sprintf(`"m-%d"`, n))
			}
			return event(members...)
		}
		// The last request comes first, and says so; the others are in the order in which they come.
		var bodies []string
		for begin := 0; begin < 60; begin += 20 {
			var events []string
			for n := begin; n < begin+20; n++ {
				if begin < 40 {
					events = append(events, numbered(n))
				} else {
					events = append(events, numbered(n, "sequence", fmt.Sprint(1<<30-60+n)))
				}
			}
			bodies = append(bodies, list(events...))
		}
		for _, body := range []string{bodies[2], bodies[0], bodies[1]} {
			s.post(body).Expect(http.StatusCreated)
		}
		for n, e := range s.entries() {
			if e.EntityID != fmt.Sprint(59-n) {
				t.Fatalf("entry %d of the newest first is of event %s", n, e.EntityID)
			}
		}
		s.wantEntries(60)
	})
}

func TestARepeatedRequestIsAnsweredAsTheFirst(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		key := []string{"Idempotency-Key", "batch 1"}
		body := list(event(), event("occurred_at", `"2026-02-19T10:00:00Z"`))
		first := s.post(body, key...).Expect(http.StatusCreated)
		if first.Header.Get("Idempotent-Replayed") != "" {
			t.Error("the first answer is called a replay")
		}
		repeat := func() {
			t.Helper()
			again := s.post(body, key...).Expect(http.StatusCreated)
			if again.Body != first.Body || again.Header.Get("Idempotent-Replayed") != "true" || again.Header.Get("Content-Type") != first.Header.Get("Content-Type") {
				t.Errorf("the repeat is answered %s, the first time %s", again.Body, first.Body)
			}
			s.wantEntries(2)
		}
		repeat()
		s.Clock.Advance(30 * time.Minute)
		repeat()

		p := problemOf(t, s.post(list(event()), key...), http.StatusUnprocessableEntity)
		if !strings.HasSuffix(p.Type, "#idempotency-key-reused") {
			t.Errorf("another body is a problem of type %s", p.Type)
		}
		problemOf(t, s.post(body, append(key, "Content-Type", "application/x-ndjson")...), http.StatusBadRequest)
		s.wantEntries(2)

		// A key belongs to the API key it was sent with.
		mine := s.write
		s.write = s.key(s.org, accounts.ScopeWrite, 0)
		s.post(event("entity_id", `"theirs"`), key...).Expect(http.StatusCreated)
		s.write = mine
		s.wantEntries(3)

		// What happened in February has expired; its repeat is still answered as it was.
		s.Clock.Advance(23 * time.Hour)
		if again := s.post(body, key...).Expect(http.StatusCreated); again.Body != first.Body {
			t.Errorf("a day later it is answered %s", again.Body)
		}
		s.Clock.Advance(time.Hour)
		s.post(event(), key...).Expect(http.StatusCreated)
	})
}

func TestARefusedRequestIsNotRemembered(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		key := []string{"Idempotency-Key", "k"}
		problemOf(t, s.post(list(event(), event("actor", "")), key...), http.StatusUnprocessableEntity)
		s.post(list(event(), event()), key...).Expect(http.StatusCreated)
		s.wantEntries(2)
		for _, bad := range []string{strings.Repeat("k", 201), "schlüssel"} {
			if p := problemOf(t, s.post(event(), "Idempotency-Key", bad), http.StatusBadRequest); p.faults() != "- Idempotency-Key" {
				t.Errorf("the faults are %q", p.faults())
			}
		}
		s.wantEntries(2)
	})
}

func TestConcurrentRepeatsStoreOnce(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		const times = 8
		bodies := make([]string, times)
		var under sync.WaitGroup
		for i := range times {
			under.Go(func() {
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/v1/events", strings.NewReader(list(event(), event())))
				if err != nil {
					t.Error(err)
					return
				}
				request.Header = http.Header{"Authorization": {"Bearer " + s.write.token}, "Content-Type": {"application/json"}, "Idempotency-Key": {"k"}}
				answer, err := http.DefaultClient.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				defer answer.Body.Close()
				body, err := io.ReadAll(answer.Body)
				if err != nil || answer.StatusCode != http.StatusCreated {
					t.Errorf("%d, %v: %s", answer.StatusCode, err, body)
				}
				bodies[i] = string(body)
			})
		}
		under.Wait()
		http.DefaultClient.CloseIdleConnections()
		for _, body := range bodies {
			if body != bodies[0] {
				t.Errorf("one is answered %s, another %s", body, bodies[0])
			}
		}
		s.wantEntries(2)
	})
}

func TestAnEventWithAnIDIsStoredOnce(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		first := decoded[receipts](t, s.post(event("id", `"m-1"`)).Expect(http.StatusCreated)).Events[0]
		again := decoded[receipts](t, s.post(list(event("id", `"m-1"`), event("id", `"m-1"`))).Expect(http.StatusOK)).Events
		for _, receipt := range again {
			if *receipt.EntryID != *first.EntryID || !receipt.Stored || !receipt.Repeated {
				t.Errorf("the repeat is answered %+v, the first %+v", receipt, first)
			}
		}
		mixed := decoded[receipts](t, s.post(list(event("id", `"m-1"`), event())).Expect(http.StatusCreated)).Events
		if !mixed[0].Repeated || mixed[1].Repeated {
			t.Errorf("a repeat and another are answered %+v", mixed)
		}
		s.wantEntries(2)
		if p := problemOf(t, s.post(event("id", `"m-1"`, "entity_id", `"other"`)), http.StatusUnprocessableEntity); p.faults() != "0 id" || p.Errors[0].Code != "id_reused" {
			t.Errorf("the faults are %+v", p.Errors)
		}
	})
}

func TestRecordingWhileLoggingIsOff(t *testing.T) {
	eachService(t, func(t *testing.T, s *service) {
		s.set("UPDATE audit_organizations SET logging_enabled = ?", false)
		page := s.post(event()).Expect(http.StatusOK)
		var answer any
		if err := json.Unmarshal([]byte(page.Body), &answer); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(answer); got != "map[events:[map[entry_id:<nil> repeated:false stored:false]]]" {
			t.Errorf("it is answered %s", page.Body)
		}
		problemOf(t, s.post(event("actor", "")), http.StatusUnprocessableEntity)
		s.wantEntries(0)
	})
}
