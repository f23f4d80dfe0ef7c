package entriestest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/actors"
	"github.com/auditlogs/auditlogs/models/entries"
)

func TestASearchThatFindsManyResourcesInALogOfManyKinds(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := newStore(t, db)
		org := logtest.Organization(t, store.Store, "acme")
		var stored []models.Entry
		for i := range 450 {
			stored = append(stored, models.Entry{
				Action:   fmt.Sprintf("type%d:verb%d", i%30, i%120),
				EntityID: fmt.Sprintf("gateway-%03d", i),
				ActorID:  fmt.Sprintf("u%d", i%3),
			})
		}
		logtest.Insert(t, store.Store, org, stored...)
		for _, sort := range []entries.Sort{entries.SortTimestamp, entries.SortAction, entries.SortUser} {
			q := entries.Query{Search: "gateway", Actors: []string{"u0", "u1"}, Sort: sort, Limit: 1000}
			page, err := store.Page(t.Context(), org, q)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Entries) != 300 {
				t.Errorf("sorted by %s: %d entries, want 300", sort, len(page.Entries))
			}
		}
	})
}

func TestASearchOfMoreWordsThanAnybodyTypes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := newStore(t, db)
		org := logtest.Organization(t, store.Store, "acme")
		logtest.Insert(t, store.Store, org,
			models.Entry{Action: "service:update", EntityID: "gateway"},
			models.Entry{Action: "service:delete", EntityID: "gateway"},
			models.Entry{Action: "service:update", EntityID: "database"})
		for search, want := range map[string]int{
			strings.Repeat("gateway ", 70) + "update":            1, // the last word is found in the action only
			strings.Repeat("service ", 70) + "update":            2,
			strings.Repeat("service ", 70) + "gateway":           2,
			strings.Repeat("service ", 70) + "gateway elsewhere": 0,
		} {
			page, err := store.Page(t.Context(), org, entries.Query{Search: search, Limit: 10})
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Entries) != want {
				t.Errorf("%.20s… and so on finds %d entries, want %d", search, len(page.Entries), want)
			}
		}
	})
}

// Ten people of one name take all runs that the page may begin, and looking through them as many again: the search
// that then asks the entities may have none of them, but not fewer than none.
func TestASearchThatAsksTheEntitiesWithNoRunsLeft(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := newStore(t, db)
		org := logtest.Organization(t, store.Store, "acme")
		stored := []models.Entry{{EntityID: "gateway", ActorName: "Zoe"}}
		for i := range 200 {
			stored = append(stored, models.Entry{EntityID: "database", ActorID: fmt.Sprint("u", i%10), ActorName: "Ada"})
		}
		logtest.Insert(t, store.Store, org, stored...)
		seekAtOnce(store)
		store.Limits.Runs, store.Limits.Rows = 10, 100
		q := entries.Query{Search: "gateway", Sort: entries.SortUser, Ascending: true}
		for pages := 1; ; pages++ {
			page, err := store.Page(t.Context(), org, q)
			if err != nil {
				t.Fatal(err)
			}
			if len(page.Entries) == 1 && page.Entries[0].EntityID == "gateway" {
				break
			}
			if q.Cursor = page.Next; len(page.Entries) > 0 || page.Looked == nil || pages == 300 {
				t.Fatalf("page %d has %d entries, and looked up to %v", pages, len(page.Entries), page.Looked)
			}
		}
	})
}

// SQL folds the letters of ASCII only.
func TestNamesAreFoundByWhatTheirLettersFoldTo(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := newStore(t, db)
		org := logtest.Organization(t, store.Store, "acme")
		var stored []models.Entry
		letters := []rune("ßİŉſǰ\u037eẖẗẘẙẚẞ\u1fef\u212aﬀﬁﬂﬃﬄﬅﬆ")
		for i, letter := range letters {
			stored = append(stored, models.Entry{Action: "street:create", EntityID: fmt.Sprint("s-", i), EntityName: fmt.Sprintf("Am %cbcd%cefg%c %d", letter, letter, letter, i)})
		}
		logtest.Insert(t, store.Store, org, stored...)
		for i, letter := range letters {
			folded := models.Fold(string(letter))
			for _, search := range []string{folded + "bcd" + folded, "bcd" + folded + "efg" + folded, folded + "bcd"} {
				page, err := store.Page(t.Context(), org, entries.Query{Search: search, Limit: 50})
				if err != nil {
					t.Fatal(err)
				}
				if !slices.ContainsFunc(page.Entries, func(e models.Entry) bool { return e.EntityID == stored[i].EntityID }) {
					t.Errorf("%q does not find %q", search, stored[i].EntityName)
				}
			}
		}
	})
}

