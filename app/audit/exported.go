package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/models"
)

// Exported is an entry as a line of an NDJSON export of this log has it. docs/export.md lists its fields.
type Exported struct {
	// Organization is the slug of the organization it is an entry of.
	Organization string

	entry models.Entry // as in the log it comes from
}

// IsExported says that a line of JSON is, or means to be, that of an export: an event has its actor's ID
// in an object.
func IsExported(line []byte) bool {
	if !bytes.Contains(line, []byte(`"actor_id"`)) {
		return false
	}
	fields, err := exportedFields(line)
	return err == nil && fields["actor_id"] != nil
}

// ParseExported reads a line of an NDJSON export. What is none is an *InvalidEventError that names the
// field, as is what this log could not have written. Fields that exports of earlier versions lack may be
// missing.
func ParseExported(line []byte) (Exported, error) {
	var x Exported
	if !utf8.Valid(line) {
		return x, &InvalidEventError{"event", "is not valid UTF-8"}
	}
	fields, err := exportedFields(line)
	if err != nil {
		return x, err
	}
	if fields["actor_id"] == nil {
		return x, &InvalidEventError{"event", "is no line of an export: actor_id is missing"}
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
		{"action", &e.Action, maxAction, true},
		{"entity_type", &e.EntityType, maxEntityType, true},
		{"entity_id", &e.EntityID, maxEntityID, true},
		{"entity_name", &e.EntityName, maxName, false},
		{"actor_id", &e.ActorID, maxActorID, true},
		{"actor_name", &e.ActorName, maxActorID, true}, // earlier versions put any ID in its place
		{"actor_email", &e.ActorEmail, maxEmail, false},
		{"source", &e.Source, maxSource, false},
		{"ip", &e.IP, maxIP, false},
		{"user_agent", &e.UserAgent, maxUserAgent, false},
		{"request_id", &e.RequestID, maxRequestID, false},
		{"url", &e.URL, maxURL, false},
		{"api_key_id", &e.APIKeyID, maxName, false},
		{"api_key_name", &e.APIKeyName, maxName, false},
		{"organization", &x.Organization, maxName, false},
		{"origin", &origin, maxName, false},
	}
	for _, text := range texts {
		raw := fields[text.name]
		delete(fields, text.name)
		if raw != nil && (json.Unmarshal(raw, text.into) != nil || string(raw) == "null") {
			return x, &InvalidEventError{text.name, "is not a text"}
		}
		switch value := *text.into; {
		case value == "" && text.required:
			return x, &InvalidEventError{text.name, "is required"}
		case len(value) > text.most:
			return x, &InvalidEventError{text.name, fmt.Sprintf("has %d bytes; at most %d are allowed", len(value), text.most)}
		case strings.ContainsRune(value, 0):
			return x, &InvalidEventError{text.name, "contains a control character"}
		}
	}
	metadata, original := fields["metadata"], fields["original"]
	delete(fields, "metadata")
	delete(fields, "original")
	for name := range fields {
		return x, &InvalidEventError{fmt.Sprintf("%.100s", name), "is not a field of an exported entry"}
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
		return x, &InvalidEventError{"id", "is not the ID of an entry that occurred then"}
	}
	switch e.Origin = models.Origin(origin); e.Origin {
	case models.OriginHere, models.OriginImport, models.OriginRestore:
	default:
		return x, &InvalidEventError{"origin", `is none of "", "import" and "restore"`}
	}
	if e.Original, err = exportedOriginal(original); err != nil {
		return x, err
	}
	return x, checkExported(e)
}

// checkExported refuses what this log records in no entry.
func checkExported(e *models.Entry) error {
	system := System(e.Source)
	switch {
	case !Action(e.Action).Valid():
		return &InvalidEventError{"action", fmt.Sprintf("%.120q is not entity:verb, lower case", e.Action)}
	case !ValidEntityType(e.EntityType):
		return &InvalidEventError{"entity_type", fmt.Sprintf("%.120q is not lower case letters, digits and _", e.EntityType)}
	case e.ActorID == system.ID && (e.ActorName != system.Name || e.ActorEmail != ""):
		return &InvalidEventError{"actor_id", `"system" is reserved for automated actions, which have a source, but neither name nor e-mail`}
	case e.ActorID != system.ID && e.Source != "":
		return &InvalidEventError{"source", `goes with the actor "system" only`}
	case e.Origin == models.OriginHere && e.Original != "":
		return &InvalidEventError{"original", "goes with an origin only"}
	default:
		return nil
	}
}

