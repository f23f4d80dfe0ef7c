package event_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

func TestAnEventSurvivesItsJSON(t *testing.T) {
	for name, e := range map[string]event.Event{
		"whole": {
			ID: "msg-1", Organization: "acme", Action: action.ServiceUpdate, EntityType: "service", EntityID: "svc-1",
			EntityName: "API", Actor: anna, OccurredAt: time.Date(2026, 11, 20, 14, 3, 22, 123456000, time.UTC),
			Metadata: json.RawMessage(`{"changes":{"replicas":{"after":2,"before":1}},"n":1.50}`),
			URL:      "https://example.com/svc-1", Request: event.Request{IP: "192.0.2.1", UserAgent: "curl", ID: "req-1"},
		},
		"with all that is rare": {
			Action: action.ServiceUpdate, NativeAction: "svc.Update", EntityID: "svc-1",
			Related: []event.Resource{{Type: "subnet", ID: "sn-1", Name: "internal", Role: "network"}, {Type: "image", ID: "im-1"}},
			Outcome: event.OutcomeDenied, Reason: "no permission", Sequence: new(int64),
			Actor: event.Actor{Type: event.ActorAgent, ID: "bot-1", Name: "Deploy bot", OnBehalfOf: &event.Principal{
				Type: event.ActorService, ID: "ci", Name: "CI", Email: "ci@example.com", Session: "s-1"}},
		},
		"by nobody known":   {Action: action.ServiceUpdate, Actor: event.Anonymous(), Outcome: event.OutcomeFailure},
		"for a person":      {Action: action.ServiceUpdate, Actor: withPrincipal(event.System("nightly"), event.Principal{ID: "u1"})},
		"by a foreign name": {NativeAction: "iam:CreateRole", EntityType: "role", EntityID: "r-1"},
		"automated":         {ExternalID: "t-1", Action: action.DeploymentCreate, EntityID: "d-1", Actor: event.System("nightly")},
		"least":             {Action: action.DeploymentCreate, EntityID: "d-1"},
	} {
		t.Run(name, func(t *testing.T) {
			encoded, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			var back event.Event
			if err := json.Unmarshal(encoded, &back); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(back, e) {
				t.Errorf("%s\nbecame %+v\nwant   %+v", encoded, back, e)
			}
		})
	}
}

