package audit

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/models"
)

// Sizes, in bytes.
const (
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

var (
	actionGrammar     = regexp.MustCompile(`^[a-z][a-z0-9_]*:[a-z][a-z0-9_]*$`)
	entityTypeGrammar = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

// Valid says whether the action is entity:verb in lower case, [a-z][a-z0-9_]*:[a-z][a-z0-9_]*, and
// at most 100 bytes.
func (a Action) Valid() bool { return len(a) <= maxAction && actionGrammar.MatchString(string(a)) }

// Entity is the part before the colon.
func (a Action) Entity() string { entity, _, _ := strings.Cut(string(a), ":"); return entity }

// Verb is the part after the colon.
func (a Action) Verb() string { _, verb, _ := strings.Cut(string(a), ":"); return verb }

// ValidEntityType says whether s can name a type of entity: [a-z][a-z0-9_]*, at most 100 bytes.
func ValidEntityType(s string) bool {
	return len(s) <= maxEntityType && entityTypeGrammar.MatchString(s)
}

// entryOf checks an event and makes the row of it. Everything a database could refuse is found
// here, before any statement.
func entryOf(ctx context.Context, event Event, now time.Time) (models.Entry, models.OrganizationRef, error) {
	organization := models.OrganizationRef{Slug: event.Organization, ExternalID: event.ExternalID}
	fail := func(err error) (models.Entry, models.OrganizationRef, error) {
		return models.Entry{}, organization, err
	}
	switch {
	case event.Organization == "" && event.ExternalID == "":
		return fail(fmt.Errorf("%w: the event names none", ErrNoOrganization))
	case event.Organization != "" && event.ExternalID != "":
		return fail(&InvalidEventError{"organization", "name it by slug or by external ID, not both"})
	case !storable(event.Organization) || !storable(event.ExternalID):
		return fail(fmt.Errorf("%w: %q", ErrNoOrganization, event.Organization+event.ExternalID))
	}
	if !event.Action.Valid() {
		return fail(&InvalidEventError{"action", fmt.Sprintf("%.120q is not entity:verb, lower case, at most %d bytes", string(event.Action), maxAction)})
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
	return models.Entry{
		ID:         models.NewEntryID(occurred),
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
		URL:        event.URL,
		Metadata:   metadata,
	}, organization, nil
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
		actor.Name = actor.Email
	}
	if actor.Name == "" {
		actor.Name = actor.ID
	}
	return actor, nil
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
	case !utf8.ValidString(id):
		return &InvalidEventError{field, "is not valid UTF-8"}
	case strings.ContainsFunc(id, unicode.IsControl):
		return &InvalidEventError{field, "contains a control character"}
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
	parsed, err := url.Parse(link)
	switch {
	case len(link) > maxURL:
		return &InvalidEventError{"url", fmt.Sprintf("has %d bytes; at most %d are allowed", len(link), maxURL)}
	case !storable(link) || err != nil || parsed.Host == "":
		return &InvalidEventError{"url", "is not an absolute address"}
	case parsed.Scheme != "http" && parsed.Scheme != "https":
		return &InvalidEventError{"url", fmt.Sprintf("scheme %q is neither http nor https", parsed.Scheme)}
	default:
		return nil
	}
}
