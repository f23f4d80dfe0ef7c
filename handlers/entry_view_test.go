package handlers

import (
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/models"
)

func TestLateRecordingIsToldFromAMinuteOn(t *testing.T) {
	at := models.MicrosOf(time.Date(2025, 11, 20, 14, 0, 0, 0, time.UTC))
	for after, want := range map[time.Duration]string{
		0:                  "",
		time.Minute:        "",
		61 * time.Second:   "1 min later",
		-2 * time.Minute:   "2 min earlier",
		3 * time.Hour:      "3 h later",
		100 * time.Hour:    "4 days later",
		59 * time.Minute:   "59 min later",
		-time.Second:       "",
		47 * time.Hour:     "47 h later",
		24 * 9 * time.Hour: "9 days later",
	} {
		entry := models.Entry{OccurredAt: at, RecordedAt: at + models.Micros(after.Microseconds())}
		got := ""
		if view := viewEntry("https://audit.example.com", models.Organization{Slug: "acme"}, entry, nil, wholeLog(time.UTC), time.UTC); view.Recorded != nil {
			got = view.Recorded.Difference
		}
		if got != want {
			t.Errorf("recorded %s after it happened reads %q, want %q", after, got, want)
		}
	}
}

func TestPathsFromAnEntryEscapeWhatTheyCarry(t *testing.T) {
	entry := models.Entry{
		OccurredAt: models.MicrosOf(time.Date(2025, 11, 20, 14, 3, 22, 500_000_000, time.UTC)),
		EntityType: "service", EntityID: "a/b?c=d&e#f", ActorID: "usr 1&x",
	}
	view := viewEntry("https://audit.example.com", models.Organization{Slug: "acme"}, entry, nil, wholeLog(time.UTC), time.UTC)
	for got, want := range map[string]string{
		view.Link:        "https://audit.example.com" + view.Path,
		view.HistoryPath: "/orgs/acme/resources/service?id=a%2Fb%3Fc%3Dd%26e%23f",
		view.ActorPath:   "/orgs/acme/settings/audit-logs?actor=usr+1%26x",

		view.Around[0].Links[1].Address: "/orgs/acme/settings/audit-logs?from=2025-11-20T13:58:22&to=2025-11-20T14:08:23&tz=UTC",
	} {
		if got != want {
			t.Errorf("leads to %s, want %s", got, want)
		}
	}
}