// SQLite reads no more than 400 streams with one statement.
func TestASearchOfMoreStreamsThanOneStatementReads(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := newStore(t, db)
		org := logtest.Organization(t, store.Store, "acme")
		var stored []models.Entry
		q := entries.Query{Search: "gateway", Actors: []string{"u0", "u1", "u2", "u3"}, Limit: 20}
		for i := range 900 {
			entry := models.Entry{Action: fmt.Sprint("service:verb", i*7%150), EntityID: fmt.Sprint("gateway-", i), ActorID: fmt.Sprint("u", i%4)}
			if i%3 == 0 {
				entry.EntityID = fmt.Sprint("database-", i)
			}
			stored = append(stored, entry)
		}
		for i := range 150 {
			q.Actions = append(q.Actions, fmt.Sprint("service:verb", i))
		}
		logtest.Insert(t, store.Store, org, stored...)
		for _, newestFirst := range []bool{true, false} {
			q.Ascending, q.Cursor = !newestFirst, nil
			var found []models.EntryID
			for {
				page, err := store.Page(t.Context(), org, q)
				if err != nil {
					t.Fatal(err)
				}
				for _, entry := range page.Entries {
					found = append(found, entry.ID)
				}
				if page.Next == nil {
					break
				}
				q.Cursor = page.Next
			}
			inOrder := func(a, b models.EntryID) int {
				if newestFirst {
					a, b = b, a
				}
				return a.Compare(b)
			}
			if len(found) != 600 || !slices.IsSortedFunc(found, inOrder) {
				t.Errorf("newest first %t: %d entries, in order: %t; want 600 in order", newestFirst, len(found), slices.IsSortedFunc(found, inOrder))
			}
		}
	})
}

// What nobody sees is left out of what is searched for and of what is searched, on every path a
// search may take.
func TestInvisibleCharactersAreNotSearched(t *testing.T) {
	paths := map[string]func(*entries.Log){
		"usual": func(*entries.Log) {}, "seek": seekAtOnce, "scan": scanInSteps,
	}
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		store := newStore(t, db)
		org := logtest.Organization(t, store.Store, "acme")
		hidden := logtest.Insert(t, store.Store, org,
			models.Entry{EntityID: "inv\u202efdp.exe"}, models.Entry{EntityID: "srv_1", EntityName: "pay\u200bments\u00ad api"},
			models.Entry{EntityID: "srv_2", EntityName: "cafe\u034f\u0301 nord"}, models.Entry{EntityID: "\u2066dep\u2069_9"})
		var others []models.Entry
		for i := range 40 {
			others = append(others, models.Entry{EntityID: fmt.Sprint("other-", i), EntityName: "Überall"})
		}
		logtest.Insert(t, store.Store, org, others...)
		for path, take := range paths {
			store := newStore(t, db)
			take(store)
			for search, want := range map[string]int{
				"invfdp": 0, "inv\u202efdp": 0, "in\u200bvf\U000e0041dp.ex\ufe0fe": 0, "payments": 1, "PAY\u202aMENTS api": 1,
				"café": 2, "cafe\u0301\u200d": 2, "dep": 3, "dep_9": 3, "\u2067de\u2069": 3, "in": 0,
			} {
				page, err := store.Page(t.Context(), org, entries.Query{Search: search, Limit: 5})
				if err != nil {
					t.Fatal(err)
				}
				if len(page.Entries) != 1 || page.Entries[0].ID != hidden[want].ID {
					t.Errorf("%s: %q finds %d entries, want %q only", path, search, len(page.Entries), hidden[want].EntityID)
				}
			}
			page, err := store.Page(t.Context(), org, entries.Query{Search: "\u200b\u202e", Limit: 100})
			if err != nil || len(page.Entries) != 44 {
				t.Errorf("%s: a search for nothing that can be seen finds %d entries, want all: %v", path, len(page.Entries), err)
			}
		}
		people := logtest.Insert(t, store.Store, org, models.Entry{ActorID: "usr_\u200b7", ActorName: "Grace\u202e Hopper", ActorEmail: "gra\u00adce@example.com"})
		for _, text := range []string{"grace hop", "usr_7", "grace@", "gr\u200cace"} {
			found, _, err := actors.Find(t.Context(), store.Store, org, text, 10)
			if err != nil || len(found) != 1 || found[0].ID != people[0].ActorID {
				t.Errorf("%q finds %v, %v", text, found, err)
			}
		}
	})
}