// exportedFields takes a line apart. Two fields of one name are refused: readers would not agree which is
// meant.
func exportedFields(line []byte) (map[string]json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	if begin, err := decoder.Token(); err != nil {
		return nil, decodingError(err)
	} else if begin != json.Delim('{') {
		return nil, &InvalidEventError{"event", "is not a JSON object"}
	}
	fields := map[string]json.RawMessage{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, decodingError(err)
		}
		key, _ := name.(string) // the name of a field is nothing else
		if fields[key] != nil {
			return nil, &InvalidEventError{fmt.Sprintf("%.100s", key), "is there twice"}
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, decodingError(err)
		}
		fields[key] = value
	}
	if _, err := decoder.Token(); err != nil {
		return nil, decodingError(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, &InvalidEventError{"event", "is followed by something else"}
	}
	return fields, nil
}

func exportedTime(field, text string) (models.Micros, error) {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Before(time.UnixMicro(0)) {
		return 0, &InvalidEventError{field, fmt.Sprintf("%.60q is not a time such as 2026-11-20T14:03:22.120000Z", text)}
	}
	return models.MicrosOf(t), nil
}

// exportedMetadata is metadata as it was stored: exports write it without change, but for {} in place of
// none.
func exportedMetadata(raw json.RawMessage) (string, error) {
	if raw == nil {
		return "", nil
	}
	var object map[string]any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if decoder.Decode(&object) != nil || object == nil {
		return "", &InvalidEventError{"metadata", "is not a JSON object"}
	}
	if depth := depthOf(object); depth > maxMetadataDepth {
		return "", &InvalidEventError{"metadata", fmt.Sprintf("has %d levels; at most %d are allowed", depth, maxMetadataDepth)}
	}
	text, err := jsonOf(raw)
	if err != nil {
		return "", err
	}
	if namesIn(text) != namesOf(object) {
		return "", duplicateError(text)
	}
	if len(text) > maxMetadata {
		return "", &InvalidEventError{"metadata", fmt.Sprintf("has %d bytes of JSON; at most %d are allowed", len(text), maxMetadata)}
	}
	if len(object) == 0 {
		return "", nil
	}
	return text, nil
}

// exportedOriginal is what was known of the original already.
func exportedOriginal(raw json.RawMessage) (string, error) {
	if raw == nil || string(raw) == "null" {
		return "", nil
	}
	var original models.Original
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&original); err != nil {
		return "", &InvalidEventError{"original", "is not what an export says of one"}
	}
	if err := checkObject(string(raw), "original.", "api_key"); err != nil {
		return "", err
	}
	text := original.Text()
	if len(text) > maxURL || strings.Contains(text, `\u0000`) {
		return "", &InvalidEventError{"original", "is not what an export says of one"}
	}
	return text, nil
}

// Event is what the entry tells of, to be back-filled. It keeps the ID of its entry, and what the export
// says of when and with which key it was recorded is kept as the original's.
func (x Exported) Event() Event {
	e := x.entry
	event := Event{
		ID: e.ID.String(), Organization: x.Organization, Action: Action(e.Action), EntityType: e.EntityType,
		EntityID: e.EntityID, EntityName: e.EntityName, OccurredAt: e.OccurredAt.Time(), URL: e.URL,
		Actor:    Actor{ID: e.ActorID, Name: e.ActorName, Email: e.ActorEmail},
		Request:  Request{IP: e.IP, UserAgent: e.UserAgent, ID: e.RequestID},
		exported: &e,
	}
	if len(e.ActorName) > maxName { // of an earlier version, which put any ID in its place
		event.Actor.Name = shortened(e.ActorName)
	}
	if e.BySystem() {
		event.Actor = System(e.Source)
	}
	if e.Metadata != "" {
		event.Metadata = json.RawMessage(e.Metadata)
	}
	return event
}

// originalText is what an import of an exported entry keeps of it: that of the log it was first recorded
// in, as far as that is known.
func originalText(e *models.Entry) string {
	if e.Original != "" {
		return e.Original
	}
	original := models.Original{Origin: e.Origin, RecordedAt: e.RecordedAt.Time().Format(exportedTimeLayout)}
	if e.APIKeyID != "" {
		original.APIKey = &models.OriginalAPIKey{ID: e.APIKeyID, Name: e.APIKeyName}
	}
	return original.Text()
}

// exportedTimeLayout is that of times in exports.
const exportedTimeLayout = "2006-01-02T15:04:05.000000Z"
