package event_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

func TestAnEventIsRefusedForAllItsFaultsAtOnce(t *testing.T) {
	tooMuch := int64(event.MaxSequence + 1)
	_, err := event.Resolve(t.Context(), event.Event{
		Action: "service:update", EntityName: "API", Outcome: "maybe", Reason: strings.Repeat("r", 501),
		Related: []event.Resource{{Type: "subnet", ID: "1"}, {Type: "Sub net", Role: strings.Repeat("r", 101)}},
		Actor:   event.Actor{Type: "robot", ID: " u1", OnBehalfOf: &event.Principal{ID: "system", Session: strings.Repeat("s", 201)}},
		URL:     "ftp://example.com", Metadata: "text", ID: strings.Repeat("i", 201), Sequence: &tooMuch,
	}, time.Now())
	var fields []string
	for _, fault := range fault.All(err) {
		fields = append(fields, fault.Field+" "+string(fault.Code))
	}
	want := []string{
		"organization unknown_organization", "entity_id required", "related[1].type invalid", "related[1].id required", "related[1].role too_large",
		"outcome invalid", "reason too_large", "actor.type invalid", "actor.id invalid", "actor.on_behalf_of.id reserved",
		"actor.on_behalf_of.session too_large", "sequence invalid", "url invalid", "metadata malformed", "id too_large",
	}
	if !slices.Equal(fields, want) {
		t.Errorf("%q\nwant %q", fields, want)
	}
	var first *fault.Field
	if !errors.As(err, &first) || first.Field != "organization" || !errors.Is(err, event.ErrNoOrganization) || !errors.Is(err, fault.TooLarge) {
		t.Errorf("%v", err)
	}
	if one := event.Validate(t.Context(), anEvent(func(e *event.Event) { e.Outcome = "maybe" })); reflect.TypeOf(one) != reflect.TypeFor[*fault.Field]() {
		t.Errorf("one fault is a %T", one)
	}
}

