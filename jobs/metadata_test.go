package jobs

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/counts"
	"github.com/auditlogs/auditlogs/models/entries"
	"github.com/auditlogs/auditlogs/models/metadata"
)

// index hands the index of metadata what there is, by a follower that has just begun.
func (f *fixture) index(batch int) {
	f.t.Helper()
	follower := NewFollower(f.store, newLog(f), []Consumer{Metadata}, FollowerConfig{BatchSize: batch})
	for follower.round(f.t.Context()) {
	}
	if logged := f.log.String(); strings.Contains(logged, "level=ERROR") {
		f.t.Fatal(logged)
	}
}

// insertTexts inserts entries with metadata, a second apart, and answers the texts by entry.
func (f *fixture) insertTexts(org models.Organization, random *rand.Rand, age time.Duration, n int) map[models.EntryID]string {
	f.t.Helper()
	texts := map[models.EntryID]string{}
	stored := make([]models.Entry, n)
	for i := range stored {
		stored[i] = models.Entry{
			Metadata:   fmt.Sprintf(`{"a":["word-%x größe %d",{"b":%d}]}`, random.Uint32(), random.IntN(50), i),
			OccurredAt: models.MicrosOf(f.now.Add(-age + time.Duration(i)*time.Second)),
		}
	}
	for _, e := range logtest.Insert(f.t, f.store, org, stored...) {
		texts[e.ID] = e.Metadata
	}
	return texts
}

// checkFound asks for some of what there is, and for what there is not, and compares with the texts that are kept.
func (f *fixture) checkFound(when string, org models.Organization, random *rand.Rand, texts map[models.EntryID]string) {
	f.t.Helper()
	log := entries.NewLog(f.store)
	log.Limits.FirstLook, log.Limits.Worthwhile = 1, 0
	kept := models.FirstEntryID(org.KeptSince(f.store.Now()))
	for i, id := range sample(random, texts, 12) {
		word := strings.Fields(texts[id])[0][7:]
		if i%3 == 1 {
			word = word[3:9]
		}
		if i%4 == 3 {
			word = "GRÖßE 4"
		}
		if i == 0 {
			word = "nowhere"
		}
		var want, got []models.EntryID
		for id, text := range texts {
			if id.Compare(kept) >= 0 && strings.Contains(models.Fold(text), models.Fold(word)) {
				want = append(want, id)
			}
		}
		slices.SortFunc(want, models.EntryID.Compare)
		err := log.Each(f.t.Context(), org, entries.Query{Ascending: i%2 == 0, Terms: []entries.Term{{Field: entries.FieldMetadata, Values: []string{entries.Literal(word)}}}},
			func(found []models.Entry) error {
				for _, e := range found {
					got = append(got, e.ID)
				}
				return nil
			})
		if err != nil {
			f.t.Fatal(err)
		}
		slices.SortFunc(got, models.EntryID.Compare)
		if !slices.Equal(got, want) {
			f.t.Fatalf("%s: %q is found in %d entries, want %d", when, word, len(got), len(want))
		}
	}
}

func sample(random *rand.Rand, texts map[models.EntryID]string, n int) (ids []models.EntryID) {
	for id := range texts {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, models.EntryID.Compare)
	random.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids[:min(n, len(ids))]
}

func TestMetadataIsFound(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		random := rand.New(rand.NewPCG(5, 6))
		acme, globex := f.organization("acme"), f.organization("globex")
		texts := f.insertTexts(acme, random, 60*day, 2500)
		f.checkFound("before anything is indexed", acme, random, texts)
		f.index(70)
		f.checkFound("once all is indexed", acme, random, texts)
		if n := f.rows("audit_metadata_runs", acme); n == 0 || n > 40 {
			t.Errorf("%d runs are left of 36", n)
		}
		maps.Copy(texts, f.insertTexts(acme, random, 61*day, 300)) // late
		others := f.insertTexts(globex, random, 10*day, 40)
		f.checkFound("while the latest are not indexed", acme, random, texts)
		f.checkFound("of another organization", globex, random, others)
		f.index(30)
		f.checkFound("with some that wait for more", acme, random, texts)
		f.checkFound("of another organization, waiting", globex, random, others)
		if n := f.rows("audit_metadata_runs", globex); n != 0 {
			t.Errorf("40 entries make %d runs", n)
		}

		var merged int
		err := db.Read.Raw("SELECT COUNT(*) FROM audit_metadata_runs WHERE org_id = ? AND level > 0 AND state = 1", acme.ID).Scan(&merged).Error
		if err != nil || merged == 0 {
			t.Errorf("%d runs are merged of others, %v", merged, err)
		}
		for _, table := range []string{"blocks", "runs", "pages"} {
			if f.rows("audit_metadata_"+table, acme) == 0 {
				t.Fatalf("no %s", table)
			}
		}
		f.retain("acme", 60)
		f.now = f.now.Add(8 * 24 * time.Hour) // the grace, too
		f.mustRun()
		f.checkFound("once some have expired", f.reload("acme"), random, texts)
		f.now = f.now.AddDate(0, 0, 60)
		f.mustRun()
		for _, table := range []string{"blocks", "runs", "pages"} {
			if n := f.rows("audit_metadata_"+table, acme); n != 0 {
				t.Errorf("%d expired %s are left", n, table)
			}
		}
	})
}

