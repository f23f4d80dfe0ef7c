package entriestest

import (
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/handlers/question"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

func TestHoursAreReadInOneForm(t *testing.T) {
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"mon-fri/8-18": "mon-fri/08:00-18:00/Asia/Tokyo", "SAT/0-24": "sat/00:00-24:00/Asia/Tokyo", "fri-mon/22:30-23:05/Europe/Berlin": "fri-mon/22:30-23:05/Europe/Berlin",
		"sun-sun/8-9/UTC": "sun/08:00-09:00/UTC", "mon/08:00-8:30/Etc/GMT+5": "mon/08:00-08:30/Etc/GMT+5",
		"": "", "mon": "", "mon-fri": "", "8-18": "", "mon/": "", "mon/8": "", "mon/18-8": "", "mon/8-8": "", "mon/8-24:01": "", "mon/8:60-9": "", "monday/8-9": "",
		"mon/8-9/": "", "mon/8-9/Local": "", "mon/8-9/Nowhere": "", "mon/8-9/../etc": "", "mon-fri-sat/8-9": "", "mon/8-9-10": "", "mon/-8-9": "", "mon/+8-9": "",
	} {
		hours, ok := entries.ParseHours(text, tokyo)
		if ok != (want != "") || ok && hours.String() != want {
			t.Errorf("%q: %v, %t; want %q", text, hours, ok, want)
		}
		if again, ok := entries.ParseHours(want, time.UTC); want != "" && (!ok || again.String() != want) {
			t.Errorf("%q is not read again", want)
		}
	}
}

func TestHoursGoByTheClocksOfTheirZone(t *testing.T) {
	for text, moments := range map[string]map[string]bool{
		// Clocks in Berlin are an hour ahead until March 29, then two.
		"mon-fri/8-18/Europe/Berlin": {
			"2026-03-27T06:59:59Z": false, "2026-03-27T07:00:00Z": true, "2026-03-27T16:59:59Z": true, "2026-03-27T17:00:00Z": false,
			"2026-03-30T06:00:00Z": true, "2026-03-30T16:00:00Z": false, "2026-03-28T10:00:00Z": false, "2026-03-29T10:00:00Z": false,
		},
		"fri-mon/0-24/Asia/Tokyo": {"2026-11-26T15:00:00Z": true, "2026-11-26T14:59:59Z": false, "2026-11-30T14:59:59Z": true, "2026-11-30T15:00:00Z": false},
	} {
		hours, ok := entries.ParseHours(text, time.UTC)
		for moment, want := range moments {
			at, err := time.Parse(time.RFC3339, moment)
			if err != nil || !ok || hours.Contain(at) != want {
				t.Errorf("%s at %s: %t, %v", text, moment, !want, err)
			}
		}
	}
}

// A computer's own zone has no name: its clocks are meant where the question is asked, and nowhere else.
func TestHoursMayBeThoseOfThisComputer(t *testing.T) {
	was := time.Local
	t.Cleanup(func() { time.Local = was })
	time.Local = time.FixedZone("Local", 2*60*60)
	asked, problems := question.Parse("hours:mon-fri/8-18", question.Env{Zone: time.Local})
	if len(problems) > 0 || len(asked.Terms) != 1 {
		t.Fatalf("%+v, %v", asked, problems)
	}
	for moment, want := range map[string]bool{"2026-03-27T06:00:00Z": true, "2026-03-27T05:59:59Z": false, "2026-03-27T16:00:00Z": false} {
		at, err := time.Parse(time.RFC3339, moment)
		if err != nil || asked.Terms[0].Holds(&models.Entry{OccurredAt: models.MicrosOf(at)}) != want {
			t.Errorf("at %s: %t, %v", moment, !want, err)
		}
	}
	if _, ok := entries.ParseHours("mon/8-9/Local", time.UTC); ok {
		t.Error("another reader is asked what this computer's zone is")
	}
}
