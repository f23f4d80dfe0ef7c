package models

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event"
)

// SystemActorID is the actor ID of automated actions. No user can have it.
const SystemActorID = event.SystemID

// Entry is one line of the log: an event as it was stored. Entries never change. Those of a page of the
// log are without what a list does not show: IP, user agent, request ID and metadata.
type Entry struct {
	OrgID      int64
	ID         EntryID
	OccurredAt Micros // when it happened: order, page and retention go by it
	RecordedAt Micros // when the row was written
	Action     string // entity:verb
	EntityType string
	EntityID   string
	EntityName string // may be empty
	ActorID    string // SystemActorID for automated actions
	ActorKey   string // ActorName folded (see Fold), which is no key of anything; the order of "sort by user"
	ActorName  string // as it was then; never empty
	ActorEmail string
	Source     string // the automation behind "system", such as "github-webhook"
	IP         string
	UserAgent  string
	RequestID  string
	APIKeyID   string // the API key the event was sent with, and
	APIKeyName string // what that key was called then; empty where none was
	URL        string // the event's own link to the resource; may be empty
	Metadata   string // a JSON object, or empty
	Origin     Origin // how it came into this log
	Original   string // of what is not OriginHere: a JSON object, see Original; or empty
}

// Origin is how an entry came into this log.
type Origin string

const (
	// OriginHere: it was recorded here, at RecordedAt and, where there is one, with the key APIKeyID.
	OriginHere Origin = ""
	// OriginImport: it was back-filled at RecordedAt, from what was kept elsewhere.
	OriginImport Origin = "import"
	// OriginRestore: the operator put it back from an export, which alone vouches for RecordedAt and the
	// API key.
	OriginRestore Origin = "restore"
)

// Original is what the file of an entry that was not recorded here says of how it was where it came from.
// It is what somebody wrote in a file: nothing goes by it.
type Original struct {
	// Origin is that of an entry which had come into that log from elsewhere itself.
	Origin     Origin          `json:"origin,omitempty"`
	RecordedAt string          `json:"recorded_at,omitempty"` // RFC 3339, UTC
	APIKey     *OriginalAPIKey `json:"api_key,omitempty"`
}

// OriginalAPIKey is the key an event was sent with to the log it comes from.
type OriginalAPIKey struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Text is the original as entries keep it: empty where nothing is known.
func (o Original) Text() string {
	if o == (Original{}) {
		return ""
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(o) // texts into memory cannot fail
	return strings.TrimSuffix(text.String(), "\n")
}

// OriginalOf reads what Text wrote; what cannot be read is nothing known.
func OriginalOf(e Entry) (o Original) {
	if err := json.Unmarshal([]byte(e.Original), &o); err != nil {
		return Original{}
	}
	return o
}

func (Entry) TableName() string { return "audit_entries" }

// BySystem reports whether the action was automated.
func (e Entry) BySystem() bool { return e.ActorID == SystemActorID }
