package handlers

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/mileusna/useragent"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/models"
)

// entryView is an entry opened: everything the log knows of it, and where to go from there.
type entryView struct {
	models.Entry
	Occurred momentView
	Recorded *lateView // set when it was recorded more than a minute apart from when it happened
	Origin   *originView
	Client   string // the browser or program in words; empty when unknown
	Maker    *linkMaker
	Metadata metadataView

	Path        string // the entry's own address
	Link        string // the same with scheme and host, to be copied
	ResourceURL string // the resource outside of this app; empty when nobody said where it is
	HistoryPath string // everything that happened to the resource
	ActorPath   string // the log of this actor only
	APIKeyPath  string // everything that happened to the API key it was sent with; empty where none was
	AroundPath  string // five minutes of the log before and after
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
	if action := audit.Action(entry.Action); action != audit.UserPasswordReset && action != audit.MemberJoin {
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

// OwnName says that the entity has a name other than its ID.
func (v entryView) OwnName() bool { return v.EntityName != "" && v.EntityName != v.EntityID }

// momentView is a moment to the microsecond, in the reader's zone and in UTC.
type momentView struct {
	ISO  string // for machines, in UTC
	Here string // in the reader's zone, which is named
	Zone string // the reader's zone, as in "Europe/Berlin"
	UTC  string // empty where the reader's zone is UTC
}

// originView says how an entry that was not recorded here came into this log.
type originView struct {
	Restored bool        // from an export; or else it was imported
	At       momentView  // when it was imported
	Recorded *momentView // when it was recorded where it comes from, as its file says; nil: that does not
	APIKey   *models.OriginalAPIKey
}

func viewOrigin(entry models.Entry, zone *time.Location) *originView {
	if entry.Origin == models.OriginHere {
		return nil
	}
	original := models.OriginalOf(entry)
	view := &originView{
		Restored: entry.Origin == models.OriginRestore, At: viewMoment(entry.RecordedAt.Time(), zone), APIKey: original.APIKey,
	}
	if recorded, err := time.Parse(time.RFC3339Nano, original.RecordedAt); err == nil {
		moment := viewMoment(recorded, zone)
		view.Recorded = &moment
	}
	return view
}

// lateView says that an entry was written some time after (or before) it happened.
type lateView struct {
	momentView
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
		Entry:       entry,
		Occurred:    viewMoment(occurred, zone),
		Origin:      viewOrigin(entry, zone),
		Client:      clientInWords(entry.UserAgent),
		Maker:       makerOf(entry),
		Metadata:    viewMetadata(entry.Metadata),
		Path:        path,
		Link:        base + path,
		ResourceURL: models.ResourceURL(entry, links),
		HistoryPath: historyPath(org, entry.EntityType, entry.EntityID),
	}
	view.goOn(Filter{Zone: zone, Sort: models.SortTimestamp, Limit: defaultPageSize}, log)
	if entry.APIKeyID != "" {
		view.APIKeyPath = historyPath(org, audit.APIKeyCreate.Entity(), entry.APIKeyID)
	}
	if late(&entry) {
		view.Recorded = &lateView{viewMoment(entry.RecordedAt.Time(), zone), differenceInWords(lateness(&entry))}
	}
	return view
}

// goOn has the entry's links into the log keep a filter: that of the page it was opened on.
func (v *entryView) goOn(f Filter, log string) {
	occurred := v.OccurredAt.Time()
	v.ActorPath = f.WithActor(v.ActorID).Address(log)
	v.AroundPath = f.Between(occurred.Add(-around), occurred.Add(around+time.Second)).Address(log)
}

// historyPath is the address of everything that happened to a resource.
func historyPath(org models.Organization, entityType, entityID string) string {
	return "/orgs/" + org.Slug + "/resources/" + url.PathEscape(entityType) + "?" + url.Values{"id": {entityID}}.Encode()
}

func viewMoment(t time.Time, zone *time.Location) momentView {
	if zone == nil {
		zone = time.UTC
	}
	t = t.UTC()
	here := t.In(zone)
	view := momentView{
		ISO:  t.Format("2006-01-02T15:04:05.000000Z"),
		Here: here.Format("Mon, Jan 2, 2006, 15:04:05") + fraction(t) + " " + zoneAbbreviation(here),
		Zone: zone.String(),
	}
	if name, offset := here.Zone(); name != "UTC" || offset != 0 {
		view.UTC = t.Format("2006-01-02 15:04:05") + fraction(t) + " UTC"
	}
	return view
}

// fraction is the part of a second, as far as it is known.
func fraction(t time.Time) string {
	switch micros := t.Nanosecond() / 1000; {
	case micros == 0:
		return ""
	case micros%1000 == 0:
		return t.Format(".000")
	default:
		return t.Format(".000000")
	}
}

// zoneAbbreviation is the short name of t's zone; zones without one are named by their offset.
func zoneAbbreviation(t time.Time) string {
	name, _ := t.Zone()
	if strings.HasPrefix(name, "+") || strings.HasPrefix(name, "-") {
		return "UTC" + name
	}
	return name
}

// differenceInWords is a length of time, as precise as one number can be.
func differenceInWords(d time.Duration) string {
	suffix := " later"
	if d < 0 {
		d, suffix = -d, " earlier"
	}
	switch {
	case d < 59*time.Minute+30*time.Second:
		return fmt.Sprintf("%.0f min", d.Minutes()) + suffix
	case d < 48*time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours()) + suffix
	default:
		return fmt.Sprintf("%.0f days", d.Hours()/24) + suffix
	}
}

// clientInWords names the program a user agent stands for: "Chrome 142 on macOS", "curl 8.5.0".
// It is a guess for people; the whole user agent is always shown with it.
func clientInWords(userAgent string) string {
	agent := useragent.Parse(userAgent)
	if agent.Name == "" {
		return ""
	}
	words := agent.Name
	if version := agent.Version; version != "" {
		if agent.OS != "" { // a browser: its minor versions say nothing, and most are made up
			version, _, _ = strings.Cut(version, ".")
		}
		words += " " + version
	}
	switch {
	case agent.Device != "" && agent.OS != "" && agent.Device != agent.OS:
		words += " on " + agent.Device + " (" + agent.OS + ")"
	case agent.OS != "":
		words += " on " + agent.OS
	}
	return words
}
