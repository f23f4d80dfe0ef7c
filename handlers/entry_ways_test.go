package handlers

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/models"
)

// wayOf is a link in the menu of an opened entry's value.
func wayOf(page *goquery.Document, name, label string) string {
	menu := page.Find(".ways").FilterFunction(func(_ int, s *goquery.Selection) bool { return s.AttrOr("aria-label", "") == name })
	return menu.Find("a:contains('"+label+"')").First().AttrOr("href", "")
}

// Each value of an opened entry leads to the log of what has it, and to that without it. Both keep the filters of the list.
func TestEachValueLeadsToWhatHasItAndToWhatHasNot(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		hostile := []string{"plain", "two words", `a "quoted" one`, `back\slash`, `ends in \`, "a,b", "*", `\*`, "-minus", "action:x", "日本", "line\nline", "true", "null", "7"}
		metadata, err := json.Marshal(map[string]any{
			"texts": hostile, "a.b": map[string]any{`k"ey`: "dotted"}, "flag": true, "nothing": nil, "count": 12.5, "masked": "[masked]",
			"changes":         map[string]any{"size": map[string]any{"before": "small", "after": "large"}, "limits": map[string]any{"before": map[string]any{"cpu": 1}, "after": map[string]any{"cpu": 2}}},
			"cannot be asked": " spaces around ",
		})
		if err != nil {
			t.Fatal(err)
		}
		id := d.record(audit.Event{
			Action: "ec2:run_instances", NativeAction: "ec2:RunInstances", EntityType: "instance", EntityID: "i-1", EntityName: `Web "one"`, Outcome: audit.OutcomeDenied, Reason: "no",
			Actor:   audit.Actor{ID: "agt 1", Type: audit.ActorAgent, OnBehalfOf: &audit.Principal{ID: "usr,1", Name: "Ada"}},
			Related: []audit.Resource{{Type: "subnet", ID: "sn 1/&", Name: "Internal"}},
			Request: audit.Request{IP: "192.0.2.1", ID: "req-1", UserAgent: "curl/8"}, OccurredAt: d.now.Add(-time.Hour),
			Metadata: json.RawMessage(metadata),
		})[0]
		other := d.insert(d.org, models.Entry{OccurredAt: d.ago(time.Hour), Action: "service:update"})[0].ID.String()

		page := d.page(logPath+"/"+id+"?from=-7d&limit=25", fragment...)
		seen := 0
		page.Find(".ways[id^=way-]").Each(func(_ int, menu *goquery.Selection) {
			name, stored := menu.AttrOr("aria-label", ""), menu.Find("[data-copy]").AttrOr("data-copy", "")
			if trigger := page.Find("[popovertarget='" + menu.AttrOr("id", "") + "']"); trigger.Length() != 1 {
				t.Errorf("the menu of %s is opened by %d buttons", name, trigger.Length())
			}
			only, except := menu.Find("a").First().AttrOr("href", ""), menu.Find("a").Last().AttrOr("href", "")
			if name == "cannot be asked" {
				if only != "" || stored != " spaces around " {
					t.Errorf("%s %q leads to %s", name, stored, only)
				}
				return
			}
			if menu.Find("a").Length() != 2 {
				t.Errorf("%s %q leads to %d lists", name, stored, menu.Find("a").Length())
				return
			}
			seen++
			for address, want := range map[string][]string{only: {id}, except: {other}} {
				_, query, _ := strings.Cut(address, "?")
				values, err := url.ParseQuery(query)
				if err != nil || values.Get("from") != "-7d" || values.Get("limit") != "25" {
					t.Errorf("%s %q leads to %s, which forgets the filters", name, stored, address)
				}
				if got := rowsOf(d.page(address)); !slices.Equal(got, want) {
					t.Errorf("%s %q leads to %s, which shows %v, want %v", name, stored, address, got, want)
				}
				if filter, err := ParseFilter(query, d.zone, d.now); err != nil || filter.String() != query {
					t.Errorf("%s %q leads to %s, canonical is %s (%v)", name, stored, query, filter.String(), err)
				}
			}
		})
		if want := 11 + len(hostile) + 9; seen != want {
			t.Errorf("%d values lead on, want %d", seen, want)
		}
	})
}

// One way takes the place of the other, and a value that an entry has one of the place of others.
func TestAWayTakesThePlaceOfItsOpposite(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		d := newLogFixture(t, db)
		path := logPath + "/" + d.insert(d.org, models.Entry{OccurredAt: d.ago(time.Hour), IP: "192.0.2.1", Metadata: `{"a":"b"}`})[0].ID.String()
		for _, test := range []struct{ list, name, label, want string }{
			{"", "IP", "Only this", "?ip=192.0.2.1"},
			{"", "IP", "Without this", "?q=-ip:192.0.2.1"},
			{"?ip=192.0.2.1&q=web", "IP", "Without this", "?q=web+-ip:192.0.2.1"},
			{"?q=-ip:192.0.2.1", "IP", "Only this", "?ip=192.0.2.1"},
			{"?ip=192.0.2.9", "IP", "Only this", "?ip=192.0.2.1"},
			{"?ip=192.0.2.9", "IP", "Without this", "?ip=192.0.2.9&q=-ip:192.0.2.1"},
			{"?action=service:update&action=service:create", "Action", "Without this", "?action=service:create&q=-action:service:update"},
			{"?action=service:create", "Action", "Only this", "?action=service:update"},
			{"?actor=usr_9", "User", "Only this", "?actor=usr_1"},
			{"", "Entity type", "Without this", "?q=-type:service"},
			{"?entity_type=project", "Entity type", "Only this", "?entity_type=service"},
			{"?q=-meta.a:b", "a", "Only this", "?q=meta.a:b"},
			{"?q=meta.a:b+web", "a", "Without this", "?q=web+-meta.a:b"},
		} {
			page := d.page(path+test.list, fragment...)
			if got := wayOf(page, test.name, test.label); got != logPath+test.want {
				t.Errorf("%s %s from %q leads to %s, want %s", test.label, test.name, test.list, got, test.want)
			}
		}
	})
}

// However much metadata an entry has, and however long the filter, the page stays of a size.
func TestTheWaysOfAnEntryAreBounded(t *testing.T) {
	entry := sampleEntry()
	entry.Metadata = `{"list":[` + strings.TrimSuffix(strings.Repeat(`"value",`, 999), ",") + `]}`
	filter := wholeLog(time.UTC)
	for range 100 {
		filter.Actors = append(filter.Actors, strings.Repeat("x", 40))
	}
	view := viewEntry("", models.Organization{Slug: "acme"}, entry, nil, filter, time.UTC)
	bytes := 0
	for _, way := range view.Ways {
		if way != nil {
			bytes += len(way.Only) + len(way.Except)
		}
	}
	for _, member := range view.Metadata.Rest.Members[0].Value.Members {
		if way := member.Value.Way; way != nil {
			bytes += len(way.Only) + len(way.Except)
		}
	}
	if bytes > maxWays+20_000 || bytes < maxWays/2 {
		t.Errorf("the addresses have %d bytes", bytes)
	}
}