func TestWhatAnEventSaysIsResolved(t *testing.T) {
	named := event.Principal{Type: event.ActorUser, ID: "u1", Email: "ada@example.com", Session: " s\n1 "}
	related := []event.Resource{{Type: "subnet", ID: "1", Name: " in\tternal"}}
	got, err := event.Resolve(t.Context(), event.Event{
		Organization: "acme", Action: action.ServiceUpdate, Related: related, Outcome: event.OutcomeSuccess, Reason: " why\n",
		Actor: event.Actor{Type: event.ActorAgent, ID: "bot", OnBehalfOf: &named},
	}, time.UnixMicro(1e15).UTC())
	want := event.Event{
		Organization: "acme", Action: action.ServiceUpdate, EntityType: "service", Related: []event.Resource{{Type: "subnet", ID: "1", Name: "in ternal"}},
		Reason: "why", OccurredAt: time.UnixMicro(1e15).UTC(),
		Actor: event.Actor{Type: event.ActorAgent, ID: "bot", Name: "bot", OnBehalfOf: &event.Principal{
			ID: "u1", Name: "ada@example.com", Email: "ada@example.com", Session: "s 1"}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	if named.Name != "" || related[0].Name != " in\tternal" {
		t.Errorf("the caller's own became %+v, %+v", named, related)
	}
}

func TestActorsThatHaveNoIDOfTheirOwn(t *testing.T) {
	for name, tc := range map[string]struct {
		actor event.Actor
		want  fault.Code
	}{
		"system":                    {event.System("nightly"), ""},
		"system by its type alone":  {event.Actor{Type: event.ActorSystem}, ""},
		"system with an ID":         {event.Actor{Type: event.ActorSystem, ID: "cron"}, fault.Reserved},
		"system as a person":        {event.Actor{ID: event.SystemID}, fault.Reserved},
		"system as a service":       {event.Actor{Type: event.ActorService, ID: event.SystemID}, fault.Reserved},
		"anonymous":                 {event.Anonymous(), ""},
		"anonymous with an e-mail":  {event.Actor{Type: event.ActorAnonymous, Email: "a@example.com"}, fault.Reserved},
		"anonymous as a person":     {event.Actor{ID: event.AnonymousID, Name: "Anonymous"}, ""},
		"a service without an ID":   {event.Actor{Type: event.ActorService, Name: "CI"}, event.ErrNoActor},
		"one who acts for nobody":   {event.Actor{ID: "u1", OnBehalfOf: &event.Principal{}}, fault.Required},
		"one who acts for a system": {event.Actor{ID: "u1", OnBehalfOf: &event.Principal{Type: event.ActorSystem}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			resolved, err := event.Resolve(t.Context(), anEvent(func(e *event.Event) { e.Actor = tc.actor }), time.Now())
			if tc.want != "" {
				if !errors.Is(err, tc.want) {
					t.Errorf("answers %v, want %q", err, tc.want)
				}
				return
			}
			if err != nil || resolved.Actor.ID == "" || resolved.Actor.Name == "" {
				t.Errorf("is %+v, %v", resolved.Actor, err)
			}
		})
	}
}

func TestAnEventHasAtMostTwentyRelatedResources(t *testing.T) {
	related := slices.Repeat([]event.Resource{{Type: "subnet", ID: "1"}}, event.MaxRelated)
	if err := event.Validate(t.Context(), anEvent(func(e *event.Event) { e.Related = related })); err != nil {
		t.Error(err)
	}
	err := event.Validate(t.Context(), anEvent(func(e *event.Event) { e.Related = append(related, related[0]) }))
	if !errors.Is(err, fault.TooLarge) {
		t.Errorf("answers %v", err)
	}
}

// FuzzEventJSON reads whatever there is; what can be stored is, sent on, the same.
func FuzzEventJSON(f *testing.F) {
	f.Add([]byte(`{"action":"service:update","entity_id":"1","actor":{"id":"u1"},"organization":"acme"}`))
	f.Add([]byte(`{"action":"iam:CreateRole","organization":"acme","outcome":"denied","reason":"x","related":[{"type":"a","id":"1","role":"b"}],` +
		`"actor":{"type":"agent","id":"b","on_behalf_of":{"type":"anonymous","session":"s"}}}`))
	f.Add([]byte(`{"native_action":"Login failed","actor":{"type":"anonymous"},"organization":"acme","occurred_at":"2026-11-20T14:03:22Z"}`))
	f.Add([]byte(`{"related":[[{}]],"actor":{"on_behalf_of":[]}}`))
	now := time.UnixMicro(2e15)
	f.Fuzz(func(t *testing.T, raw []byte) {
		var e event.Event
		if err := e.UnmarshalJSON(raw); err != nil {
			if len(fault.All(err)) != 1 {
				t.Errorf("%s: %v", raw, err)
			}
			return
		}
		resolved, err := event.Resolve(t.Context(), e, now)
		if err != nil {
			if len(fault.All(err)) == 0 {
				t.Errorf("%s: %v", raw, err)
			}
			return
		}
		for name, sent := range map[string]event.Event{"as it came": e, "as it is stored": resolved} {
			encoded, err := sent.MarshalJSON()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			var back event.Event
			if err := back.UnmarshalJSON(encoded); err != nil {
				t.Fatalf("%s: %s: %v", name, encoded, err)
			}
			again, err := event.Resolve(t.Context(), back, now)
			if err != nil || !reflect.DeepEqual(again, resolved) {
				t.Errorf("%s: %s\nbecame %+v, %v\nwant   %+v", name, encoded, again, err, resolved)
			}
		}
	})
}

func TestAForeignNameBecomesAnAction(t *testing.T) {
	outside := event.FromOutside(t.Context())
	for name, tc := range map[string]struct {
		event  event.Event
		action action.Action
		native string
	}{
		"folded":                      {event.Event{NativeAction: "iam:CreateRole"}, "iam:create_role", "iam:CreateRole"},
		"by the type of the entity":   {event.Event{NativeAction: "Login failed", EntityType: "user"}, "user:login_failed", "Login failed"},
		"an action already":           {event.Event{NativeAction: "role:create"}, "role:create", ""},
		"beside an action":            {event.Event{Action: "role:create", NativeAction: "iam:CreateRole"}, "role:create", "iam:CreateRole"},
		"the same as an action":       {event.Event{Action: "role:create", NativeAction: "role:create"}, "role:create", ""},
		"one of the web app's":        {event.Event{NativeAction: "member.remove"}, action.MemberRemove, "member.remove"},
		"one of its, and named again": {event.Event{Action: action.MemberRemove, NativeAction: "member.remove"}, action.MemberRemove, "member.remove"},
	} {
		t.Run(name, func(t *testing.T) {
			e := anEvent(func(e *event.Event) {
				e.Action, e.NativeAction, e.EntityType = tc.event.Action, tc.event.NativeAction, tc.event.EntityType
			})
			got, err := event.Resolve(outside, e, time.Now())
			if err != nil || got.Action != tc.action || got.NativeAction != tc.native || got.EntityType == "" {
				t.Errorf("is %q, %q of %q, %v", got.Action, got.NativeAction, got.EntityType, err)
			}
			again, err := event.Resolve(outside, got, time.Now())
			if err != nil || again.Action != tc.action || again.NativeAction != tc.native {
				t.Errorf("once more it is %q, %q, %v", again.Action, again.NativeAction, err)
			}
		})
	}
	for name, tc := range map[string]struct {
		event  event.Event
		code   fault.Code
		reason string
	}{
		"written as the web app's":   {event.Event{NativeAction: "member:remove"}, fault.Reserved, ""},
		"another name beside it":     {event.Event{Action: action.MemberRemove, NativeAction: "iam:DeleteMember"}, fault.Reserved, ""},
		"a constant is never folded": {event.Event{Action: "Role:create"}, fault.Invalid, `character 'R'`},
		"which would be right":       {event.Event{Action: "Role:create", NativeAction: "iam:CreateRole"}, fault.Invalid, `write "role:create"`},
		"too long":                   {event.Event{NativeAction: strings.Repeat("a", 201)}, fault.TooLarge, ""},
		"none":                       {event.Event{}, fault.Required, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := event.Resolve(outside, anEvent(func(e *event.Event) { e.Action, e.NativeAction = tc.event.Action, tc.event.NativeAction }), time.Now())
			if !errors.Is(err, tc.code) || !strings.Contains(err.Error(), tc.reason) {
				t.Errorf("answers %v", err)
			}
		})
	}
}
