package importer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// format is how another system writes its audit log: which of its fields is which of ours. An event's metadata
// is the record as it is, so that nothing of it is lost.
type format struct {
	name  string
	order order
	// lists are the names that lists of records have in an object around them; besides what may stand before them.
	lists, besides []string
	newestIn       string // the list that is in the order newestFirst; "" is none
	// unwrap returns the record within what it comes in; nil where it comes as it is.
	unwrap func(json.RawMessage, record) (json.RawMessage, record, error)

	// Paths in a record. The first that says something counts.
	id, action, time, ip, userAgent, requestID []string

	actor     func(record) event.Actor
	resources func(record) []event.Resource // the affected one first
	outcome   func(record) (outcome event.Outcome, reason string)
	more      func(record, *event.Event) // adds what the rest cannot say; may be nil
}

// order is how the records of one time follow each other in a file.
type order int

const (
	asWritten   order = iota
	asTimesRun        // turned round where times fall
	newestFirst       // and also where there is one time only
)

func allFormats() []*format {
	return []*format{&cloudTrail, &gitHub, &okta, &googleCloud, &workOS, &ocsf, &cloudEvents}
}

// Formats returns the names of the formats that Run reads, the log's own first.
func Formats() []string {
	names := []string{Own}
	for _, f := range allFormats() {
		names = append(names, f.name)
	}
	return append(names, CSV)
}

// The formats that are no system's.
const (
	Own = "auditlogs"
	CSV = "csv"
)

func formatNamed(name string) *format {
	for _, f := range allFormats() {
		if f.name == name {
			return f
		}
	}
	return nil
}

// read returns the event that a record is imported as. What is wrong is a *fault.Field, which names the record's
// field.
func (f *format) read(raw json.RawMessage) (event.Event, error) {
	r, err := parseRecord(raw)
	if err == nil && f.unwrap != nil {
		raw, r, err = f.unwrap(raw, r)
	}
	if err != nil {
		return event.Event{}, err
	}
	e := event.Event{ID: uniqueID(r, f.id), Metadata: raw}
	f.describe(r, &e)
	if e.NativeAction == "" {
		return e, fault.Newf(f.action[0], fault.Required, "is required")
	}
	fit(&e)
	e.OccurredAt, err = timeAt(r, f.time)
	return e, err
}

// describe sets what happened, who did it, and to what.
func (f *format) describe(r record, e *event.Event) {
	e.NativeAction = shorten(r.text(f.action...), event.MaxNativeAction)
	e.Actor = f.actor(r)
	e.Request = event.Request{IP: address(r.text(f.ip...)), UserAgent: r.text(f.userAgent...), ID: r.text(f.requestID...)}
	concern(e, f.resources(r))
	e.Outcome, e.Reason = f.outcome(r)
	if f.more != nil {
		f.more(r, e)
	}
}

// uniqueID returns the ID of an event: all that the record says at these paths, as some IDs are unique in a
// source only.
func uniqueID(r record, paths []string) string {
	var parts []string
	for _, path := range paths {
		if part := r.text(path); part != "" {
			parts = append(parts, part)
		}
	}
	id := strings.Join(parts, " ")
	if len(id) > event.MaxEventID {
		hash := sha256.Sum256([]byte(id))
		return "import-" + hex.EncodeToString(hash[:16])
	}
	return id
}

// timeAt returns the time at the first path that has one: RFC 3339, or milliseconds since 1970.
func timeAt(r record, paths []string) (time.Time, error) {
	for _, path := range paths {
		text := r.text(path)
		if text == "" {
			continue
		}
		if ms, err := strconv.ParseInt(text, 10, 64); err == nil {
			return time.UnixMilli(ms), nil
		}
		return event.ParseTime(path, text)
	}
	return time.Time{}, fault.Newf(paths[0], fault.Required, "is required")
}

// address returns text if it is an IP address: in its place some systems write a name, or that they hide it.
func address(text string) string {
	if at, err := netip.ParseAddr(text); err != nil || at.IsUnspecified() {
		return ""
	}
	return text
}

