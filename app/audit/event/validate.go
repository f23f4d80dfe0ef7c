package event

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// Size limits, in bytes.
const (
	MaxEventID   = 200
	MaxEntityID  = 512
	MaxName      = 200
	MaxActorID   = 512
	MaxEmail     = 320
	MaxURL       = 2048
	MaxSource    = 100
	MaxUserAgent = 512
	MaxRequestID = 200
	MaxIP        = 64
)

// MaxAhead is how far in the future an event may lie: clocks differ a little.
const MaxAhead = 5 * time.Minute

// Resolve checks an event and returns it as it would be stored: with the actor and the request of ctx
// where it has none, the time truncated to the microsecond (now where it has none), texts mended, and metadata
// as a json.RawMessage, masked, or nil. Everything a database could refuse is found here.
//
// Errors: ErrNoOrganization where the event names none, ErrNoActor, or a *fault.Field.
func Resolve(ctx context.Context, event Event, now time.Time) (Event, error) {
	fail := func(err error) (Event, error) { return Event{}, err }
	switch {
	case event.Organization == "" && event.ExternalID == "":
		return fail(fault.Newf("organization", ErrNoOrganization, "is required"))
	case event.Organization != "" && event.ExternalID != "":
		return fail(fault.Newf("organization", fault.Invalid, "name it by slug or by external ID, not both"))
	case !storable(event.Organization) || !storable(event.ExternalID):
		return fail(fault.Newf("organization", ErrNoOrganization, "%q does not exist", event.Organization+event.ExternalID))
	case !event.Action.Valid():
		return fail(fault.Newf("action", fault.Invalid, "%.120q is not entity:verb, lower case, at most %d bytes", string(event.Action), action.MaxLength))
	case event.Action.Reserved() && IsFromOutside(ctx):
		return fail(fault.Newf("action", fault.Reserved, "%q is for what Audit Logs itself records; choose another name", string(event.Action)))
	case IsStrict(ctx) && !event.Action.Known():
		return fail(fault.Newf("action", ErrUnregisteredAction, "%q is neither in the catalogue nor registered", string(event.Action)))
	}
	event.EntityType = cmp.Or(event.EntityType, event.Action.Entity())
	if !action.ValidEntityType(event.EntityType) {
		return fail(fault.Newf("entity_type", fault.Invalid, "%.120q is not lower case letters, digits and _, at most %d bytes", event.EntityType, action.MaxLength))
	}
	if err := CheckID("entity_id", event.EntityID, MaxEntityID); err != nil {
		return fail(err)
	}
	var err error
	if event.EntityName, err = cleanText("entity_name", event.EntityName, MaxName); err != nil {
		return fail(err)
	}
	if event.Actor, err = resolveActor(ctx, event.Actor); err != nil {
		return fail(err)
	}
	if event.OccurredAt, err = resolveTime(event.OccurredAt, now); err != nil {
		return fail(err)
	}
	if err := checkURL(event.URL); err != nil {
		return fail(err)
	}
	metadata, err := encodeMetadata(event.Metadata)
	if err != nil {
		return fail(err)
	}
	event.Metadata = nil
	if metadata != "" {
		event.Metadata = json.RawMessage(metadata)
	}
	if event.Request == (Request{}) {
		event.Request = RequestFrom(ctx)
	}
	event.Request = Request{
		IP: cut(event.Request.IP, MaxIP), UserAgent: cut(event.Request.UserAgent, MaxUserAgent), ID: cut(event.Request.ID, MaxRequestID),
	}
	if len(event.ID) > MaxEventID {
		return fail(fault.Newf("id", fault.TooLarge, "has %d bytes; at most %d are allowed", len(event.ID), MaxEventID))
	}
	return event, nil
}

// Validate checks event as recording it would: it returns nil or an error of Resolve.
func Validate(ctx context.Context, event Event) error {
	_, err := Resolve(ctx, event, time.Now())
	return err
}

