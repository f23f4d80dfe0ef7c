package event_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

func TestTimesAreReadAsRFC3339WritesThem(t *testing.T) {
	for text, want := range map[string]string{
		"2026-11-20T14:03:22Z":           "2026-11-20T14:03:22Z",
		"2026-11-20t14:03:22.5z":         "2026-11-20T14:03:22.5Z",
		"2026-11-20T14:03:22.123456789Z": "2026-11-20T14:03:22.123456789Z",
		"2026-11-20t14:03:22+05:30":      "2026-11-20T08:33:22Z",
		"2026-11-20T14:03:22-00:00":      "2026-11-20T14:03:22Z",
		"2016-12-31T23:59:60Z":           "2017-01-01T00:00:00Z", // a leap second
		"2016-12-31t23:59:60.75z":        "2017-01-01T00:00:00Z",
		"2016-12-31T15:59:60-08:00":      "2017-01-01T00:00:00Z",
		"2017-01-01T05:29:60+05:30":      "2017-01-01T00:00:00Z",
	} {
		at, err := event.ParseTime("occurred_at", text)
		if got := at.UTC().Format(time.RFC3339Nano); err != nil || got != want {
			t.Errorf("%q is read as %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", " ", "now", "2026-11-20", "2026-11-20T14:03:22", "2026-11-20 14:03:22Z", "2026-13-20T14:03:22Z", "2026-11-20T14:03:61Z",
		"2026-11-20T14:03:60Z", "2016-12-30T23:59:60Z", "2016-12-31T23:59:60+01:00", "0001-01-01T00:00:00Z", "2026-11-20T14:03:22Z ",
	} {
		at, err := event.ParseTime("at", text)
		var refused *fault.Field
		if !errors.As(err, &refused) || refused.Field != "at" || refused.Code != fault.Invalid {
			t.Errorf("%q is read as %s, %v", text, at, err)
		}
	}
}

func TestAnEmptyTimeIsNotNow(t *testing.T) {
	for raw, refused := range map[string]bool{
		`{"occurred_at":""}`: true, `{"occurred_at":"0001-01-01T00:00:00Z"}`: true, `{"occurred_at":null}`: false, `{}`: false,
	} {
		var e event.Event
		if err := json.Unmarshal([]byte(raw), &e); errors.Is(err, fault.Invalid) != refused || !e.OccurredAt.IsZero() {
			t.Errorf("%s is read as %s, %v", raw, e.OccurredAt, err)
		}
	}
}
