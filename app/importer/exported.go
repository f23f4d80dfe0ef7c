package importer

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/models"
)

// exported is an entry as a line of an NDJSON export of this log has it. docs/export.md lists its fields.
type exported struct {
	// organization is the slug of the organization it is an entry of.
	organization string

	entry models.Entry // as in the log it comes from
}

// isExported reports whether a line of JSON comes, or pretends to come, from an export: an event has its
// actor's ID in an object.
func isExported(line []byte) bool {
	if !bytes.Contains(line, []byte(`"actor_id"`)) {
		return false
	}
	fields, err := exportedFields(line)
	return err == nil && fields["actor_id"] != nil
}

// parseExported reads a line of an NDJSON export. What this log could not have written is a *fault.Field.
// Fields that exports of earlier versions lack may be missing.
func parseExported(line []byte) (exported, error) {
	var x exported
	if !utf8.Valid(line) {
		return x, refuse("event", "is not valid UTF-8")
	}
	fields, err := exportedFields(line)
	if err != nil {
		return x, err
	}
	if fields["actor_id"] == nil {
		return x, refuse("event", "is no line of an export: actor_id is missing")
	}
	e := &x.entry
	var id, occurred, recorded, origin string
	texts := []struct {
		name     string
		into     *string
		most     int // bytes
		required bool
	}{
		{"id", &id, 36, true},
		{"occurred_at", &occurred, 60, true},
		{"recorded_at", &recorded, 60, true},
		{"action", &e.Action, action.MaxLength, true},
		{"entity_type", &e.EntityType, action.MaxLength, true},
		{"entity_id", &e.EntityID, event.MaxEntityID, false},
		{"entity_name", &e.EntityName, event.MaxName, false},
		{"actor_id", &e.ActorID, event.MaxActorID, true},
		{"actor_name", &e.ActorName, event.MaxActorID, true}, // earlier versions put any ID in its place
		{"actor_email", &e.ActorEmail, event.MaxEmail, false},
		{"source", &e.Source, event.MaxSource, false},
		{"ip", &e.IP, event.MaxIP, false},
		{"user_agent", &e.UserAgent, event.MaxUserAgent, false},
		{"request_id", &e.RequestID, event.MaxRequestID, false},
		{"url", &e.URL, event.MaxURL, false},
		{"api_key_id", &e.APIKeyID, event.MaxName, false},
		{"api_key_name", &e.APIKeyName, event.MaxName, false},
		{"organization", &x.organization, event.MaxName, false},
		{"origin", &origin, event.MaxName, false},
		{"outcome", (*string)(&e.Outcome), event.MaxName, false},
		{"reason", &e.Reason, event.MaxReason, false},
		{"native_action", &e.NativeAction, event.MaxNativeAction, false},
		{"actor_type", (*string)(&e.ActorType), event.MaxName, false},
	}
	for _, text := range texts {
		raw := fields[text.name]
		delete(fields, text.name)
		if raw != nil && (json.Unmarshal(raw, text.into) != nil || string(raw) == "null") {
			return x, refuse(text.name, "is not a text")
		}
		switch value := *text.into; {
		case value == "" && text.required:
			return x, refuse(text.name, "is required")
		case len(value) > text.most:
			return x, refuse(text.name, "has %d bytes; at most %d are allowed", len(value), text.most)
		case strings.ContainsRune(value, 0):
			return x, refuse(text.name, "contains a control character")
		}
	}
	metadata, original := fields["metadata"], fields["original"]
	related, onBehalfOf := fields["related"], fields["on_behalf_of"]
	for _, name := range []string{"metadata", "original", "related", "on_behalf_of", "masked"} { // what is masked, the metadata says
		delete(fields, name)
	}
	for name := range fields {
		return x, refuse(fmt.Sprintf("%.100s", name), "is not a field of an exported entry")
	}
	e.ActorKey = models.Fold(e.ActorName)
	if e.Metadata, err = exportedMetadata(metadata); err != nil {
		return x, err
	}
	if e.OccurredAt, err = exportedTime("occurred_at", occurred); err != nil {
		return x, err
	}
	if e.RecordedAt, err = exportedTime("recorded_at", recorded); err != nil {
		return x, err
	}
	if e.ID, err = models.ParseEntryID(id); err != nil || !e.ID.IsOf(e.OccurredAt) {
		return x, refuse("id", "is not the ID of an entry that occurred then")
	}
	switch e.Origin = models.Origin(origin); e.Origin {
	case models.OriginHere, models.OriginImport, models.OriginRestore:
	default:
		return x, refuse("origin", `is none of "", "import" and "restore"`)
	}
	if e.Original, err = exportedOriginal(original); err != nil {
		return x, err
	}
	if err := readFurther(e, related, onBehalfOf); err != nil {
		return x, err
	}
	e.Masked = x.event().Masked()
	return x, checkExported(e)
}

