package handlers

import (
	"encoding/json"
	"net/url"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
	"github.com/auditlogs/auditlogs/views"
)

// entryView is an entry opened: everything the log knows of it, and where to go from there.
type entryView struct {
	models.Entry
	Occurred views.ExactTime
	Recorded *lateView // set when it was recorded more than a minute apart from when it happened
	Origin   *originView
	Client   string // the browser or program in words; empty when unknown
	Maker    *linkMaker
	For      *principal
	Related  []relatedView
	Borrowed bool // another system calls its action as the app calls one of its own
	Metadata views.Metadata
	// MetadataHidden reports that the reader may not see it.
	MetadataHidden bool

	Path        string // the entry's own address
	Link        string // the same with scheme and host, to be copied
	ResourceURL string // the resource outside of this app; empty when nobody said where it is
	HistoryPath string // everything that happened to the resource; empty where nothing was affected
	ActionPath  string // the log of this action only
	NativePath  string // the log of what the sender calls so; empty where the address takes that for something else
	ActorPath   string // the log of this actor only
	ForPath     string // the log of the one for whom the actor acted
	AroundPath  string // five minutes of the log before and after

	// The whole log of what came from where it did.
	IPPath, RequestPath, APIKeyPath, SourcePath string
}

// relatedView is one of the further resources that an entry concerned.
type relatedView struct {
	event.Resource
	HistoryPath string
}

// linkMaker is who made the link that an entry came about by, as its metadata says. Without an ID it was
// an operator.
type linkMaker struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
}

// makerOf finds who made the link that somebody set a password with or joined by; nil where there was none.
func makerOf(entry models.Entry) *linkMaker {
	if act := action.Action(entry.Action); act != action.UserPasswordReset && act != action.MemberJoin {
		return nil
	}
	var said struct {
		Maker *linkMaker `json:"link_made_by"`
	}
	if json.Unmarshal([]byte(entry.Metadata), &said) != nil {
		return nil // not as the app records it
	}
	return said.Maker
}

// OwnName reports whether the entity has a name other than its ID.
func (v entryView) OwnName() bool { return v.EntityName != "" && v.EntityName != v.EntityID }

// originView describes how an entry that was not recorded here came into this log.
type originView struct {
	Restored bool             // from an export; or else it was imported
	At       views.ExactTime  // when it was imported
	Recorded *views.ExactTime // when it was recorded where it comes from, as its file says; nil: that does not
	APIKey   *models.OriginalAPIKey
}

func viewOrigin(entry models.Entry, zone *time.Location) *originView {
	if entry.Origin == models.OriginHere {
		return nil
	}
	original := models.OriginalOf(entry)
	view := &originView{
		Restored: entry.Origin == models.OriginRestore, At: views.ExactTimeOf(entry.RecordedAt.Time(), zone), APIKey: original.APIKey,
	}
	if recorded, err := time.Parse(time.RFC3339Nano, original.RecordedAt); err == nil {
		moment := views.ExactTimeOf(recorded, zone)
		view.Recorded = &moment
	}
	return view
}

// lateView marks an entry that was written some time after (or before) it happened.
type lateView struct {
	views.ExactTime
	Difference string // as in "3 h later"
}

// around is how much of the log "five minutes around it" shows on either side.
const around = 5 * time.Minute

// viewEntry describes an entry; base is the scheme and host of links that leave the app.
func viewEntry(base string, org models.Organization, entry models.Entry, links models.ResourceLinks, zone *time.Location) entryView {
	log := settingsPath(org, "audit-logs")
	path := log + "/" + entry.ID.String()
	occurred := entry.OccurredAt.Time()
	view := entryView{
		Entry:          entry,
		Occurred:       views.ExactTimeOf(occurred, zone),
		Origin:         viewOrigin(entry, zone),
		Client:         views.ClientInWords(entry.UserAgent),
		Maker:          makerOf(entry),
		Metadata:       views.MetadataOf(entry.Metadata),
		MetadataHidden: org.Hidden.HidesMetadata(),
		Path:           path,
		Link:           base + path,
		For:            principalOf(&entry, views.NamesakesOf([]models.Entry{entry})),
		Borrowed:       borrowed(&entry),
		ResourceURL:    models.ResourceURL(entry, links),
	}
	if entry.EntityID != "" {
		view.HistoryPath = historyPath(org, entry.EntityType, entry.EntityID)
	}
	for _, r := range entry.Related {
		view.Related = append(view.Related, relatedView{r, historyPath(org, r.Type, r.ID)})
	}
	whole := Filter{Zone: zone, Sort: entries.SortTimestamp, Limit: defaultPageSize}
	view.goOn(whole, log)
	view.IPPath = whole.With("ip", entry.IP).Address(log)
	view.RequestPath = whole.With("request_id", entry.RequestID).Address(log)
	view.APIKeyPath = whole.With("api_key", entry.APIKeyID).Address(log)
	view.SourcePath = whole.With("source", entry.Source).Address(log)
	if late(&entry) {
		view.Recorded = &lateView{views.ExactTimeOf(entry.RecordedAt.Time(), zone), views.DifferenceInWords(lateness(&entry))}
	}
	return view
}

// goOn has the entry's links into the log keep a filter: that of the page it was opened on.
func (v *entryView) goOn(f Filter, log string) {
	occurred := v.OccurredAt.Time()
	v.ActionPath = f.WithAction(v.Action).Address(log)
	if v.NativeAction != "" && entries.IsNative(v.NativeAction) {
		v.NativePath = f.WithAction(v.NativeAction).Address(log)
	}
	v.ActorPath = f.WithActor(v.ActorID).Address(log)
	if v.OnBehalfOf != nil {
		v.ForPath = f.WithActor(v.OnBehalfOf.ID).Address(log)
	}
	v.AroundPath = f.Between(occurred.Add(-around), occurred.Add(around+time.Second)).Address(log)
}

// historyPath is the address of everything that happened to a resource.
func historyPath(org models.Organization, entityType, entityID string) string {
	return "/orgs/" + org.Slug + "/resources/" + url.PathEscape(entityType) + "?" + url.Values{"id": {entityID}}.Encode()
}
