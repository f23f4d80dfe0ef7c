package exchange

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/models"
)

// Entry is an entry as the API answers it: our own form.
type Entry struct {
	ID         string          `json:"id"`
	OccurredAt string          `json:"occurred_at"`
	RecordedAt string          `json:"recorded_at"`
	Action     string          `json:"action"`
	EntityType string          `json:"entity_type"`
	EntityID   string          `json:"entity_id"`
	EntityName string          `json:"entity_name"`
	Actor      actor           `json:"actor"`
	Request    request         `json:"request"`
	APIKey     *apiKey         `json:"api_key,omitempty"` // absent where the event came another way
	URL        string          `json:"url"`
	Metadata   json.RawMessage `json:"metadata"`
	Origin     models.Origin   `json:"origin,omitempty"`   // absent where it was recorded here
	Original   json.RawMessage `json:"original,omitempty"` // absent where nothing is known of it

	// Absent where that goes without saying: for a success, and where there is nothing of the kind.
	Outcome      event.Outcome `json:"outcome,omitempty"`
	Reason       string        `json:"reason,omitempty"`
	NativeAction string        `json:"native_action,omitempty"`
	Related      []Resource    `json:"related,omitempty"`
	Masked       int           `json:"masked,omitempty"`
}

// actor is a person or the like, or the automation behind "system": one has an e-mail, the other a source.
type actor struct {
	Type       event.ActorType `json:"type,omitempty"` // absent for a person, and for "system"
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Email      *string         `json:"email,omitempty"`
	Source     *string         `json:"source,omitempty"`
	OnBehalfOf *Principal      `json:"on_behalf_of,omitempty"`
}

// Principal is event.Principal.
type Principal struct {
	Type    event.ActorType `json:"type,omitempty"` // absent for a person
	ID      string          `json:"id"`
	Name    string          `json:"name"`
	Email   string          `json:"email,omitempty"`
	Session string          `json:"session,omitempty"`
}

// Resource is event.Resource.
type Resource struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	Role string `json:"role,omitempty"`
}

type request struct {
	IP        string `json:"ip"`
	UserAgent string `json:"user_agent"`
	ID        string `json:"id"`
}

type apiKey struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// EntryOf returns an entry in our own form.
func EntryOf(e *models.Entry) Entry {
	entry := Entry{
		ID:         e.ID.String(),
		OccurredAt: e.OccurredAt.RFC3339(),
		RecordedAt: e.RecordedAt.RFC3339(),
		Action:     e.Action,
		EntityType: e.EntityType,
		EntityID:   e.EntityID,
		EntityName: e.EntityName,
		Actor:      actor{Type: e.ActorType, ID: e.ActorID, Name: e.ActorName, OnBehalfOf: (*Principal)(e.OnBehalfOf)},
		Request:    request{e.IP, e.UserAgent, e.RequestID},
		URL:        e.URL,
		Metadata:   Metadata(e),
		Origin:     e.Origin,
		Original:   json.RawMessage(e.Original),

		Outcome: e.Outcome, Reason: e.Reason, NativeAction: e.NativeAction, Related: Related(e), Masked: e.Masked,
	}
	if e.BySystem() {
		entry.Actor.Source = &e.Source
	} else {
		entry.Actor.Email = &e.ActorEmail
	}
	if e.APIKeyID != "" {
		entry.APIKey = &apiKey{e.APIKeyID, e.APIKeyName}
	}
	return entry
}

// Related returns the further resources of an entry; nil where there are none.
func Related(e *models.Entry) (all []Resource) {
	for _, r := range e.Related {
		all = append(all, Resource(r))
	}
	return all
}

// Metadata returns an entry's metadata on one line, an object in any case; numbers keep their digits. Text
// that is not JSON, which no recording stores, becomes a JSON string.
func Metadata(e *models.Entry) json.RawMessage {
	if strings.TrimSpace(e.Metadata) == "" {
		return json.RawMessage("{}")
	}
	var line bytes.Buffer
	if err := json.Compact(&line, []byte(e.Metadata)); err != nil {
		text, _ := json.Marshal(e.Metadata) // a text cannot fail
		return text
	}
	return line.Bytes()
}
