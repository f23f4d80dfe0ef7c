package database

import (
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/models"
)

func TestAStandbyMayBeHalfAMinuteBehind(t *testing.T) {
	var late lateness
	start := time.Now()
	for second := range 100 {
		now := start.Add(time.Duration(second) * time.Second)
		late.note(now, models.Position(1000+second))
		want := models.Position(max(0, second-30))
		if want > 0 || second == 30 {
			want += 1000
		}
		if got := late.bound(now); got != want {
			t.Fatalf("after %d s the bound is %d, want %d", second, got, want)
		}
	}
	if n := len(late.notes); n > 32 {
		t.Errorf("%d notes are kept", n)
	}
	// The primary does not answer: where it was last is where a standby must get to.
	for range 2 {
		if got := late.bound(start.Add(time.Hour)); got != 1099 {
			t.Errorf("after an hour the bound is %d", got)
		}
	}
}
