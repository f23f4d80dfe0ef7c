package importer_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/app/importer"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

var errBrokenOff = errors.New("broken off")

// Any file of events with few times, imported in pieces, interrupted and repeated, is read in the order of the
// file.
func TestAHistoryKeepsItsOrder(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store, err := db.Store(nil)
		if err != nil {
			t.Fatal(err)
		}
		for seed := range uint64(12) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 0))
				slug := fmt.Sprint("acme-", seed)
				if _, err := audit.EnsureOrganization(t.Context(), db.Write, audit.Organization{Slug: slug}); err != nil {
					t.Fatal(err)
				}
				history := historyOfFewTimes(random, 1+random.IntN(300), 1+random.IntN(4))
				read := func(history io.Reader) error {
					_, err := importer.Run(t.Context(), store, history, importer.Config{Organization: slug, Report: io.Discard})
					return err
				}
				// In pieces, each begun up to three times, and some imported once more when later ones are there.
				for begin := 0; begin < len(history); {
					end := min(begin+1+random.IntN(100), len(history))
					piece := strings.Join(history[begin:end], "")
					for range random.IntN(3) {
						broken := io.MultiReader(strings.NewReader(piece[:random.IntN(len(piece))]), iotest.ErrReader(errBrokenOff))
						if err := read(broken); !errors.Is(err, errBrokenOff) {
							t.Fatal(err)
						}
					}
					for range 1 + random.IntN(2) {
						if err := read(strings.NewReader(piece)); err != nil {
							t.Fatal(err)
						}
					}
					begin = end
				}
				if got, want := inOrder(t, store, slug), byTime(history); !slices.Equal(got, want) {
					t.Errorf("%d entries, in this order: %v\nwant %d: %v", len(got), got, len(want), want)
				}
			})
		}
	})
}

// historyOfFewTimes returns lines, of which some have IDs.
func historyOfFewTimes(random *rand.Rand, lines, times int) (history []string) {
	began := time.Now().Add(-time.Duration(1+random.IntN(48)) * time.Hour).UTC().Truncate(time.Second)
	for n := range lines {
		id := ""
		if random.IntN(2) == 0 {
			id = fmt.Sprintf(`"id":"m-%d",`, n)
		}
		at := began.Add(time.Duration(random.IntN(times)) * time.Second).Format(time.RFC3339)
		history = append(history, fmt.Sprintf(`{"occurred_at":%q,%s"action":"service:update","entity_id":"%d","actor":{"id":"u1"}}`+"\n", at, id, n))
	}
	return history
}

// byTime returns the entities of lines in the order of their times and, of one time, that of the file.
func byTime(history []string) (entities []string) {
	sorted := slices.Clone(history)
	const time = len(`{"occurred_at":"2026-11-20T14:03:22Z"`)
	slices.SortStableFunc(sorted, func(a, b string) int { return strings.Compare(a[:time], b[:time]) })
	for _, line := range sorted {
		_, entity, _ := strings.Cut(line, `"entity_id":"`)
		entity, _, _ = strings.Cut(entity, `"`)
		entities = append(entities, entity)
	}
	return entities
}

// inOrder returns the entities of a log, oldest first.
func inOrder(t *testing.T, store *models.Store, slug string) (entities []string) {
	t.Helper()
	org := logtest.FindOrganization(t, store, slug)
	err := entries.NewLog(store).Each(t.Context(), org, entries.Query{Ascending: true}, func(some []models.Entry) error {
		for _, e := range some {
			entities = append(entities, e.EntityID)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return entities
}
