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

	MaxNativeAction = 200
	MaxReason       = 500
	MaxRole         = 100
	MaxSession      = 200
	MaxRelated      = 20 // resources
)

// MaxSequence is the largest Event.Sequence.
const MaxSequence = 1<<30 - 1

// MaxAhead is how far in the future an event may lie: clocks differ a little.
const MaxAhead = 5 * time.Minute

// Resolve checks an event and returns it as it would be stored: with the actor and the request of ctx
// where it has none, the time truncated to the microsecond (now where it has none), texts mended, and metadata
// as a json.RawMessage, masked, or nil; what is the default, such as OutcomeSuccess, as the empty text.
// Everything a database could refuse is found here.
//
// Errors: a *fault.Field or, where several things are wrong, fault.Fields; ErrNoOrganization where the event
// names none, and ErrNoActor, are codes of one.
func Resolve(ctx context.Context, event Event, now time.Time) (Event, error) {
	var faults fault.Fields
	switch {
	case event.Organization == "" && event.ExternalID == "":
		faults.Add(fault.Newf("organization", ErrNoOrganization, "is required"))
	case event.Organization != "" && event.ExternalID != "":
		faults.Add(fault.Newf("organization", fault.Invalid, "name it by slug or by external ID, not both"))
	case !storable(event.Organization) || !storable(event.ExternalID):
		faults.Add(fault.Newf("organization", ErrNoOrganization, "%q does not exist", event.Organization+event.ExternalID))
	}
	resolveAction(ctx, &event, &faults)
	if event.EntityID != "" {
		faults.Add(CheckID("entity_id", event.EntityID, MaxEntityID))
	} else if event.EntityName != "" {
		faults.Add(fault.Newf("entity_id", fault.Required, "is required beside entity_name"))
	}
	event.EntityName = text("entity_name", event.EntityName, MaxName, &faults)
	event.Related = resolveRelated(event.Related, &faults)
	event.Outcome = resolveOutcome(event.Outcome, &faults)
	event.Reason = text("reason", event.Reason, MaxReason, &faults)
	event.Actor = resolveActor(ctx, event.Actor, &faults)
	var err error
	event.OccurredAt, err = resolveTime(event.OccurredAt, now)
	faults.Add(err)
	if n := event.Sequence; n != nil && (*n < 0 || *n > MaxSequence) {
		faults.Add(fault.Newf("sequence", fault.Invalid, "%d is not between 0 and %d", *n, MaxSequence))
	}
	faults.Add(checkURL(event.URL))
	event.EntityName, event.Reason = maskWithin(event.EntityName, MaxName), maskWithin(event.Reason, MaxReason)
	event.URL = maskWithin(event.URL, MaxURL)
	metadata, err := rulesFrom(ctx).encodeMetadata(event.Metadata)
	faults.Add(err)
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
		faults.Add(tooLong("id", event.ID, MaxEventID))
	}
	if err := faults.Err(); err != nil {
		return Event{}, err
	}
	return event, nil
}

// Validate checks event as recording it would: it returns nil or an error of Resolve.
func Validate(ctx context.Context, event Event) error {
	_, err := Resolve(ctx, event, time.Now())
	return err
}

func resolveAction(ctx context.Context, e *Event, faults *fault.Fields) {
	e.NativeAction = text("native_action", e.NativeAction, MaxNativeAction, faults)
	if native := maskWithin(e.NativeAction, MaxNativeAction); native != e.NativeAction {
		if e.isForeign() {
			e.Action = "" // the credential is in it, too
		}
		e.NativeAction = native
	}
	*e = e.Folded()
	switch problem := e.Action.Problem(); {
	case e.Action == "":
		faults.Add(fault.Newf("action", fault.Required, "%s", problem))
	case problem != "":
		faults.Add(fault.Newf("action", fault.Invalid, "%s", problem))
	case e.Action.Reserved() && IsFromOutside(ctx) && !e.isForeign():
		faults.Add(fault.Newf("action", fault.Reserved, "%q is for what Audit Logs itself records; choose another name", string(e.Action)))
	case IsStrict(ctx) && !e.Action.Known():
		faults.Add(fault.Newf("action", ErrUnregisteredAction, "%q is neither in the catalogue nor registered", string(e.Action)))
	}
	if e.EntityType != "" || e.Action.Valid() {
		e.EntityType = cmp.Or(e.EntityType, e.Action.Entity())
		faults.Add(checkEntityType("entity_type", e.EntityType))
	}
}

// Folded returns the event with the action that its NativeAction is folded to, where it names no other.
func (e Event) Folded() Event {
	if e.Action == "" && e.NativeAction != "" {
		e.Action = action.Fold(e.NativeAction, e.EntityType)
	}
	if e.NativeAction == string(e.Action) {
		e.NativeAction = ""
	}
	return e
}

// isForeign reports whether the action is what the sender's own name for it is folded to, and nothing the sender
// chose: it may be one of the web app's then.
func (e Event) isForeign() bool {
	return e.NativeAction != "" && action.Fold(e.NativeAction, e.EntityType) == e.Action
}

