package handlers

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

var (
	filterNow = time.Date(2026, 11, 20, 14, 3, 22, 0, time.UTC)
	berlin    = mustZone("Europe/Berlin")
)

func mustZone(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		panic(err)
	}
	return zone
}

func at(t *testing.T, text string) models.Micros {
	t.Helper()
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return models.MicrosOf(moment)
}

func parse(t *testing.T, query string) Filter {
	t.Helper()
	f, err := ParseFilter(query, berlin, filterNow)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return f
}

func TestFilterPrintsItsCanonicalAddress(t *testing.T) {
	cursor := encodeCursor(entries.Cursor{ID: models.EntryID{7}, Value: "ada"}, entries.SortUser, true)
	for query, want := range map[string]string{
		"":                                 "",
		"action=&q=&from=&limit=&cursor=":  "",
		"q=+++":                            "",
		"sort=timestamp&dir=desc&limit=50": "",
		"sort=timestamp&dir=asc":           "dir=asc",
		"sort=action":                      "sort=action",
		"sort=action&dir=asc":              "sort=action",
		"dir=desc&sort=user":               "sort=user&dir=desc",
		"limit=100":                        "limit=100",
		"unknown=1&utm_source=mail":        "",
		"tz=Asia/Tokyo":                    "",
		"q=++ada++staging+":                "q=ada+staging",
		"q=100%25_":                        "q=100%25_",
		"q=a%26action%3Db":                 "q=a%26action%3Db",
		"entity_type=notification_channel": "entity_type=notification_channel",
		"action=service%3Aupdate&action=deployment:create&action=service:update":                                   "action=service:update&action=deployment:create",
		"action=service:update&action=deployment:*&action=service:*&action=service:create":                         "action=deployment:*&action=service:*",
		"action=Login+failed&action=service:Update&action=service:update&action=service:*&action=iam%3ACreateRole": "action=Login+failed&action=service:Update&action=service:*&action=iam:CreateRole",
		"actor=system&actor=usr_1": "actor=system&actor=usr_1",
		"outcome=denied&entity_type=service&outcome=success&outcome=denied": "outcome=denied&outcome=success&entity_type=service",
		"source=cron&api_key=key_1&request_id=r+1&ip=2001:db8::1":           "ip=2001:db8::1&request_id=r+1&api_key=key_1&source=cron",
		"ip=192.0.2.1&ip=192.0.2.2&source=":                                 "ip=192.0.2.2",
		"from=2026-11-01":                                                   "from=2026-11-01&tz=Europe/Berlin",
		"from=2026-11-01&tz=Asia%2FTokyo&to=2026-11-02":                     "from=2026-11-01&to=2026-11-02&tz=Asia/Tokyo",
		"from=-24h":                         "from=-24h&tz=Europe/Berlin",
		"from=-24h&from=2026-11-01":         "from=2026-11-01&tz=Europe/Berlin",
		"from=-24h&from=":                   "from=-24h&tz=Europe/Berlin",
		"from=2026-11-20T14:03:22Z":         "from=2026-11-20T14:03:22Z&tz=Europe/Berlin",
		"sort=user&cursor=" + cursor:        "sort=user&cursor=" + cursor,
		"q=-ada&sort=user&cursor=" + cursor: "q=-ada&sort=user&cursor=" + cursor,
	} {
		f := parse(t, query)
		if f.String() != want {
			t.Errorf("%q prints as %q, not %q", query, f.String(), want)
		}
		if again := parse(t, f.String()); f.Parts() > 0 && !reflect.DeepEqual(again, f) {
			t.Errorf("%q read again is %+v, not %+v", f.String(), again, f)
		}
	}
}

