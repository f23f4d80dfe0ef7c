package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// eventJSON is an event as the HTTP API, NDJSON files and the client's spool write it. docs/api.md
// describes it.
type eventJSON struct {
	ID           string         `json:"id,omitempty"`
	Organization string         `json:"organization,omitempty"`
	ExternalID   string         `json:"external_id,omitempty"`
	Action       string         `json:"action,omitempty"` // where it is not entity:verb, it is native_action
	NativeAction string         `json:"native_action,omitempty"`
	EntityType   string         `json:"entity_type,omitempty"`
	EntityID     string         `json:"entity_id,omitempty"`
	EntityName   string         `json:"entity_name,omitempty"`
	Related      []resourceJSON `json:"related,omitempty"`
	Outcome      Outcome        `json:"outcome,omitempty"`
	Reason       string         `json:"reason,omitempty"`
	Actor        *actorJSON     `json:"actor,omitempty"`
	OccurredAt   *string        `json:"occurred_at,omitempty"` // RFC 3339
	Sequence     *int64         `json:"sequence,omitempty"`
	Metadata     any            `json:"metadata,omitempty"`
	URL          string         `json:"url,omitempty"`
	Request      *requestJSON   `json:"request,omitempty"`
}

// resourceJSON is a Resource.
type resourceJSON struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	Role string `json:"role,omitempty"`
}

// actorJSON is an actor. The ID "system" without a type means an automated action; only then there is a
// source, and neither name nor e-mail.
type actorJSON struct {
	Type       ActorType      `json:"type,omitempty"`
	ID         string         `json:"id"`
	Name       string         `json:"name,omitempty"`
	Email      string         `json:"email,omitempty"`
	Source     string         `json:"source,omitempty"`
	OnBehalfOf *principalJSON `json:"on_behalf_of,omitempty"`
}

// principalJSON is a Principal.
type principalJSON struct {
	Type    ActorType `json:"type,omitempty"`
	ID      string    `json:"id"`
	Name    string    `json:"name,omitempty"`
	Email   string    `json:"email,omitempty"`
	Session string    `json:"session,omitempty"`
}

