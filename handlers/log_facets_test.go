package handlers

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/counts"
)

func TestMenusSayHowManyEntriesTheOtherFiltersLetThrough(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		d.insert(d.org,
			models.Entry{OccurredAt: d.ago(time.Hour), Action: "service:create"},
			models.Entry{OccurredAt: d.ago(2 * time.Hour), Action: "service:update", Outcome: event.OutcomeDenied},
			models.Entry{OccurredAt: d.ago(50 * time.Hour), Action: "role:update", ActorID: "usr_2", ActorName: "Bob"},
		)
		const all = "&value=usr_1&value=usr_2&value=usr_3&value=&value=%00&value=%ff"
		for query, want := range map[string]map[string]string{
			"of=action": {"service:create": "1", "service:update": "1", "service:*": "2", "role:update": "1", "role:*": "1"},
			// What the menu's own filter says makes no difference, others do.
			"of=action&action=role:update&from=-24h":      {"service:create": "1", "service:update": "1", "service:*": "2", "role:update": "0", "role:*": "0"},
			"of=actor&actor=usr_2&action=service:*" + all: {"usr_1": "2", "usr_2": "0", "usr_3": "0"},
			"of=actor" + all:                                 {"usr_1": "2", "usr_2": "1", "usr_3": "0"},
			"of=outcome&outcome=failure":                     {"success": "2", "denied": "1", "failure": "0"},
			"of=outcome&actor=usr_2":                         {"success": "1", "denied": "0", "failure": "0"},
			"of=entity_type&entity_type=role&outcome=denied": {"service": "1", "role": "0"},
			"of=entity_type&q=bob":                           {"service": "0", "role": "0"},
		} {
			response, body := d.get(logPath + "/facets?" + query)
			var got map[string]string
			if err := json.Unmarshal([]byte(body), &got); err != nil || response.StatusCode != 200 {
				t.Fatalf("%s: %d %s", query, response.StatusCode, body)
			}
			if !maps.Equal(got, want) {
				t.Errorf("%s is answered with %v, want %v", query, got, want)
			}
		}
		for _, mistake := range []string{"", "of=ip", "of=action&from=x"} {
			if response, _ := d.get(logPath + "/facets?" + mistake); response.StatusCode != 400 {
				t.Errorf("%q is answered with %d", mistake, response.StatusCode)
			}
		}
	})
}

func TestNumbersInMenusAreShort(t *testing.T) {
	for want, number := range map[string]counts.Number{
		"0": {Count: 0, All: true}, "10,000": {Count: 10_000, All: true}, "10k": {Count: 10_001, All: true}, "12k": {Count: 12_499, All: true},
		"999k": {Count: 999_499, All: true}, "1.0M": {Count: 999_500, All: true}, "2.3M": {Count: 2_345_678, All: true},
		"1,250+": {Count: 1250}, "12k+": {Count: 12_999}, "999k+": {Count: 999_999}, "2.9M+": {Count: 2_999_999},
	} {
		if got := shortNumber(number); got != want {
			t.Errorf("%+v is said as %q, want %q", number, got, want)
		}
	}
}
