package views

import (
	"testing"
	"time"
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
		got := ExactTimeOf(c.at, c.zone)
		if got.Here != c.here || got.UTC != c.utc {
			t.Errorf("%s in %v reads %q and %q, want %q and %q", c.at, c.zone, got.Here, got.UTC, c.here, c.utc)
		}
	}
}
