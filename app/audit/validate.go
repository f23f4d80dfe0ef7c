package audit

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/models"
)

// Sizes, in bytes.
const (
	maxEventID    = 200
	maxAction     = 100
	maxEntityType = 100
	maxEntityID   = 512
	maxName       = 200
	maxActorID    = 512
	maxEmail      = 320
	maxURL        = 2048
	maxSource     = 100
	maxUserAgent  = 512
	maxRequestID  = 200
	maxIP         = 64
)

// MaxAhead is how far in the future an event may lie: clocks differ a little.
const MaxAhead = 5 * time.Minute

// Valid says whether the action is entity:verb in lower case, [a-z][a-z0-9_]*:[a-z][a-z0-9_]*, and
// at most 100 bytes.
func (a Action) Valid() bool {
	entity, verb, found := strings.Cut(string(a), ":")
	return found && len(a) <= maxAction && isIdentifier(entity) && isIdentifier(verb)
}

// Entity is the part before the colon.
func (a Action) Entity() string { entity, _, _ := strings.Cut(string(a), ":"); return entity }

// Verb is the part after the colon.
func (a Action) Verb() string { _, verb, _ := strings.Cut(string(a), ":"); return verb }

// ValidEntityType says whether s can name a type of entity: [a-z][a-z0-9_]*, at most 100 bytes.
func ValidEntityType(s string) bool {
	return len(s) <= maxEntityType && isIdentifier(s)
}

// isIdentifier says whether s is [a-z][a-z0-9_]*.
func isIdentifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		if letter := 'a' <= c && c <= 'z'; !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}

// entryOf checks an event and makes the row of it. Everything a database could refuse is found
// here, before any statement.
func entryOf(ctx context.Context, event Event, now time.Time) (models.NewEntry, error) {
	fail := func(err error) (models.NewEntry, error) { return models.NewEntry{}, err }
	switch {
	case event.Organization == "" && event.ExternalID == "":
		return fail(fmt.Errorf("%w: %s", ErrNoOrganization, namesNone))
	case event.Organization != "" && event.ExternalID != "":
		return fail(&InvalidEventError{"organization", "name it by slug or by external ID, not both"})
	case !storable(event.Organization) || !storable(event.ExternalID):
		return fail(fmt.Errorf("%w: %q", ErrNoOrganization, event.Organization+event.ExternalID))
	}
	if !event.Action.Valid() {
		return fail(&InvalidEventError{"action", fmt.Sprintf("%.120q is not entity:verb, lower case, at most %d bytes", string(event.Action), maxAction)})
	}
	if event.Action.reserved() && isFromOutside(ctx) {
		return fail(&InvalidEventError{"action", fmt.Sprintf("%q is for what Audit Logs itself records; choose another name", string(event.Action))})
	}
	entityType := event.EntityType
	if entityType == "" {
		entityType = event.Action.Entity()
	}
	if !ValidEntityType(entityType) {
		return fail(&InvalidEventError{"entity_type", fmt.Sprintf("%.120q is not lower case letters, digits and _, at most %d bytes", entityType, maxEntityType)})
	}
	if err := checkID("entity_id", event.EntityID, maxEntityID); err != nil {
		return fail(err)
	}
	entityName, err := cleanText("entity_name", event.EntityName, maxName)
	if err != nil {
		return fail(err)
	}
	actor, err := actorOf(ctx, event)
	if err != nil {
		return fail(err)
	}
	occurred, err := occurredAt(event, now)
	if err != nil {
		return fail(err)
	}
	if err := checkURL(event.URL); err != nil {
		return fail(err)
	}
	metadata, err := encodeMetadata(event.Metadata)
	if err != nil {
		return fail(err)
	}
	request := event.Request
	if request == (Request{}) {
		request = RequestFrom(ctx)
	}
	if len(event.ID) > maxEventID {
		return fail(&InvalidEventError{"id", fmt.Sprintf("has %d bytes; at most %d are allowed", len(event.ID), maxEventID)})
	}
	apiKey := apiKeyFrom(ctx)
	entry := models.Entry{
		ID:         entryIDOf(event, occurred),
		OccurredAt: occurred,
		RecordedAt: models.MicrosOf(now),
		Action:     string(event.Action),
		EntityType: entityType,
		EntityID:   event.EntityID,
		EntityName: entityName,
		ActorID:    actor.ID,
		ActorKey:   models.Fold(actor.Name),
		ActorName:  actor.Name,
		ActorEmail: actor.Email,
		Source:     actor.source,
		IP:         cut(request.IP, maxIP),
		UserAgent:  cut(request.UserAgent, maxUserAgent),
		RequestID:  cut(request.ID, maxRequestID),
		APIKeyID:   apiKey.ID,
		APIKeyName: apiKey.Name,
		URL:        event.URL,
		Metadata:   metadata,
	}
	return models.NewEntry{
		Organization: models.OrganizationRef{Slug: event.Organization, ExternalID: event.ExternalID},
		Entry:        entry,
		EvenWhenOff:  storedWhenOff(ctx, event.Action),
		Key:          eventKey(event, &entry),
	}, nil
}