// readFurther reads what only some entries say, and checks it as an event's.
func readFurther(e *models.Entry, related, onBehalfOf json.RawMessage) error {
	if e.Outcome == event.OutcomeSuccess {
		e.Outcome = ""
	}
	if e.ActorType == event.ActorUser || e.ActorType == event.ActorSystem && e.BySystem() { // whose ID says it
		e.ActorType = ""
	}
	resources, principal := cmp.Or(string(related), "null"), cmp.Or(string(onBehalfOf), "null")
	if resources == "null" && principal == "null" && e.Outcome == "" && e.Reason+e.NativeAction == "" && e.ActorType == "" {
		return nil
	}
	var further event.Event
	err := further.UnmarshalJSON(fmt.Appendf(nil, `{"related":%s,"actor":{"id":"-","on_behalf_of":%s}}`, resources, principal))
	if err != nil {
		return err
	}
	further.Organization, further.Action, further.NativeAction = "-", "an:event", e.NativeAction
	further.Outcome, further.Reason, further.Actor.Type = e.Outcome, e.Reason, e.ActorType
	if itself := string(e.ActorType); e.ActorID == itself { // system or anonymous
		further.Actor.ID = itself
	}
	resolved, err := event.Resolve(context.Background(), further, time.Now())
	if err != nil {
		return err
	}
	e.Outcome, e.Related, e.OnBehalfOf = resolved.Outcome, resolved.Related, resolved.Actor.OnBehalfOf
	for i := range e.Related { // nothing is masked again
		putBack(&e.Related[i].Name, further.Related[i].Name)
	}
	if e.OnBehalfOf != nil {
		putBack(&e.OnBehalfOf.Session, further.Actor.OnBehalfOf.Session)
	}
	return nil
}

// putBack has a text be as it was exported, if it can be stored so.
func putBack(text *string, exported string) {
	if !strings.ContainsRune(exported, 0) {
		*text = exported
	}
}

// checkExported refuses what this log records in no entry.
func checkExported(e *models.Entry) error {
	system := event.System(e.Source)
	switch {
	case !action.Action(e.Action).Valid():
		return refuse("action", "%.120q is not entity:verb, lower case", e.Action)
	case !action.ValidEntityType(e.EntityType):
		return refuse("entity_type", "%.120q is not lower case letters, digits and _", e.EntityType)
	case e.EntityID == "" && e.EntityName != "":
		return refuse("entity_id", "is required beside entity_name")
	case e.ActorID == system.ID && (e.ActorName != system.Name || e.ActorEmail != ""):
		return refuse("actor_id", `"system" is reserved for automated actions, which have a source, but neither name nor e-mail`)
	case e.ActorID == system.ID && e.ActorType != "":
		return refuse("actor_type", `is %q, but the actor "system" is reserved for automated actions and has no type but "system"`, string(e.ActorType))
	case e.ActorID != system.ID && e.Source != "":
		return refuse("source", `goes with the actor "system" only`)
	case e.Origin == models.OriginHere && e.Original != "":
		return refuse("original", "goes with an origin only")
	default:
		return nil
	}
}

// exportedFields takes a line apart. Two fields of one name are refused: readers would not agree which is
// meant.
func exportedFields(line []byte) (fields map[string]json.RawMessage, err error) {
	if err := decode(line, &fields); err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	return fields, event.EachMember(string(line), func(name, _ string) error {
		if seen[name] {
			return refuse(fmt.Sprintf("%.100s", name), "is there twice")
		}
		seen[name] = true
		return nil
	})
}

