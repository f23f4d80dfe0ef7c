package handlers

import (
	"encoding/json"
	"net/url"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
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
	ActorPath   string // the log of this actor only
	ProfilePath string // everything that the actor did
	ForPath     string // everything that the one did for whom the actor acted

	Ways   map[string]*views.Way // what its values offer, by what they are
	Around []aroundLinks         // the log around the moment it happened
}

// relatedView is one of the further resources that an entry concerned.
type relatedView struct {
	event.Resource
	HistoryPath string
	Way         *views.Way
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

// viewEntry describes an entry, whose links into the log keep a filter: that of the list it was opened from. base is the
// scheme and host of links that leave the app.
func viewEntry(base string, org models.Organization, entry models.Entry, links models.ResourceLinks, from Filter, zone *time.Location) entryView {
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
		view.Related = append(view.Related, relatedView{Resource: r, HistoryPath: historyPath(org, r.Type, r.ID)})
	}
	view.ProfilePath = actorPath(org, entry.ActorID)
	if p := entry.OnBehalfOf; p != nil {
		view.ForPath = actorPath(org, p.ID)
	}
	view.ActorPath = from.WithActor(entry.ActorID).Address(log)
	view.findWays(from, log)
	if late(&entry) {
		view.Recorded = &lateView{views.ExactTimeOf(entry.RecordedAt.Time(), zone), views.DifferenceInWords(lateness(&entry))}
	}
	return view
}

// historyPath is the address of everything that happened to a resource.
func historyPath(org models.Organization, entityType, entityID string) string {
	return "/orgs/" + org.Slug + "/resources/" + url.PathEscape(entityType) + "?" + url.Values{"id": {entityID}}.Encode()
}

// actorPath is the address of everything that an actor did.
func actorPath(org models.Organization, id string) string {
	return "/orgs/" + org.Slug + "/actors?" + url.Values{"id": {id}}.Encode()
}