// What clients and spools of before have written, and what they read.
func TestTheJSONOfAnEventOfBeforeStaysAsItWas(t *testing.T) {
	for name, tc := range map[string]struct {
		event event.Event
		json  string
	}{
		"whole": {anEvent(func(e *event.Event) { e.ID, e.Outcome, e.Actor.Type = "1", event.OutcomeSuccess, event.ActorUser }),
			`{"id":"1","organization":"acme","action":"service:update","entity_id":"svc-1","entity_name":"API",` +
				`"actor":{"id":"u1","name":"Anna Álvarez","email":"anna@example.com"},"metadata":{"service_name":"API"}}`},
		"automated": {event.Event{Action: action.ServiceUpdate, EntityID: "1", Actor: event.System("nightly")},
			`{"action":"service:update","entity_id":"1","actor":{"id":"system","source":"nightly"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			if encoded, err := json.Marshal(tc.event); string(encoded) != tc.json {
				t.Errorf("%s, %v\nwant %s", encoded, err, tc.json)
			}
		})
	}
}

func TestDefaultsMayBeWrittenOut(t *testing.T) {
	for raw, want := range map[string]event.Event{
		`{"action":"service:update","outcome":"success","actor":{"type":"user","id":"u1","on_behalf_of":{"type":"user","id":"u2"}}}`: {
			Action: action.ServiceUpdate, Actor: event.Actor{ID: "u1", OnBehalfOf: &event.Principal{ID: "u2"}}},
		`{"action":"service:update","actor":{"type":"system"}}`:                               {Action: action.ServiceUpdate, Actor: event.System("")},
		`{"action":"service:update","actor":{"type":"system","id":"system","name":"system"}}`: {Action: action.ServiceUpdate, Actor: event.System("")},
		`{"action":"service:update","actor":{"type":"anonymous"}}`:                            {Action: action.ServiceUpdate, Actor: event.Anonymous()},
		`{"action":"service:update","actor":{"id":"anonymous"}}`:                              {Action: action.ServiceUpdate, Actor: event.Actor{ID: "anonymous"}},
		`{"action":"iam:CreateRole"}`:                                                         {NativeAction: "iam:CreateRole"},
		`{"action":"role:create","native_action":"iam:CreateRole","related":[]}`:              {Action: "role:create", NativeAction: "iam:CreateRole"},
		`{"action":"Role","native_action":"iam:CreateRole"}`:                                  {Action: "Role", NativeAction: "iam:CreateRole"},
	} {
		var e event.Event
		if err := json.Unmarshal([]byte(raw), &e); err != nil || !reflect.DeepEqual(e, want) {
			t.Errorf("%s\nbecame %+v, %v\nwant   %+v", raw, e, err, want)
		}
	}
}

func withPrincipal(actor event.Actor, principal event.Principal) event.Actor {
	actor.OnBehalfOf = &principal
	return actor
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
		"a fraction":            {`{"sequence":1.5}`, "sequence"},
		"a list":                {`[]`, "event"},
		"system with a name":    {`{"actor":{"id":"system","name":"Anna"}}`, "actor"},
		"anonymous with a name": {`{"actor":{"type":"anonymous","name":"Anna"}}`, "actor"},
		"unknown in related":    {`{"related":[{"type":"a","id":"1"},{"kind":"b"}]}`, "kind"},
		"twice in related":      {`{"related":[{"type":"a","id":"1","id":"2"}]}`, "related.id"},
		"unknown for whom":      {`{"actor":{"id":"1","on_behalf_of":{"id":"2","source":"x"}}}`, "source"},
		"related to a text":     {`{"related":["a"]}`, "related"},
		"a person with source":  {`{"actor":{"id":"u1","source":"x"}}`, "actor.source"},
		"twice":                 {`{"action":"a:b","entity_id":"1","entity_id":"1"}`, "entity_id"},
		"actor twice":           {`{"actor":{"id":"1"},"actor":{"id":"2"}}`, "actor"},
		"metadata twice":        {`{"metadata":{"a":1},"metadata":null}`, "metadata"},
		"twice, escaped":        {`{"id":"1","\u0069d":"1"}`, "id"},
		"twice in actor":        {`{"actor":{"id":"1","name":"\"},\"id\":","id":"2"}}`, "actor.id"},
		"twice in request":      {` { "request" : { "ip" : "1" , "ip" : "2" } } `, "request.ip"},
		"another case":          {`{"Actor":{"id":"1"}}`, "Actor"},
		"both cases":            {`{"actor":{"id":"1"},"Actor":{"name":"x"}}`, "Actor"},
		"another case in actor": {`{"metadata":{"x":[{},"}"]},"actor":{"id":"1","Name":"x"}}`, "actor.Name"},
		"another letter":        {`{"actor":{"id":"1"},"url":"","reque\u017ft":{}}`, "reque\u017ft"},
		"not UTF-8":             {"{\"entity_id\":\"\xff\"}", "event"},
	} {
		t.Run(name, func(t *testing.T) {
			var e event.Event
			err := e.UnmarshalJSON([]byte(tc.raw))
			var invalid *fault.Field
			if !errors.As(err, &invalid) || invalid.Field != tc.field {
				t.Errorf("answers %v, want an *InvalidEventError about %s", err, tc.field)
			}
			if text := err.Error(); len(text) > 300 {
				t.Errorf("answers %d bytes", len(text))
			}
		})
	}
}

// Package json takes names of any case for those of an event, and the last of two: an event could say
// one thing to who checks it and another to who reads it.
func TestNamesInMetadataAreTheSendersButNotTwice(t *testing.T) {
	for name, tc := range map[string]struct{ metadata, twice string }{
		"cases":             {`{"Name":1,"name":2,"NAME":{"Name":1,"name":2}}`, ""},
		"in other objects":  {`{"a":{"b":1},"b":{"b":2},"c":[{"b":1},{"b":1}]}`, ""},
		"in a text":         {`{"z":"{\"a\":1,\"a\":2}","a":":"}`, ""},
		"twice":             {`{"name":1,"name":1}`, "name"},
		"twice, escaped":    {`{"name":1,"n\u0061me":2}`, "name"},
		"twice, deep":       {`{"z":1,"a":[0,{"b":{"x":1,"y":2,"x":{"q":1}}}]}`, "x"},
		"twice, whole":      {`{"a":{"x":1,"y":2},"b":1,"a":{"z":1}}`, "a"},
		"twice, not shown":  {`{"password":"1","password":"2"}`, "password"},
		"twice, deepest":    {strings.Repeat(`{"a":`, 31) + `{"x":1,"x":2}` + strings.Repeat("}", 31), "x"},
		"twice, empty name": {`{"":1,"":2}`, ""},
		"twice, not UTF-8":  {"{\"\xff\":1,\"\xfe\":2}", "\ufffd"},
	} {
		t.Run(name, func(t *testing.T) {
			err := event.Validate(t.Context(), anEvent(func(e *event.Event) { e.Metadata = json.RawMessage(tc.metadata) }))
			if !strings.HasPrefix(name, "twice") {
				if err != nil {
					t.Errorf("answers %v", err)
				}
				return
			}
			var invalid *fault.Field
			if !errors.As(err, &invalid) || invalid.Field != "metadata" || invalid.Reason != fmt.Sprintf("%q is given twice in one object", tc.twice) {
				t.Errorf("answers %v", err)
			}
		})
	}
}

// What a second value overwrites is decoded no more, and must not take long to look through.
func TestANameThatIsGivenTwiceHidesNoDepth(t *testing.T) {
	metadata := `{"a":` + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000) + `,"a":1}`
	err := event.Validate(t.Context(), anEvent(func(e *event.Event) { e.Metadata = json.RawMessage(metadata) }))
	if !errors.Is(err, fault.TooLarge) {
		t.Errorf("answers %v", err)
	}
}
