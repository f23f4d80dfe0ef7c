package models

// SystemActorID is the actor ID of automated actions. No user can have it.
const SystemActorID = "system"

// Entry is one line of the log: an event as it was stored. Entries never change. Those of Store.Entries
// are without what a list does not show: client, request, API key and metadata.
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
	ActorKey   string // ActorName folded; the order of "sort by user"
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
}

func (Entry) TableName() string { return "audit_entries" }

// BySystem says that the action was automated.
func (e Entry) BySystem() bool { return e.ActorID == SystemActorID }
