package database

import (
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/models"
)

func TestAStandbyMayBeHalfAMinuteBehind(t *testing.T) {
	var late lateness
	if got := late.bound(); got != 0 {
		t.Errorf("before the primary has answered the bound is %d", got)
	}
	start := time.Now()
	for second := range 100 {
		late.note(start.Add(time.Duration(second)*time.Second), models.Position(1000+second))
		if got, want := late.bound(), models.Position(1000+max(0, second-30)); got != want {
			t.Fatalf("after %d s the bound is %d, want %d", second, got, want)
		}
	}
	if n := len(late.notes); n > 31 {
		t.Errorf("%d notes are kept", n)
	}
	// The primary did not answer for an hour.
	late.note(start.Add(time.Hour), 5000)
	if got := late.bound(); got != 1099 {
		t.Errorf("after an hour the bound is %d", got)
	}
}

func TestHowFarAStandbyIsBehind(t *testing.T) {
	start := time.Now()
	var primary lateness
	before := &finding{reached: start}
	second := 0
	// look goes on a second, in which the primary writes 100 bytes, and finds the standby at a position; 0: it does
	// not answer.
	look := func(position models.Position, behind models.Position, late time.Duration) {
		t.Helper()
		primary.note(start.Add(time.Duration(second)*time.Second), models.Position(1000+100*second))
		found := &finding{position: position}
		if found.follow(&primary, before); found.behind != behind || found.late != late {
			t.Errorf("after %d s at %d it is %d bytes and %s behind, want %d and %s", second, position, found.behind, found.late, behind, late)
		}
		before = found
		second++
	}
	look(1000, 0, 0)
	look(1150, 0, 0) // it was asked a moment after the primary
	look(1150, 50, time.Second)
	look(1150, 150, 2*time.Second)
	look(0, 150, 3*time.Second)
	for second < 100 {
		look(1150, models.Position(100*second-150), time.Duration(second-1)*time.Second)
	}
	look(11000, 0, 0)
}
