package handlers

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/models"
)

// FuzzDecodeEvents: whatever bytes arrive, decoding ends. An event that cannot be read or recorded is
// refused by field; any other is still the same after it was written and read again.
func FuzzDecodeEvents(f *testing.F) {
	const whole = `{"id":"m-1","organization":"acme","action":"service:update","entity_type":"service","entity_id":"svc-1",` +
		`"entity_name":"API","actor":{"id":"u-7","name":"Ada","email":"ada@example.com"},"occurred_at":"2026-05-20T10:00:00+02:00",` +
		`"metadata":{"n":1.50,"changes":{"a":{"before":null,"after":"\u0000"}}},"url":"https://example.com","request":{"ip":"192.0.2.7"}}`
	for _, seed := range []string{
		whole, "[" + whole + "," + whole + "]", whole + "\n" + whole + "\n", "[", "[]", "[,]", "[{},", `[{"a":"]"}]`, `["\"]",{}]`, "{}}", " null ",
		`{"actor":{"id":"system","source":"x"}}`, `{"actor":{"id":"system","name":"Eve"}}`, `{"metadata":[]}`, `{"entity_id":7}`, `{"x":1}`,
		"{\"entity_id\":\"\xff\"}", `{"occurred_at":"0000-01-01T00:00:00Z"}`, `{"occurred_at":"9999-12-31T23:59:60Z"}`, strings.Repeat("[", 100),
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	now := time.Date(2026, 5, 20, 9, 30, 0, 0, time.UTC)
	org := models.Organization{ID: 1, Slug: "acme", RetentionDays: 90}
	f.Fuzz(func(t *testing.T, content []byte, lines bool) {
		body := decodeEvents(content, lines)
		if len(body.events) > maxEvents {
			t.Fatalf("%d events", len(body.events))
		}
		if len(body.events) == 0 && body.broken == "" {
			t.Fatal("no events, and no reason")
		}
		unread := map[int]bool{}
		for _, e := range body.refused {
			var field *fault.Field
			if !errors.As(e.Err, &field) || field.Field == "" || field.Code == "" || field.Reason == "" || e.Index >= len(body.events) {
				t.Fatalf("event %d of %d is refused without a field or a reason: %v", e.Index, len(body.events), e.Err)
			}
			unread[e.Index] = true
		}
		var known *problem
		if err := refuseAll(t.Context(), org, body, nil, now); !errors.As(err, &known) {
			t.Fatalf("the refusal is no problem: %v", err)
		}
		refused := map[int]bool{}
		for _, e := range known.Errors {
			refused[*e.Index] = true
		}
		for i, e := range body.events {
			if refused[i] {
				continue
			}
			if _, err := event.Resolve(t.Context(), e, now); err != nil || unread[i] {
				t.Fatalf("event %d is invalid, and not refused: %v", i, err)
			}
			written, err := json.Marshal(e)
			if err != nil {
				t.Fatalf("event %d cannot be written: %v", i, err)
			}
			var again audit.Event
			if err := again.UnmarshalJSON(written); err != nil {
				t.Fatalf("event %d was written as %s, which cannot be read: %v", i, written, err)
			}
			if rewritten, err := json.Marshal(again); err != nil || string(rewritten) != string(written) {
				t.Fatalf("event %d was written as %s, then as %s (%v)", i, written, rewritten, err)
			}
		}
	})
}