func resolveActor(ctx context.Context, actor Actor) (Actor, error) {
	if actor == (Actor{}) {
		actor = ActorFrom(ctx)
	}
	if actor.ID == "" {
		return Actor{}, fault.Newf("actor", ErrNoActor, "is required")
	}
	if actor.automated {
		return System(cut(actor.source, MaxSource)), nil
	}
	if actor.ID == SystemID {
		return Actor{}, fault.Newf("actor.id", fault.Reserved, `"system" is reserved for automated actions; use audit.System`)
	}
	if err := CheckID("actor.id", actor.ID, MaxActorID); err != nil {
		return Actor{}, err
	}
	var err error
	if actor.Email, err = cleanText("actor.email", actor.Email, MaxEmail); err != nil {
		return Actor{}, err
	}
	if actor.Name, err = cleanText("actor.name", actor.Name, MaxName); err != nil {
		return Actor{}, err
	}
	if actor.Name == "" {
		actor.Name = shortened(cmp.Or(actor.Email, actor.ID))
	}
	return actor, nil
}

// shortened truncates text to the size of a name, and marks that it did.
func shortened(text string) string {
	if len(text) <= MaxName {
		return text
	}
	const more = "…"
	return cut(text, MaxName-len(more)) + more
}

func resolveTime(at, now time.Time) (time.Time, error) {
	if at.IsZero() {
		at = now
	} else if err := CheckTime(at, now); err != nil {
		return time.Time{}, err
	}
	return at.UTC().Truncate(time.Microsecond), nil
}

// CheckTime refuses a time at which nothing can have occurred: before 1970, or more than MaxAhead after now.
func CheckTime(at, now time.Time) error {
	switch {
	case at.Before(time.UnixMicro(1)):
		return fault.Newf("occurred_at", fault.Invalid, "%s is before 1970", at.UTC().Format(time.RFC3339))
	case at.After(now.Add(MaxAhead)):
		return fault.Newf("occurred_at", fault.Invalid, "%s is more than %s ahead of now", at.UTC().Format(time.RFC3339), "5 minutes")
	default:
		return nil
	}
}

// CheckID refuses what cannot be a key: IDs are compared byte by byte and never mended.
func CheckID(field, id string, limit int) error {
	switch {
	case id == "":
		return fault.Newf(field, fault.Required, "is required")
	case len(id) > limit:
		return fault.Newf(field, fault.TooLarge, "has %d bytes; at most %d are allowed", len(id), limit)
	case isPlain(id):
		return nil
	case !utf8.ValidString(id):
		return fault.Newf(field, fault.Malformed, "is not valid UTF-8")
	case strings.ContainsFunc(id, unicode.IsControl):
		return fault.Newf(field, fault.Invalid, "contains a control character")
	case strings.TrimSpace(id) != id:
		return fault.Newf(field, fault.Invalid, "begins or ends with white space")
	default:
		return nil
	}
}

// cleanText mends text that people read: what cannot be stored or shown becomes U+FFFD or a space.
func cleanText(field, text string, limit int) (string, error) {
	text = mend(text)
	if len(text) > limit {
		return "", fault.Newf(field, fault.TooLarge, "has %d bytes; at most %d are allowed", len(text), limit)
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

// isPlain reports whether text needs no mending, as most does not: printable ASCII, without space at its ends.
func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return text == "" || text[0] != ' ' && text[len(text)-1] != ' '
}

// cut mends text and truncates it to limit bytes.
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

// storable reports whether every database accepts s as a value to compare with.
func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

func checkURL(link string) error {
	if link == "" {
		return nil
	}
	if len(link) > MaxURL {
		return fault.Newf("url", fault.TooLarge, "has %d bytes; at most %d are allowed", len(link), MaxURL)
	}
	if problem := WebAddressFault(link); problem != "" {
		return fault.Newf("url", fault.Invalid, "%s", problem)
	}
	return nil
}

// WebAddressFault returns why people cannot be led to an address, or must not be; "" if they can: it is
// absolute, http or https, and signs nobody in. A link is shown to everybody who reads the log, and its
// host, which people look at, stands behind what is before the @.
func WebAddressFault(address string) string {
	parsed, err := url.Parse(address)
	switch {
	case err != nil || parsed.Host == "" || !utf8.ValidString(address) || strings.ContainsRune(address, 0):
		return "is not an absolute address"
	case parsed.Scheme != "http" && parsed.Scheme != "https":
		return fmt.Sprintf("scheme %q is neither http nor https", parsed.Scheme)
	case parsed.User != nil:
		return "holds a user name or password before the host; leave it out"
	default:
		return ""
	}
}
