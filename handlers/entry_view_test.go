package handlers

import (
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/models"
)

func TestMomentsNameTheirZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	brasilia, err := time.LoadLocation("America/Sao_Paulo")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2025, 11, 20, 23, 3, 22, 0, time.UTC)
	for _, c := range []struct {
		at        time.Time
		zone      *time.Location
		here, utc string
	}{
		{at, time.UTC, "Thu, Nov 20, 2025, 23:03:22 UTC", ""},
		{at, nil, "Thu, Nov 20, 2025, 23:03:22 UTC", ""},
		{at, berlin, "Fri, Nov 21, 2025, 00:03:22 CET", "2025-11-20 23:03:22 UTC"},
		{at, brasilia, "Thu, Nov 20, 2025, 20:03:22 UTC-03", "2025-11-20 23:03:22 UTC"},
		{at.Add(120 * time.Millisecond), time.UTC, "Thu, Nov 20, 2025, 23:03:22.120 UTC", ""},
		{at.Add(123456 * time.Microsecond), berlin, "Fri, Nov 21, 2025, 00:03:22.123456 CET", "2025-11-20 23:03:22.123456 UTC"},
	} {
		got := viewMoment(c.at, c.zone)
		if got.Here != c.here || got.UTC != c.utc {
			t.Errorf("%s in %v reads %q and %q, want %q and %q", c.at, c.zone, got.Here, got.UTC, c.here, c.utc)
		}
	}
}

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
		if view := viewEntry("https://audit.example.com", models.Organization{Slug: "acme"}, entry, nil, time.UTC); view.Recorded != nil {
			got = view.Recorded.Difference
		}
		if got != want {
			t.Errorf("recorded %s after it happened reads %q, want %q", after, got, want)
		}
	}
}

func TestClientsInWords(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36":                   "Chrome 142 on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1": "Safari 17 on iPhone (iOS)",
		"Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0":                                                                  "Firefox 133 on Linux",
		"curl/8.5.0":         "curl 8.5.0",
		"Go-http-client/1.1": "Go-http-client 1.1",
		"":                   "",
	} {
		if got := clientInWords(agent); got != want {
			t.Errorf("%q reads %q, want %q", agent, got, want)
		}
	}
}

func TestPathsFromAnEntryEscapeWhatTheyCarry(t *testing.T) {
	entry := models.Entry{
		OccurredAt: models.MicrosOf(time.Date(2025, 11, 20, 14, 3, 22, 500_000_000, time.UTC)),
		EntityType: "service", EntityID: "a/b?c=d&e#f", ActorID: "usr 1&x",
	}
	view := viewEntry("https://audit.example.com", models.Organization{Slug: "acme"}, entry, nil, time.UTC)
	for got, want := range map[string]string{
		view.Link:        "https://audit.example.com" + view.Path,
		view.HistoryPath: "/orgs/acme/resources/service?id=a%2Fb%3Fc%3Dd%26e%23f",
		view.ActorPath:   "/orgs/acme/settings/audit-logs?actor=usr+1%26x",
		view.AroundPath:  "/orgs/acme/settings/audit-logs?from=2025-11-20T13:58:22&to=2025-11-20T14:08:23&tz=UTC",
	} {
		if got != want {
			t.Errorf("leads to %s, want %s", got, want)
		}
	}
}
