package audit_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
)

func TestAnEventSurvivesItsJSON(t *testing.T) {
	for name, e := range map[string]audit.Event{
		"whole": {
			ID: "msg-1", Organization: "acme", Action: audit.ServiceUpdate, EntityType: "service", EntityID: "svc-1",
			EntityName: "API", Actor: anna, OccurredAt: time.Date(2026, 11, 20, 14, 3, 22, 123456000, time.UTC),
			Metadata: json.RawMessage(`{"changes":{"replicas":{"after":2,"before":1}},"n":1.50}`),
			URL:      "https://example.com/svc-1", Request: audit.Request{IP: "192.0.2.1", UserAgent: "curl", ID: "req-1"},
		},
		"automated": {ExternalID: "t-1", Action: audit.DeploymentCreate, EntityID: "d-1", Actor: audit.System("nightly")},
		"least":     {Action: audit.DeploymentCreate, EntityID: "d-1"},
	} {
		t.Run(name, func(t *testing.T) {
			encoded, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			var back audit.Event
			if err := json.Unmarshal(encoded, &back); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(back, e) {
				t.Errorf("%s\nbecame %+v\nwant   %+v", encoded, back, e)
			}
		})
	}
}

func TestAnEventThatCannotBeReadNamesTheField(t *testing.T) {
	for name, tc := range map[string]struct{ raw, field string }{
		"unknown field":         {`{"action":"a:b","entity_id":"1","entiy_name":"x"}`, "entiy_name"},
		"unknown, without name": {`{"":1}`, "event"},
		"unknown, quoted":       {`{"a\"":1}`, `a"`},
		"unknown, long":         {`{"` + strings.Repeat("a", 1<<20) + `":1}`, "event"},
		"unknown in actor":      {`{"actor":{"id":"1","nmae":"x"}}`, "nmae"},
		"number for a text":     {`{"entity_id":7}`, "entity_id"},
		"text for the actor":    {`{"actor":"anna"}`, "actor"},
		"number in the actor":   {`{"actor":{"id":7}}`, "actor.id"},
		"time without zone":     {`{"occurred_at":"2026-11-20 14:03"}`, "occurred_at"},
		"a list":                {`[]`, "event"},
		"system with a name":    {`{"actor":{"id":"system","name":"Anna"}}`, "actor"},
		"a person with source":  {`{"actor":{"id":"u1","source":"x"}}`, "actor.source"},
		"not UTF-8":             {"{\"entity_id\":\"\xff\"}", "event"},
	} {
		t.Run(name, func(t *testing.T) {
			var e audit.Event
			err := e.UnmarshalJSON([]byte(tc.raw))
			var invalid *audit.InvalidEventError
			if !errors.As(err, &invalid) || invalid.Field != tc.field {
				t.Errorf("answers %v, want an *InvalidEventError about %s", err, tc.field)
			}
			if text := err.Error(); len(text) > 300 {
				t.Errorf("answers %d bytes", len(text))
			}
		})
	}
}
