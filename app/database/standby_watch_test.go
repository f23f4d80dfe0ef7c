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