func TestFilterBounds(t *testing.T) {
	for query, want := range map[string][2]string{
		"from=2026-11-01&to=2026-11-01":                   {"2026-10-31T23:00:00Z", "2026-11-01T23:00:00Z"},
		"from=2026-11-01&to=2026-11-02&tz=UTC":            {"2026-11-01T00:00:00Z", "2026-11-03T00:00:00Z"},
		"from=2026-11-01T10:00:00%2B01:00&tz=Asia/Tokyo":  {"2026-11-01T09:00:00Z", ""},
		"from=2026-11-01T10:00:00+01:00":                  {"2026-11-01T09:00:00Z", ""},
		"from=2026-11-01t09:00:00z":                       {"2026-11-01T09:00:00Z", ""},
		"from=-24h":                                       {"2026-11-19T14:03:22Z", ""},
		"from=-7d&to=-24h":                                {"2026-11-13T14:03:22Z", "2026-11-19T14:03:22Z"},
		"from=2026-10-25&to=2026-10-25":                   {"2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"}, // 25 hours
		"from=2026-03-29&to=2026-03-29&tz=Asia/Beirut":    {"2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"}, // no midnight
		"from=2026-11-01&to=2026-11-01&tz=America/Havana": {"2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"}, // two midnights
		"from=2026-11-25T13:00&to=2026-11-25T13:00:30":    {"2026-11-25T12:00:00Z", "2026-11-25T12:00:30Z"},
		"from=2026-11-25T13:00&tz=America/New_York":       {"2026-11-25T18:00:00Z", ""},
		// Twice that night: the whole of both.
		"from=2026-10-25T02:30&to=2026-10-25T02:30": {"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"},
		// Never that night: from or until the change.
		"from=2026-03-29T02:30&to=2026-03-29T02:45":                        {"2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z"},
		"from=2026-10-04T02:10&to=2026-10-04T02:20&tz=Australia/Lord_Howe": {"2026-10-03T15:30:00Z", "2026-10-03T15:30:00Z"},
		"from=2026-04-05T01:45&to=2026-04-05T01:45&tz=Australia/Lord_Howe": {"2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z"}, // half an hour
		"from=2011-12-30T12:00&tz=Pacific/Apia":                            {"2011-12-30T10:00:00Z", ""},                     // a day that was left out
		"from=2024-02-29T23:59:59.123456Z":                                 {"2024-02-29T23:59:59.123456Z", ""},
	} {
		q := parse(t, query).Query()
		if q.From != at(t, want[0]) {
			t.Errorf("%s is from %s, not %s", query, q.From.Time(), want[0])
		}
		if want[1] == "" && q.To != 0 || want[1] != "" && q.To != at(t, want[1]) {
			t.Errorf("%s is to %s, not %q", query, q.To.Time(), want[1])
		}
	}
	if q := parse(t, "to=1900-01-01").Query(); q.To != 1 {
		t.Errorf("a day before 1970 bounds at %d: it must leave nothing, not everything", q.To)
	}
}

func TestFilterRefusesMalformedValues(t *testing.T) {
	good := "action=service:update&q=web"
	cursor := encodeCursor(entries.Cursor{ID: models.EntryID{7}}, entries.SortTimestamp, false)
	before := encodeCursor(entries.Cursor{ID: models.EntryID{7}, Before: true}, entries.SortTimestamp, false)
	for _, test := range []struct{ name, value string }{
		{"sort", "password"}, {"sort", "Timestamp"}, {"sort", "entity_id"},
		{"dir", "sideways"}, {"dir", "ASC"},
		{"limit", "1000000"}, {"limit", "0"}, {"limit", "-50"}, {"limit", "050"}, {"limit", "50.0"}, {"limit", "all"}, {"limit", "%2B50"},
		{"from", "yesterdayish"}, {"from", "2026-13-01"}, {"from", "2026-02-30"}, {"from", "-24"}, {"from", "24h"}, {"from", "-7w"}, {"from", "-999999999999h"}, {"from", "2026-11-20T14"}, {"from", "2026-11-20T24:00"}, {"from", "2026-11-20 14:03"},
		{"to", "tomorrow"}, {"to", "2026-1-1"},
		{"tz", "Mars/Olympus"}, {"tz", "Local"}, {"tz", "../../etc/passwd"},
		{"action", "%00"}, {"action", "%ff"}, {"action", "a:" + strings.Repeat("b", 200)},
		{"actor", strings.Repeat("a", 513)}, {"actor", "%00"}, {"actor", "%ff"},
		{"outcome", "Denied"}, {"outcome", "error"},
		{"entity_type", "Service"}, {"entity_type", "service;drop"},
		{"ip", strings.Repeat("1", 65)}, {"ip", "%00"}, {"request_id", strings.Repeat("r", 201)}, {"request_id", "%ff"},
		{"api_key", strings.Repeat("k", 101)}, {"api_key", "%zz"}, {"source", strings.Repeat("s", 101)}, {"source", "a%00b"},
		{"q", "%zz"}, {"q", "%c3%28"}, {"q", "a%00b"}, {"q", strings.Repeat("a", 1001)},
		{"cursor", "garbage"}, {"cursor", cursor[:len(cursor)-1]}, {"cursor", cursor[:20]}, {"cursor", cursor + "AA"},
		{"cursor", "B" + cursor[1:]}, {"cursor", cursor[:10] + "x" + cursor[11:]}, {"cursor", before[:5] + cursor[5:]},
	} {
		f, err := ParseFilter(good+"&"+test.name+"="+test.value, berlin, filterNow)
		var bad *fault.Field
		if !errors.As(err, &bad) || bad.Field != test.name {
			t.Errorf("%s=%s: %v, not a refusal that names %s", test.name, test.value, err, test.name)
			continue
		}
		if bad.Reason == "" {
			t.Errorf("%s=%s is refused without a reason", test.name, test.value)
		}
		if f.Search != "web" && test.name != "q" || len(f.Actions) != 1 || f.Limit != 50 || f.Cursor != nil {
			t.Errorf("%s=%s: what was good is lost: %+v", test.name, test.value, f)
		}
	}
}