// Where pg_restore has put a database nobody can follow its log until it is migrated. It is read all the same.
func TestAnotherServerAnswersBeforeItIsMigrated(t *testing.T) {
	f := newFixture(t, databasetest.Postgres(t))
	random := rand.New(rand.NewPCG(11, 12))
	acme := f.organization("acme")
	texts := f.insertTexts(acme, random, day, 200)
	f.index(1000)
	f.count()
	if err := f.db.Write.Exec("UPDATE audit_meta SET value = '1' WHERE key = 'cluster'").Error; err != nil {
		t.Fatal(err)
	}
	f.checkFound("elsewhere", acme, random, texts)
	if answer, err := counts.Of(t.Context(), entries.NewLog(f.store), acme, entries.Query{}); err != nil || answer.Count != 200 || !answer.All {
		t.Errorf("%d entries are counted, all: %v, %v", answer.Count, answer.All, err)
	}
}

// Two that delete a run at the same time leave no page of it, to which nothing would lead any more.
func TestRunsGoWithAllTheirPages(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		acme := f.organization("acme")
		f.insertTexts(acme, rand.New(rand.NewPCG(9, 10)), day, 3*64)
		f.index(1000)
		if n := f.rows("audit_metadata_pages", acme); n < 4 {
			t.Fatalf("%d pages", n)
		}
		if err := db.Write.Exec("UPDATE audit_metadata_runs SET state = 2").Error; err != nil {
			t.Fatal(err)
		}
		other := db.Write.Begin()
		err := other.Exec("DELETE FROM audit_metadata_pages WHERE key IN (SELECT key FROM audit_metadata_pages ORDER BY key LIMIT 2)").Error
		if err != nil {
			t.Fatal(err)
		}
		deleted := make(chan error)
		go func() {
			more, err := true, error(nil)
			for more && err == nil {
				more, err = metadata.Forget(t.Context(), f.store, acme.ID, 0, 2)
			}
			deleted <- err
		}()
		for waits := db.Write.Name() == "sqlite"; !waits; { // there the only writer is waited for
			err := db.Read.Raw("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'DELETE%')").Scan(&waits).Error
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(other.Commit().Error, <-deleted); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"runs", "pages"} {
			if n := f.rows("audit_metadata_"+table, acme); n != 0 {
				t.Errorf("%d %s are left", n, table)
			}
		}
	})
}

// Entries that wait may be long: they are taken as there is room for them in memory.
func TestLongMetadataIsIndexedInParts(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		acme := f.organization("acme")
		long := make([]models.Entry, 160)
		for i := range long {
			long[i] = models.Entry{Metadata: `{"a":"` + strings.Repeat("long ", 8<<10) + `"}`}
		}
		logtest.Insert(t, f.store, acme, long...)
		f.index(60)
		var waiting []byte
		if err := db.Read.Raw("SELECT waiting FROM audit_metadata_heads WHERE org_id = ?", acme.ID).Row().Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		var indexed int
		if err := db.Read.Raw("SELECT SUM(LENGTH(ids)) FROM audit_metadata_blocks WHERE org_id = ?", acme.ID).Row().Scan(&indexed); err != nil {
			t.Fatal(err)
		}
		if n := len(waiting) / len(models.EntryID{}); n == 0 || n > 100 || n+indexed/len(models.EntryID{}) != len(long) {
			t.Errorf("of %d entries, which are 6.4 MB, %d wait and %d are indexed", len(long), n, indexed/len(models.EntryID{}))
		}
	})
}

// What is left to merge at the end of its time is done later: the entries that are to be indexed do not wait for it.
func TestMergingEndsWithItsTime(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		acme := f.organization("acme")
		f.insertTexts(acme, rand.New(rand.NewPCG(9, 10)), day, 17*64)
		clock := f.now
		hurried, err := db.Store(func() time.Time {
			clock = clock.Add(time.Hour)
			return clock
		})
		if err != nil {
			t.Fatal(err)
		}
		logtest.Index(t, hurried, 64, 17*64)
		var begun, pages int
		err = db.Read.Raw(`SELECT COUNT(*), (SELECT COUNT(*) FROM audit_metadata_pages WHERE run IN (SELECT run FROM audit_metadata_runs WHERE state = 0))
FROM audit_metadata_runs WHERE state = 0`).Row().Scan(&begun, &pages)
		if err != nil || begun != 1 || pages != 0 {
			t.Errorf("%d runs are begun, and have %d pages, %v; want 1 without any", begun, pages, err)
		}
	})
}

// Letters of expired entries go a month after them, while others of their run are kept.
func TestExpiredMetadataIsForgotten(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		f := newFixture(t, db)
		random := rand.New(rand.NewPCG(7, 8))
		acme := f.organization("acme")
		f.retain("acme", 90)
		old := make([]models.Entry, 3*64)
		for i := range old {
			old[i] = models.Entry{Metadata: `{"a":"aqxyzb"}`, OccurredAt: models.MicrosOf(f.now.Add(-80*day + time.Duration(i)*time.Second))}
		}
		logtest.Insert(t, f.store, acme, old...)
		texts := f.insertTexts(acme, random, day, 3*64)
		f.index(1000)
		check := func(when string, blocks int64, letters bool) {
			t.Helper()
			f.mustRun()
			f.checkFound(when, f.reload("acme"), random, texts)
			var pages []struct{ Data []byte }
			if err := db.Read.Table("audit_metadata_pages").Find(&pages).Error; err != nil {
				t.Fatal(err)
			}
			there := slices.ContainsFunc(pages, func(p struct{ Data []byte }) bool { return bytes.Contains(p.Data, []byte("qxyz")) })
			if n := f.rows("audit_metadata_blocks", acme); n != blocks || there != letters || f.rows("audit_metadata_runs", acme) != 1 {
				t.Errorf("%s: %d blocks, want %d; letters: %v, want %v; %d runs", when, n, blocks, there, letters, f.rows("audit_metadata_runs", acme))
			}
		}
		check("while all is kept", 6, true)
		f.now = f.now.Add(20 * day)
		check("once some has expired", 3, true)
		f.now = f.now.Add(30 * day)
		check("a month later", 3, false)
	})
}