type requestJSON struct {
	IP        string `json:"ip,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
	ID        string `json:"id,omitempty"`
}

// MarshalJSON writes the event as the HTTP API reads it. Its metadata is as it would be stored:
// what is masked does not leave the program.
func (e Event) MarshalJSON() ([]byte, error) {
	out := eventJSON{
		ID: e.ID, Organization: e.Organization, ExternalID: e.ExternalID, Action: string(e.Action), NativeAction: e.NativeAction,
		EntityType: e.EntityType, EntityID: e.EntityID, EntityName: e.EntityName, Outcome: unlessDefault(e.Outcome, OutcomeSuccess),
		Reason: e.Reason, Sequence: e.Sequence, URL: e.URL,
	}
	for _, r := range e.Related {
		out.Related = append(out.Related, resourceJSON(r))
	}
	metadata, err := own.Load().encodeMetadata(e.Metadata)
	if err != nil {
		return nil, err
	}
	if metadata != "" {
		out.Metadata = json.RawMessage(metadata)
	}
	if e.Actor != (Actor{}) {
		out.Actor = actorToJSON(e.Actor)
	}
	if !e.OccurredAt.IsZero() {
		occurred := e.OccurredAt.UTC().Format(time.RFC3339Nano)
		out.OccurredAt = &occurred
	}
	if e.Request != (Request{}) {
		out.Request = &requestJSON{e.Request.IP, e.Request.UserAgent, e.Request.ID}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes. What it cannot read is a *fault.Field that
// names the field, as are a field that no event has and one that is given twice. Metadata becomes a
// json.RawMessage. Whether the values can be stored is up to Validate, or found when they are.
func (e *Event) UnmarshalJSON(raw []byte) error {
	if !utf8.Valid(raw) {
		return fault.Newf("event", fault.Malformed, "is not valid UTF-8")
	}
	var metadata json.RawMessage
	in := eventJSON{Metadata: &metadata}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if err := decoder.Decode(&in); err != nil {
		return decodingError(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fault.Newf("event", fault.Malformed, "is followed by something else")
	}
	if err := checkNames(string(raw), ""); err != nil {
		return err
	}
	*e = Event{
		ID: in.ID, Organization: in.Organization, ExternalID: in.ExternalID, Action: action.Action(in.Action), NativeAction: in.NativeAction,
		EntityType: in.EntityType, EntityID: in.EntityID, EntityName: in.EntityName, Outcome: unlessDefault(in.Outcome, OutcomeSuccess),
		Reason: in.Reason, Sequence: in.Sequence, URL: in.URL,
	}
	if e.NativeAction == "" && !e.Action.Valid() {
		e.Action, e.NativeAction = "", in.Action
	}
	for _, r := range in.Related {
		e.Related = append(e.Related, Resource(r))
	}
	if len(metadata) > 0 && string(metadata) != "null" {
		e.Metadata = metadata
	}
	if in.Actor != nil {
		var err error
		if e.Actor, err = actorFromJSON(*in.Actor); err != nil {
			return err
		}
	}
	if in.OccurredAt != nil {
		var err error
		if e.OccurredAt, err = ParseTime("occurred_at", *in.OccurredAt); err != nil {
			return err
		}
	}
	if in.Request != nil {
		e.Request = Request{IP: in.Request.IP, UserAgent: in.Request.UserAgent, ID: in.Request.ID}
	}
	return nil
}

func actorToJSON(a Actor) *actorJSON {
	out := &actorJSON{Type: unlessDefault(a.Type, ActorUser), ID: a.ID, Name: a.Name, Email: a.Email, Source: a.source}
	if itself, err := a.itself("actor"); err == nil && itself.Name == string(a.Type) {
		out.ID, out.Name = itself.ID, ""
		out.Type = unlessDefault(a.Type, ActorSystem) // its ID says it
	}
	if p := a.OnBehalfOf; p != nil {
		out.OnBehalfOf = &principalJSON{unlessDefault(p.Type, ActorUser), p.ID, p.Name, p.Email, p.Session}
	}
	return out
}

func actorFromJSON(in actorJSON) (Actor, error) {
	a := Actor{Type: unlessDefault(in.Type, ActorUser), ID: in.ID, Name: in.Name, Email: in.Email, source: in.Source}
	if in.ID == SystemID && in.Type == "" {
		a.Type = ActorSystem
	}
	if in.Source != "" && a.Type != ActorSystem {
		return Actor{}, fault.Newf("actor.source", fault.Invalid, `goes with the actor "system" only`)
	}
	if p := in.OnBehalfOf; p != nil {
		a.OnBehalfOf = &Principal{unlessDefault(p.Type, ActorUser), p.ID, p.Name, p.Email, p.Session}
	}
	return a.itself("actor")
}

// unlessDefault returns value, and "" for the default: it means the same, and costs nothing.
func unlessDefault[T ~string](value, byDefault T) T {
	if value == byDefault {
		return ""
	}
	return value
}

// decodingError turns an error of package json into a *fault.Field.
func decodingError(err error) error {
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		field := mistyped.Field
		if field == "" {
			field = "event"
		}
		return fault.Newf(field, fault.Malformed, "is of type %.60s; %s is expected", mistyped.Value, jsonKind(mistyped.Type.Kind().String()))
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.Newf("event", fault.Malformed, "ends before it is complete")
	}
	return fault.Newf("event", fault.Malformed, "is not JSON: %s", strings.TrimPrefix(err.Error(), "json: "))
}

func jsonKind(kind string) string {
	switch kind {
	case "struct":
		return "an object"
	case "int64":
		return "a whole number"
	default:
		return "a " + kind
	}
}