func TestCursorBelongsToItsOrder(t *testing.T) {
	cursor := entries.Cursor{ID: models.NewEntryID(at(t, "2026-11-20T14:03:22Z")), Value: "Ünal", Before: true}
	text := encodeCursor(cursor, entries.SortUser, true)
	if got, ok := decodeCursor(text, entries.SortUser, true); !ok || got != cursor {
		t.Errorf("a cursor reads as %+v, not %+v", got, cursor)
	}
	for _, value := range []string{"a\x00b", "\xff"} { // what no database can compare with
		forged := encodeCursor(entries.Cursor{ID: cursor.ID, Value: value}, entries.SortUser, true)
		if _, ok := decodeCursor(forged, entries.SortUser, true); ok {
			t.Errorf("a cursor at the value %q is accepted", value)
		}
	}
	for _, query := range []string{"cursor=" + text, "sort=user&dir=desc&cursor=" + text, "sort=action&cursor=" + text} {
		var bad *fault.Field
		if _, err := ParseFilter(query, berlin, filterNow); !errors.As(err, &bad) || bad.Field != "cursor" {
			t.Errorf("%s: %v, not a refusal of the cursor", query, err)
		}
	}
}

func TestFilterNeighbours(t *testing.T) {
	cursor := encodeCursor(entries.Cursor{ID: models.EntryID{7}}, entries.SortTimestamp, false)
	f := parse(t, "action=service:update&action=service:create&actor=usr_1&q=web&from=-7d&tz=UTC&limit=25&cursor="+cursor)
	for name, test := range map[string]struct {
		got  Filter
		want string
	}{
		"without an action":  {f.Without("action", "service:update"), "action=service:create&actor=usr_1&q=web&from=-7d&tz=UTC&limit=25"},
		"without the actor":  {f.Without("actor", "usr_1"), "action=service:update&action=service:create&q=web&from=-7d&tz=UTC&limit=25"},
		"without search":     {f.Without("q", ""), "action=service:update&action=service:create&actor=usr_1&from=-7d&tz=UTC&limit=25"},
		"without from":       {f.Without("from", ""), "action=service:update&action=service:create&actor=usr_1&q=web&limit=25"},
		"all":                {f.All(), "limit=25"},
		"sorted by action":   {f.All().SortedBy(entries.SortAction), "sort=action&limit=25"},
		"the other way":      {f.All().SortedBy(entries.SortAction).SortedBy(entries.SortAction), "sort=action&dir=desc&limit=25"},
		"back to time":       {f.All().SortedBy(entries.SortAction).SortedBy(entries.SortTimestamp), "limit=25"},
		"oldest first":       {f.All().SortedBy(entries.SortTimestamp), "dir=asc&limit=25"},
		"first page":         {f.All().At(nil), "limit=25"},
		"one address":        {f.With("ip", "192.0.2.1").Without("ip", "").With("source", "cron").Without("q", ""), "action=service:update&action=service:create&actor=usr_1&source=cron&from=-7d&tz=UTC&limit=25"},
		"one actor":          {f.All().WithActor("system"), "actor=system&limit=25"},
		"without an outcome": {parse(t, "outcome=denied&outcome=failure").Without("outcome", "denied"), "outcome=failure"},
		"since":              {f.All().Since("-24h", filterNow), "from=-24h&tz=UTC&limit=25"},
		"since ever":         {f.All().Since("", filterNow), "limit=25"},
	} {
		if got := test.got.String(); got != test.want {
			t.Errorf("%s: %q, not %q", name, got, test.want)
		}
	}
	if len(f.Actions) != 2 {
		t.Error("taking a part away changed the filter itself")
	}
}