// entryIDOf is the same at every attempt where the caller gave the event an ID and a time: it is
// stored once then, however late it is repeated.
func entryIDOf(event Event, occurred models.Micros) models.EntryID {
	if event.ID == "" || event.OccurredAt.IsZero() {
		return models.NewEntryID(occurred)
	}
	return models.DerivedEntryID(occurred, event.ID)
}

// idKeptFor is how long an event's ID is remembered.
const idKeptFor = 24 * time.Hour

// eventKey is what Event.ID is remembered by. Two events with the ID are the same if they agree in
// all they say; where the request came from, and how metadata is laid out, makes no difference.
func eventKey(event Event, entry *models.Entry) *models.EventKey {
	if event.ID == "" {
		return nil
	}
	said := make([]byte, 0, 512)
	for _, text := range []string{entry.Action, entry.EntityType, entry.EntityID, entry.EntityName, entry.ActorID,
		entry.ActorName, entry.ActorEmail, entry.Source, entry.URL, entry.Metadata} {
		said = append(append(said, text...), 0)
	}
	if !event.OccurredAt.IsZero() {
		said = strconv.AppendInt(said, int64(entry.OccurredAt), 10)
	}
	return &models.EventKey{Hash: sha256.Sum256([]byte(event.ID)), Fingerprint: sha256.Sum256(said), KeepFor: idKeptFor}
}

func actorOf(ctx context.Context, event Event) (Actor, error) {
	actor := event.Actor
	if actor == (Actor{}) {
		actor = ActorFrom(ctx)
	}
	if actor.ID == "" {
		return Actor{}, ErrNoActor
	}
	if actor.automated {
		return System(cut(actor.source, maxSource)), nil
	}
	if actor.ID == models.SystemActorID {
		return Actor{}, &InvalidEventError{"actor.id", `"system" is reserved for automated actions; use audit.System`}
	}
	if err := checkID("actor.id", actor.ID, maxActorID); err != nil {
		return Actor{}, err
	}
	var err error
	if actor.Email, err = cleanText("actor.email", actor.Email, maxEmail); err != nil {
		return Actor{}, err
	}
	if actor.Name, err = cleanText("actor.name", actor.Name, maxName); err != nil {
		return Actor{}, err
	}
	if actor.Name == "" {
		actor.Name = shortened(cmp.Or(actor.Email, actor.ID))
	}
	return actor, nil
}

// shortened is text as a name, with a mark where that is not all of it.
func shortened(text string) string {
	if len(text) <= maxName {
		return text
	}
	const more = "…"
	return cut(text, maxName-len(more)) + more
}

func occurredAt(event Event, now time.Time) (models.Micros, error) {
	switch at := event.OccurredAt; {
	case at.IsZero():
		return models.MicrosOf(now), nil
	case at.Before(time.UnixMicro(1)):
		return 0, &InvalidEventError{"occurred_at", fmt.Sprintf("%s is before 1970", at.UTC().Format(time.RFC3339))}
	case at.After(now.Add(MaxAhead)):
		return 0, &InvalidEventError{"occurred_at", fmt.Sprintf("%s is more than %s ahead of now", at.UTC().Format(time.RFC3339), "5 minutes")}
	default:
		return models.MicrosOf(at), nil
	}
}

// checkID refuses what cannot be a key: IDs are compared byte by byte and never mended.
func checkID(field, id string, limit int) error {
	switch {
	case id == "":
		return &InvalidEventError{field, "is required"}
	case len(id) > limit:
		return &InvalidEventError{field, fmt.Sprintf("has %d bytes; at most %d are allowed", len(id), limit)}
	case isPlain(id):
		return nil
	case !utf8.ValidString(id):
		return &InvalidEventError{field, "is not valid UTF-8"}
	case strings.ContainsFunc(id, unicode.IsControl):
		return &InvalidEventError{field, "contains a control character"}
	case strings.TrimSpace(id) != id:
		return &InvalidEventError{field, "begins or ends with white space"}
	default:
		return nil
	}
}

// cleanText mends text for people: what cannot be stored or shown becomes U+FFFD or a space.
func cleanText(field, text string, limit int) (string, error) {
	text = mend(text)
	if len(text) > limit {
		return "", &InvalidEventError{field, fmt.Sprintf("has %d bytes; at most %d are allowed", len(text), limit)}
	}
	return text, nil
}

func mend(text string) string {
	if isPlain(text) {
		return text
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case r == 0:
			return utf8.RuneError
		case unicode.IsControl(r):
			return ' '
		default:
			return r
		}
	}, text) // Map itself turns invalid UTF-8 into U+FFFD
	return strings.TrimSpace(text)
}

// isPlain says that text is fine as it is, as most is: printable ASCII, without space at its ends.
func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return text == "" || text[0] != ' ' && text[len(text)-1] != ' '
}

// cut mends text that is worth keeping in part.
func cut(text string, limit int) string {
	text = mend(text)
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}

// storable says that every database can take s as a value to compare with.
func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

func checkURL(link string) error {
	if link == "" {
		return nil
	}
	if len(link) > maxURL {
		return &InvalidEventError{"url", fmt.Sprintf("has %d bytes; at most %d are allowed", len(link), maxURL)}
	}
	if fault := models.WebAddressFault(link); fault != "" {
		return &InvalidEventError{"url", fault}
	}
	return nil
}