// concern sets the affected resource, the first, and the related ones. One that is there twice is there once.
func concern(e *event.Event, resources []event.Resource) {
	e.EntityType, e.EntityID, e.EntityName, e.Related = "", "", "", nil
	var found []event.Resource
	for _, r := range resources {
		r.ID, r.Type = strings.TrimSpace(r.ID), action.FoldType(r.Type)
		if r.Type == "" {
			r.Type = "resource"
		}
		same := func(other event.Resource) bool { return other.ID == r.ID && other.Type == r.Type }
		if r.ID != "" && !slices.ContainsFunc(found, same) {
			found = append(found, r)
		}
	}
	if len(found) == 0 {
		return
	}
	e.EntityType, e.EntityID, e.EntityName = found[0].Type, found[0].ID, found[0].Name
	e.Related = found[1:min(len(found), 1+event.MaxRelated)]
}

// concernNothing is concern for an event of a kind that affected nothing.
func concernNothing(e *event.Event, kind string, related []event.Resource) {
	concern(e, append([]event.Resource{{Type: kind, ID: "\x00"}}, related...))
	e.EntityID = ""
}

// nameAction sets the action to what our own form calls it, unless the sender's name for it is folded to that.
func nameAction(e *event.Event, own string) {
	if name := action.Action(own); name.Valid() && action.Fold(e.NativeAction, e.EntityType) != name {
		e.Action = name
	}
}

// fit shortens what is longer than an event may have it. It is whole in the metadata.
func fit(e *event.Event) {
	e.Reason = shorten(e.Reason, event.MaxReason)
	e.EntityID, e.EntityName = shortenID(e.EntityID, event.MaxEntityID), nameBeside(e.EntityName, e.EntityID)
	for i := range e.Related {
		r := &e.Related[i]
		r.ID, r.Name, r.Role = shortenID(r.ID, event.MaxEntityID), nameBeside(r.Name, r.ID), shorten(r.Role, event.MaxRole)
	}
	e.Actor.ID, e.Actor.Name, e.Actor.Email = shortenID(e.Actor.ID, event.MaxActorID), shorten(e.Actor.Name, event.MaxName), email(e.Actor.Email)
	if p := e.Actor.OnBehalfOf; p != nil {
		p.ID, p.Name, p.Email = shortenID(p.ID, event.MaxActorID), shorten(p.Name, event.MaxName), email(p.Email)
		p.Session = shortenID(p.Session, event.MaxSession)
	}
}

// nameBeside returns a name, unless it says no more than the ID.
func nameBeside(name, id string) string {
	if name == id {
		return ""
	}
	return shorten(name, event.MaxName)
}

// shorten cuts text to at most limit bytes, and marks that it did.
func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	const more = "…"
	end := limit - len(more)
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + more
}

// shortenID is shorten for an ID, which stays another than all others.
func shortenID(id string, limit int) string {
	if len(id) <= limit {
		return id
	}
	hash := sha256.Sum256([]byte(id))
	return shorten(id, limit-17) + "-" + hex.EncodeToString(hash[:8])
}

// email returns text if it can be an e-mail address.
func email(text string) string {
	if !strings.Contains(text, "@") || len(text) > event.MaxEmail {
		return ""
	}
	return text
}

// person returns a user, with the e-mail address if it is one.
func person(id, name, mail string) event.Actor {
	return event.Actor{Type: event.ActorUser, ID: id, Name: name, Email: email(mail)}
}

func service(id, name string) event.Actor {
	return event.Actor{Type: event.ActorService, ID: id, Name: name}
}

// principalOf reads a principal in our own form; nil for nobody.
func principalOf(of record) *event.Principal {
	return principal(event.Actor{Type: event.ActorType(of.text("type")), ID: of.text("id"), Name: of.text("name"), Email: of.text("email")}, of.text("session"))
}

// principal returns an actor as one for whom another acts; nil for one without an ID.
func principal(of event.Actor, session string) *event.Principal {
	if of.ID == "" {
		return nil
	}
	return &event.Principal{Type: of.Type, ID: of.ID, Name: of.Name, Email: of.Email, Session: session}
}
