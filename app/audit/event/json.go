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
	ID           string        `json:"id,omitempty"`
	Organization string        `json:"organization,omitempty"`
	ExternalID   string        `json:"external_id,omitempty"`
	Action       action.Action `json:"action"`
	EntityType   string        `json:"entity_type,omitempty"`
	EntityID     string        `json:"entity_id"`
	EntityName   string        `json:"entity_name,omitempty"`
	Actor        *actorJSON    `json:"actor,omitempty"`
	OccurredAt   string        `json:"occurred_at,omitempty"` // RFC 3339
	Metadata     any           `json:"metadata,omitempty"`
	URL          string        `json:"url,omitempty"`
	Request      *requestJSON  `json:"request,omitempty"`
}

// actorJSON is an actor. The ID "system" means an automated action; only then there is a source, and
// neither name nor e-mail.
type actorJSON struct {
	ID     string `json:"id"`
	Name   string `json:"name,omitempty"`
	Email  string `json:"email,omitempty"`
	Source string `json:"source,omitempty"`
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
		ID: e.ID, Organization: e.Organization, ExternalID: e.ExternalID, Action: e.Action,
		EntityType: e.EntityType, EntityID: e.EntityID, EntityName: e.EntityName, URL: e.URL,
	}
	metadata, err := encodeMetadata(e.Metadata)
	if err != nil {
		return nil, err
	}
	if metadata != "" {
		out.Metadata = json.RawMessage(metadata)
	}
	switch {
	case e.Actor.automated:
		out.Actor = &actorJSON{ID: e.Actor.ID, Source: e.Actor.source}
	case e.Actor != (Actor{}):
		out.Actor = &actorJSON{ID: e.Actor.ID, Name: e.Actor.Name, Email: e.Actor.Email}
	}
	if !e.OccurredAt.IsZero() {
		out.OccurredAt = e.OccurredAt.UTC().Format(time.RFC3339Nano)
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
		ID: in.ID, Organization: in.Organization, ExternalID: in.ExternalID, Action: in.Action,
		EntityType: in.EntityType, EntityID: in.EntityID, EntityName: in.EntityName, URL: in.URL,
	}
	if len(metadata) > 0 && string(metadata) != "null" {
		e.Metadata = metadata
	}
	if in.Actor != nil {
		e.Actor = Actor{ID: in.Actor.ID, Name: in.Actor.Name, Email: in.Actor.Email}
		system := System(in.Actor.Source)
		switch {
		case in.Actor.ID == system.ID && in.Actor.Name+in.Actor.Email != "" && in.Actor.Name != system.Name:
			return fault.Newf("actor", fault.Reserved, `"system" is reserved for automated actions, which have a source, but neither name nor e-mail`)
		case in.Actor.ID == system.ID:
			e.Actor = system
		case in.Actor.Source != "":
			return fault.Newf("actor.source", fault.Invalid, `goes with the actor "system" only`)
		}
	}
	if in.OccurredAt != "" {
		occurred, err := time.Parse(time.RFC3339Nano, in.OccurredAt)
		if err != nil {
			return fault.Newf("occurred_at", fault.Invalid, "%.60q is not a time such as 2026-11-20T14:03:22Z (RFC 3339)", in.OccurredAt)
		}
		e.OccurredAt = occurred
	}
	if in.Request != nil {
		e.Request = Request{IP: in.Request.IP, UserAgent: in.Request.UserAgent, ID: in.Request.ID}
	}
	return nil
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
	if kind == "struct" {
		return "an object"
	}
	return "a " + kind
}