// decode reads one object, and refuses what follows it. Numbers stay as they are written.
func decode(object []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(object))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return unreadable(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return refuse("event", "is followed by something else")
	}
	return nil
}

// unreadable turns an error of package json into a *fault.Field.
func unreadable(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return refuse("event", "ends before it is complete")
	}
	if errors.As(err, new(*json.UnmarshalTypeError)) {
		return refuse("event", "is not a JSON object")
	}
	return refuse("event", "is not JSON: %s", strings.TrimPrefix(err.Error(), "json: "))
}

func refuse(field, format string, args ...any) error {
	return fault.Newf(field, fault.Invalid, format, args...)
}

// onlyNames takes an object apart and refuses one that has other names than these, or one of them twice.
func onlyNames(object json.RawMessage, path string, names ...string) (map[string]json.RawMessage, error) {
	fields, err := exportedFields(object)
	for name := range fields {
		if !slices.Contains(names, name) {
			return nil, refuse(path+name, "is not a field of an exported entry")
		}
	}
	return fields, err
}

func exportedTime(field, text string) (models.Micros, error) {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Before(time.UnixMicro(0)) {
		return 0, refuse(field, "%.60q is not a time such as 2026-11-20T14:03:22.120000Z", text)
	}
	return models.MicrosOf(t), nil
}

// exportedMetadata returns metadata as it was stored: exports write it unchanged, but {} for none.
func exportedMetadata(raw json.RawMessage) (string, error) {
	if raw == nil {
		return "", nil
	}
	text, err := event.CompactMetadata(raw)
	return string(text), err
}

// exportedOriginal returns what was known of the original already.
func exportedOriginal(raw json.RawMessage) (string, error) {
	if raw == nil || string(raw) == "null" {
		return "", nil
	}
	var original models.Original
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&original); err != nil {
		return "", refuse("original", "is not what an export says of one")
	}
	fields, err := onlyNames(raw, "original.", "origin", "recorded_at", "api_key")
	if err == nil && original.APIKey != nil {
		_, err = onlyNames(fields["api_key"], "original.api_key.", "id", "name")
	}
	if err != nil {
		return "", err
	}
	text := original.Text()
	if len(text) > event.MaxURL || strings.Contains(text, `\u0000`) {
		return "", refuse("original", "is not what an export says of one")
	}
	return text, nil
}

// event returns the entry as an event to be back-filled, under the ID of the entry. When and with which
// key it was recorded is kept as the original's.
func (x exported) event() event.Event {
	e := x.entry
	told := event.Event{
		ID: e.ID.String(), Organization: x.organization, Action: action.Action(e.Action), EntityType: e.EntityType,
		EntityID: e.EntityID, EntityName: e.EntityName, OccurredAt: e.OccurredAt.Time(), URL: e.URL,
		NativeAction: e.NativeAction, Related: e.Related, Outcome: e.Outcome, Reason: e.Reason,
		Actor:   event.Actor{Type: e.ActorType, ID: e.ActorID, Name: e.ActorName, Email: e.ActorEmail},
		Request: event.Request{IP: e.IP, UserAgent: e.UserAgent, ID: e.RequestID},
	}
	if len(e.ActorName) > event.MaxName { // of an earlier version, which put any ID in its place
		told.Actor.Name = ""
	}
	if e.BySystem() {
		told.Actor = event.System(e.Source)
	}
	told.Actor.OnBehalfOf = e.OnBehalfOf
	if e.Metadata != "" {
		told.Metadata = json.RawMessage(e.Metadata)
	}
	return told
}

// originalText returns what an import of an exported entry keeps of how it was recorded, in the log in
// which it was recorded first if that is known.
func originalText(e *models.Entry) string {
	if e.Original != "" {
		return e.Original
	}
	original := models.Original{Origin: e.Origin, RecordedAt: e.RecordedAt.RFC3339()}
	if e.APIKeyID != "" {
		original.APIKey = &models.OriginalAPIKey{ID: e.APIKeyID, Name: e.APIKeyName}
	}
	return original.Text()
}
