package handlers

import (
	"bytes"
	"fmt"
	"mime"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// Limits of a request with events.
const (
	// MaxEventsBody is how many bytes it has at most.
	MaxEventsBody = 5 << 20
	maxEvents     = 1000
)

// eventsBody is the body of a request with events, as far as it could be read.
type eventsBody struct {
	events  []audit.Event      // empty ones where they could not be read
	refused []audit.EventError // those that could not be read
	broken  string             // why the body could not be read to its end
}

// readsLines reports whether the body of the request is NDJSON rather than JSON, by its media type; or
// why it cannot be read at all.
func readsLines(c *fiber.Ctx) (bool, error) {
	refuse := func(detail string) error {
		return newProblem(unsupportedMedia, detail)
	}
	media, parameters, err := mime.ParseMediaType(c.Get(fiber.HeaderContentType))
	if err == nil && !isUTF8(parameters["charset"]) {
		return false, refuse("Send the body in UTF-8.")
	}
	switch media {
	case "application/json":
		return false, nil
	case "application/x-ndjson":
		return true, nil
	}
	return false, refuse("Send Content-Type: application/json for one event or a list, application/x-ndjson for an event a line.")
}

// decodeEvents reads one event, a list of them or, with lines, an event a line. What it answers
// shares no memory with body.
func decodeEvents(body []byte, lines bool) eventsBody {
	var b eventsBody
	body = bytes.TrimPrefix(body, []byte("\ufeff")) // a byte order mark, as some programs begin a file with it
	switch trimmed := bytes.TrimSpace(body); {
	case len(trimmed) == 0:
		b.broken = "The body is empty."
	case lines:
		b.decodeLines(body)
	case trimmed[0] == '[':
		b.decodeList(trimmed[1:])
	default:
		b.decode(trimmed)
	}
	return b
}

// decode reads one event, unless there are too many.
func (b *eventsBody) decode(raw []byte) (more bool) {
	if len(b.events) == maxEvents {
		b.broken = fmt.Sprintf("The body holds more than %d events.", maxEvents)
		return false
	}
	var event audit.Event
	if err := event.UnmarshalJSON(raw); err != nil {
		b.refused = append(b.refused, audit.EventError{Index: len(b.events), Err: err})
		event = audit.Event{}
	}
	b.events = append(b.events, event)
	return true
}

func (b *eventsBody) decodeLines(body []byte) {
	for line := range bytes.Lines(body) {
		if line = bytes.TrimSpace(line); len(line) > 0 && !b.decode(line) {
			return
		}
	}
}

// decodeList reads the rest of a list behind its bracket.
func (b *eventsBody) decodeList(rest []byte) {
	if rest = bytes.TrimSpace(rest); len(rest) > 0 && rest[0] == ']' {
		b.broken = "The list holds no events."
		return
	}
	for {
		length := lengthOfItem(rest)
		if !b.decode(rest[:length]) {
			return
		}
		switch rest = rest[length:]; {
		case len(rest) == 0:
			b.broken = "The list ends before it is complete."
			return
		case rest[0] == ',':
			rest = rest[1:]
		default:
			if rest = bytes.TrimSpace(rest[1:]); len(rest) > 0 {
				b.broken = "The list is followed by something else."
			}
			return
		}
	}
}

// lengthOfItem is how far the first item of a list reaches: to the comma or bracket behind it, or to
// the end of the text. Whether the item is JSON finds out who reads it.
func lengthOfItem(list []byte) int {
	depth, quoted := 0, false
	for i := 0; i < len(list); i++ {
		switch char := list[i]; {
		case quoted && char == '\\':
			i++
		case char == '"':
			quoted = !quoted
		case quoted:
		case char == '{' || char == '[':
			depth++
		case depth > 0 && (char == '}' || char == ']'):
			depth--
		case depth == 0 && (char == ',' || char == ']'):
			return i
		}
	}
	return len(list)
}

// refusal lists what is wrong with each event. A body that is not JSON throughout is another matter
// than events that are, but cannot be recorded.
func refusal(faults []fault.Fields, broken string) error {
	var fields []problemField
	malformed, refused := broken != "", 0
	for i, of := range faults {
		refused += min(len(of), 1)
		for _, f := range of {
			malformed = malformed || f.Field == wholeEvent
			fields = append(fields, problemField{Index: &i, Field: inWordsOfTheAPI(*f)})
		}
	}
	counted := fmt.Sprintf("%d of the events were refused, and none was recorded.", refused)
	if refused == 1 {
		counted = "One event was refused, and none was recorded."
	}
	switch {
	case broken != "" && refused == 0:
		return newProblem(malformedBody, broken+" Nothing was recorded.")
	case malformed:
		return newProblem(malformedBody, strings.TrimSpace(broken+" "+counted), fields...)
	default:
		return newProblem(invalidEvents, counted, fields...)
	}
}

// wholeEvent is the field of what is wrong with an event as a whole: it is not JSON, or no object.
const wholeEvent = "event"

// inWordsOfTheAPI is what is wrong with a field, as a program that sends JSON understands it.
func inWordsOfTheAPI(field fault.Field) fault.Field {
	switch field.Code {
	case fault.NoActor:
		field.Reason = `is required: who did it, or {"id":"system"} for automated actions`
	case fault.IDReused:
		field.Reason = "was used for another event within the last 24 hours"
	}
	return field
}
