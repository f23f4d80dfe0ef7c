package modelstest

import (
	"strconv"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
)

func TestAVisitIsAnsweredByOneCopyAndThenByThePrimary(t *testing.T) {
	positions := []models.Position{100, 100, 100}
	at := func(copy int) (models.Position, bool) { return positions[copy], positions[copy] > 0 }
	used := map[int]int{}
	for i := range 300 {
		_, visit := models.WithVisit(t.Context(), strconv.Itoa(i), 50)
		chosen, ok := visit.Copy(3, at)
		used[chosen]++
		for range 3 {
			if again, still := visit.Copy(3, at); !ok || !still || again != chosen {
				t.Fatalf("copy %d, %v and then %d, %v", chosen, ok, again, still)
			}
		}
		_, next := models.WithVisit(t.Context(), strconv.Itoa(i), 0)
		if again, _ := next.Copy(3, at); again != chosen {
			t.Fatalf("the visitor's next visit is answered by another copy: %d, not %d", again, chosen)
		}
		// It fails, or another copy would be older: the primary has everything.
		positions[chosen] = 0
		if _, ok := visit.Copy(3, at); ok {
			t.Fatal("a copy that fails is asked, or another one in its place")
		}
		_, next = models.WithVisit(t.Context(), strconv.Itoa(i), 0)
		if other, ok := next.Copy(3, at); !ok || other == chosen {
			t.Fatalf("another visit is answered by %d, %v", other, ok)
		}
		positions[chosen] = 100
		if _, ok := visit.Copy(3, at); ok {
			t.Fatal("the visit goes back from the primary to a copy")
		}
	}
	for copy := range 3 {
		if used[copy] < 50 {
			t.Errorf("of 300 visitors copy %d has %d", copy, used[copy])
		}
	}
}

func TestAVisitSeesWhatTheVisitorChanged(t *testing.T) {
	at := func(int) (models.Position, bool) { return 100, true }
	for seen, want := range map[models.Position]bool{0: true, 100: true, 101: false} {
		_, visit := models.WithVisit(t.Context(), "ada", seen)
		if _, ok := visit.Copy(1, at); ok != want {
			t.Errorf("a copy at 100 answers who has seen %d: %v", seen, ok)
		}
	}

	store := logtest.Store(t, databasetest.SQLite(t))
	ctx, visit := models.WithVisit(t.Context(), "ada", 0)
	failing := store.Transaction(ctx, func(*gorm.DB) error { return models.ErrTaken })
	if _, ok := visit.Copy(1, at); !ok || failing == nil || visit.Wrote() {
		t.Error("what failed counts as a change")
	}
	if err := store.Transaction(ctx, func(*gorm.DB) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if _, ok := visit.Copy(1, at); ok || !visit.Wrote() {
		t.Error("a copy is asked after a change in the same visit")
	}
	if _, ok := models.VisitOf(models.AsBefore(ctx)).Copy(1, at); !ok {
		t.Error("as before the change, no copy is asked")
	}
	if visit.LeaveCopies() {
		t.Error("it leaves copies that it did not ask")
	}
}

func TestWithoutAVisitThePrimaryAnswers(t *testing.T) {
	visit := models.VisitOf(models.AsBefore(t.Context()))
	_, ok := visit.Copy(1, func(int) (models.Position, bool) { return 1, true })
	if ok || visit.LeaveCopies() || visit.Wrote() {
		t.Error("a copy answers")
	}
}
