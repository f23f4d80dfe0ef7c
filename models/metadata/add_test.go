package metadata

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/models"
)

// Texts of many different letters take much memory while they are cut: they become several runs.
func TestManyGramsAreSeveralRuns(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var left []text
	for range 40 {
		letters := make([]rune, mostOfRun/longGram/16) // each begins a gram of its own, or nearly so
		for i := range letters {
			letters[i] = 0x4e00 + random.Int32N(20000)
		}
		left = append(left, text{models.NewEntryID(models.MicrosOf(time.Now())), `"` + string(letters) + `"`})
	}
	entries, runs := map[models.EntryID]int{}, 0
	for len(left) > 0 {
		var r newRun
		r, left = cut(1, left)
		runs++
		if r.FirstID != r.has[0].FirstID || r.LastID != r.has[len(r.has)-1].LastID || r.EndBlock != int64(len(r.has)) {
			t.Errorf("the run is said to be from %s to %s, of %d blocks", r.FirstID, r.LastID, r.EndBlock)
		}
		for _, b := range r.has {
			for _, id := range idsOf(b.IDs) {
				entries[id]++
			}
		}
	}
	if runs != 3 || len(entries) != 40 {
		t.Errorf("%d entries are in %d runs, want 40 in 3", len(entries), runs)
	}
	for id, n := range entries {
		if n != 1 {
			t.Errorf("%s is in %d blocks", id, n)
		}
	}
}
