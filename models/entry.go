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
// log are without what a list does not show: IP, user agent, request ID, metadata, reason and the like.
type Entry struct {
	OrgID      int64
	ID         EntryID
	OccurredAt Micros // when it happened: order, page and retention go by it
	RecordedAt Micros // when the row was written
	Action     string // entity:verb
	EntityType string
	EntityID   string // empty where nothing was affected
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

	Outcome      event.Outcome // empty for a success
	Reason       string
	NativeAction string          // what the sender calls the action, where that is something else
	ActorType    event.ActorType // empty for a person, and for the actor "system", whose ID says it
	Masked       int             // how many of its values were kept out of the log
	Parts        int             // how many rows stand beside it, of OnBehalfOf and Related: set when it is stored

	// Related and OnBehalfOf stand in tables of their own.
	Related    []event.Resource `gorm:"-"`
	OnBehalfOf *event.Principal `gorm:"-"`
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

// Actor returns who did it, as the event had it.
func (e Entry) Actor() event.Actor {
	actor := event.Actor{Type: e.ActorType, ID: e.ActorID, Name: e.ActorName, Email: e.ActorEmail}
	if e.BySystem() {
		actor = event.System(e.Source)
	}
	actor.OnBehalfOf = e.OnBehalfOf
	return actor
}

// Further returns as one text what only some entries say: their outcome, for whom the actor acted, and the
// like. It is empty for all others, and the same where entries say the same.
func (e *Entry) Further() string {
	if !e.hasFurther() {
		return ""
	}
	text, _ := json.Marshal([]any{e.Outcome, e.Reason, e.NativeAction, e.ActorType, e.Related, e.OnBehalfOf}) // texts cannot fail
	return string(text)
}

// parts is how many Parts it has here.
func (e *Entry) parts() int {
	if e.OnBehalfOf != nil {
		return len(e.Related) + 1
	}
	return len(e.Related)
}

func (e *Entry) hasFurther() bool {
	return e.Outcome != "" || e.Reason != "" || e.NativeAction != "" || e.ActorType != "" || e.parts() > 0
}

// BySystem reports whether the action was automated.
func (e Entry) BySystem() bool { return e.ActorID == SystemActorID }