func checkEntityType(field, name string) error {
	if action.ValidEntityType(name) {
		return nil
	}
	return fault.Newf(field, fault.Invalid, "%.120q is not lower case letters, digits and _, at most %d bytes", name, action.MaxLength)
}

func resolveRelated(related []Resource, faults *fault.Fields) []Resource {
	if len(related) > MaxRelated {
		faults.Add(fault.Newf("related", fault.TooLarge, "has %d resources; at most %d are allowed", len(related), MaxRelated))
		return nil
	}
	related = append([]Resource(nil), related...) // the caller's stay as they are
	for i := range related {
		r, field := &related[i], fmt.Sprintf("related[%d].", i)
		faults.Add(checkEntityType(field+"type", r.Type))
		faults.Add(CheckID(field+"id", r.ID, MaxEntityID))
		r.Name = maskWithin(text(field+"name", r.Name, MaxName, faults), MaxName)
		r.Role = text(field+"role", r.Role, MaxRole, faults)
	}
	return related
}

func resolveOutcome(outcome Outcome, faults *fault.Fields) Outcome {
	switch outcome {
	case "", OutcomeSuccess, OutcomeFailure, OutcomeDenied:
	default:
		faults.Add(fault.Newf("outcome", fault.Invalid, `%.60q is none of "success", "failure" and "denied"`, string(outcome)))
	}
	return unlessDefault(outcome, OutcomeSuccess)
}

func resolveActor(ctx context.Context, actor Actor, faults *fault.Fields) Actor {
	if actor == (Actor{}) {
		actor = ActorFrom(ctx)
	}
	if actor == (Actor{}) || actor.ID == "" && actor.Type != ActorSystem && actor.Type != ActorAnonymous {
		faults.Add(fault.Newf("actor", ErrNoActor, "is required"))
		return actor
	}
	actor = resolveWho("actor", actor, faults)
	actor.source = cut(actor.source, MaxSource)
	if p := actor.OnBehalfOf; p != nil {
		who := resolveWho("actor.on_behalf_of", Actor{Type: p.Type, ID: p.ID, Name: p.Name, Email: p.Email}, faults)
		session := maskWithin(text("actor.on_behalf_of.session", p.Session, MaxSession, faults), MaxSession)
		actor.OnBehalfOf = &Principal{who.Type, who.ID, who.Name, who.Email, session}
	}
	return actor
}

// resolveWho checks type, ID, name and e-mail.
func resolveWho(field string, who Actor, faults *fault.Fields) Actor {
	switch who.Type {
	case ActorUser:
		who.Type = ""
	case "", ActorService, ActorAgent, ActorSystem, ActorAnonymous:
	default:
		faults.Add(fault.Newf(field+".type", fault.Invalid, "%.60q is none of %q, %q, %q, %q and %q", string(who.Type),
			ActorUser, ActorService, ActorAgent, ActorSystem, ActorAnonymous))
	}
	who, err := who.itself(field)
	faults.Add(err)
	if who.ID == SystemID && who.Type != ActorSystem {
		faults.Add(fault.Newf(field+".id", fault.Reserved, `"system" is reserved for automated actions; use audit.System`))
	}
	faults.Add(CheckID(field+".id", who.ID, MaxActorID))
	who.Email = text(field+".email", who.Email, MaxEmail, faults)
	who.Name = text(field+".name", who.Name, MaxName, faults)
	if who.Name == "" {
		who.Name = shortened(cmp.Or(who.Email, who.ID))
	}
	return who
}

// itself returns the actor with the ID and the name that its type alone has, of those that have one: they are
// as the type is called.
func (a Actor) itself(field string) (Actor, error) {
	if a.Type != ActorSystem && a.Type != ActorAnonymous {
		return a, nil
	}
	only := string(a.Type)
	if cmp.Or(a.ID, only) != only || cmp.Or(a.Name, only) != only || a.Email != "" {
		return a, fault.Newf(field, fault.Reserved, "of type %q has neither an ID, a name nor an e-mail of its own", only)
	}
	a.ID, a.Name = only, only
	return a, nil
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
		return tooLong(field, id, limit)
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

// text mends text that people read: what cannot be stored or shown becomes U+FFFD or a space.
func text(field, value string, limit int, faults *fault.Fields) string {
	value = mend(value)
	if len(value) > limit {
		faults.Add(tooLong(field, value, limit))
	}
	return value
}

func tooLong(field, value string, limit int) error {
	return fault.Newf(field, fault.TooLarge, "has %d bytes; at most %d are allowed", len(value), limit)
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

// maskWithin masks what is known by its form, which may make text longer: what does not fit any more is cut off.
func maskWithin(text string, limit int) string {
	if masked := maskForms(text); masked != text {
		return cut(masked, limit)
	}
	return text
}

// storable reports whether every database accepts s as a value to compare with.
func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

func checkURL(link string) error {
	if link == "" {
		return nil
	}
	if len(link) > MaxURL {
		return tooLong("url", link, MaxURL)
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
