// Package followingtest tests how the log is followed, on both databases.
package followingtest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/migrate"
	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/internal/benchdata"
	"github.com/auditlogs/auditlogs/internal/databasetest"
	"github.com/auditlogs/auditlogs/internal/logtest"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/following"
)

// fixture is a log with two organizations that is followed.
type fixture struct {
	t     *testing.T
	db    *database.DB
	store *models.Store
	log   *following.Log
	orgs  []models.Organization
	place following.Place
	n     int
}

func each(t *testing.T, test func(f *fixture)) {
	t.Helper()
	databasetest.Each(t, func(t *testing.T, db *database.DB) { test(newFixture(t, db)) })
}

func onPostgres(t *testing.T) *fixture {
	t.Helper()
	return newFixture(t, databasetest.Postgres(t))
}

func newFixture(t *testing.T, db *database.DB) *fixture {
	t.Helper()
	f := &fixture{t: t, db: db, store: logtest.Store(t, db)}
	f.log = following.New(f.store)
	f.orgs = []models.Organization{logtest.Organization(t, f.store, "acme"), logtest.Organization(t, f.store, "beta")}
	return f
}

// record stores n entries of all organizations in tx, and returns their IDs.
func (f *fixture) record(tx *gorm.DB, n int) (ids []string) {
	f.t.Helper()
	for range n {
		f.n++
		at := models.MicrosOf(logtest.Now) - models.Micros(f.n%7)*1_000_000
		e := models.Entry{ID: models.NewEntryID(at), OccurredAt: at, RecordedAt: models.MicrosOf(logtest.Now), Action: "service:update",
			EntityType: "service", EntityID: fmt.Sprint("svc-", f.n%50), ActorID: "u1", ActorName: "Ada", ActorKey: "ada"}
		org := f.orgs[f.n%len(f.orgs)]
		result, err := models.InsertEntry(f.t.Context(), models.HandleOf(tx), models.NewEntry{Organization: models.OrganizationRef{Slug: org.Slug}, Entry: e})
		if err != nil || result.Outcome != models.Inserted {
			f.t.Fatalf("outcome %d: %v", result.Outcome, err)
		}
		ids = append(ids, e.ID.String())
	}
	return ids
}

// recordOne is a transaction with n entries.
func (f *fixture) recordOne(n int) (ids []string) {
	f.t.Helper()
	tx := f.begin()
	ids = f.record(tx, n)
	f.end(tx.Commit())
	return ids
}

func (f *fixture) begin() *gorm.DB {
	f.t.Helper()
	tx := f.store.Writer(f.t.Context()).Begin()
	f.end(tx)
	return tx
}

func (f *fixture) end(tx *gorm.DB) {
	f.t.Helper()
	if tx.Error != nil {
		f.t.Fatal(tx.Error)
	}
}

func (f *fixture) exec(sql string, args ...any) {
	f.t.Helper()
	f.end(f.db.Write.WithContext(f.t.Context()).Exec(sql, args...))
}

// read reads all that follows the fixture's place, some at a time.
func (f *fixture) read(limit int) (ids []string) {
	f.t.Helper()
	for {
		batch, err := f.log.Read(f.t.Context(), f.place, following.Needs{}, limit)
		if err != nil {
			f.t.Fatal(err)
		}
		if len(batch.Entries) > limit {
			f.t.Fatalf("%d entries where up to %d were asked for", len(batch.Entries), limit)
		}
		f.checkUnread(append(ids[:len(ids):len(ids)], idsOf(batch.Entries)...), batch)
		for _, e := range batch.Entries {
			ids = append(ids, e.ID.String())
		}
		f.place = batch.Next
		if !batch.More {
			return ids
		}
	}
}

func idsOf(entries []models.Entry) (ids []string) {
	for _, e := range entries {
		ids = append(ids, e.ID.String())
	}
	return ids
}

// checkUnread checks that the condition of what is unread leaves out what has been read by now.
func (f *fixture) checkUnread(read []string, batch following.Batch) {
	f.t.Helper()
	unread := f.unread(batch.Next)
	for _, id := range read {
		if slices.Contains(unread, id) {
			f.t.Fatalf("%s has been read and is said not to be at %q", id, batch.Next)
		}
	}
	if !batch.More && len(unread) > 0 {
		f.t.Fatalf("%q are unread, and there is no more to read", unread)
	}
}

func (f *fixture) unread(place following.Place) (ids []string) {
	f.t.Helper()
	condition, args, err := f.log.Unread(place)
	if err != nil {
		f.t.Fatal(err)
	}
	var found []models.EntryID
	if err := f.store.Reader(f.t.Context()).Raw("SELECT id FROM audit_entries WHERE "+condition, args...).Scan(&found).Error; err != nil {
		f.t.Fatal(err)
	}
	for _, id := range found {
		ids = append(ids, id.String())
	}
	return ids
}

// want checks that what was read is what was recorded, each once.
func (f *fixture) want(read []string, recorded ...[]string) {
	f.t.Helper()
	want := slices.Sorted(slices.Values(slices.Concat(recorded...)))
	got := slices.Sorted(slices.Values(read))
	if !slices.Equal(got, want) {
		missing := slices.DeleteFunc(slices.Clone(want), func(id string) bool { return slices.Contains(got, id) })
		beyond := slices.DeleteFunc(slices.Clone(got), func(id string) bool { return slices.Contains(want, id) })
		f.t.Errorf("read %d entries, %d of them different, where %d were recorded; missing %d, beyond %d", len(got),
			len(slices.Compact(slices.Clone(got))), len(want), len(missing), len(beyond))
	}
}

func TestWhatIsCommittedIsReadOnce(t *testing.T) {
	each(t, func(f *fixture) {
		if read := f.read(10); len(read) > 0 {
			f.t.Errorf("an empty log holds %q", read)
		}
		first := f.recordOne(25)
		f.want(f.read(10), first)
		f.want(f.read(10))

		tx := f.begin()
		f.record(tx, 3)
		f.end(tx.Rollback())
		f.want(f.read(10))

		second := f.recordOne(1)
		if lasting, err := f.log.Now(f.t.Context()); err != nil || len(f.unread(lasting)) > 0 {
			f.t.Errorf("behind all entries there is %q: %v", f.unread(lasting), err)
		}
		f.want(f.read(1), second)
		f.place = ""
		f.want(f.read(1000), first, second)
	})
}

func TestEntriesAreReadAsTheyWereRecorded(t *testing.T) {
	each(t, func(f *fixture) {
		kinds := logtest.Kinds()
		for _, e := range kinds {
			e.ActorKey = models.Fold(e.ActorName)
			result, err := models.InsertEntry(f.t.Context(), models.HandleOf(f.store.Writer(f.t.Context())), models.NewEntry{Organization: models.OrganizationRef{Slug: "acme"}, Entry: e})
			if err != nil || result.Outcome != models.Inserted {
				f.t.Fatalf("outcome %d: %v", result.Outcome, err)
			}
		}
		for _, needs := range []following.Needs{{}, {Row: true}, {Row: true, Metadata: true, Parts: true}, {Metadata: true}} {
			batch, err := f.log.Read(f.t.Context(), "", needs, 1000)
			if err != nil {
				f.t.Fatal(err)
			}
			read := map[models.EntryID]models.Entry{}
			for _, e := range batch.Entries {
				read[e.ID] = e
			}
			for name, want := range kinds {
				want.OrgID, want.ActorKey, want.Parts = f.orgs[0].ID, models.Fold(want.ActorName), len(want.Related)
				if want.OnBehalfOf != nil {
					want.Parts++
				}
				if !needs.Row {
					want = models.Entry{
						OrgID: want.OrgID, ID: want.ID, OccurredAt: want.OccurredAt, RecordedAt: want.RecordedAt, Action: want.Action, ActorID: want.ActorID,
						Outcome: want.Outcome, Parts: want.Parts, Metadata: want.Metadata, Related: want.Related, OnBehalfOf: want.OnBehalfOf,
					}
				}
				if !needs.Metadata {
					want.Metadata = ""
				}
				if !needs.Parts {
					want.Related, want.OnBehalfOf = nil, nil
				}
				if got := read[want.ID]; !reflect.DeepEqual(got, want) {
					f.t.Errorf("%s, %+v: read as\n%+v\nwant\n%+v", name, needs, got, want)
				}
			}
		}
	})
}

// Entries of one microsecond may have one ID in two organizations.
func TestEqualIDsOfTwoOrganizationsAreTwoEntries(t *testing.T) {
	each(t, func(f *fixture) {
		at := models.MicrosOf(logtest.Now)
		var ids []string
		tx := f.begin()
		for i := range 5 {
			id := models.DerivedEntryID(at, uint32(i), "message")
			for _, org := range f.orgs {
				e := models.Entry{ID: id, OccurredAt: at, RecordedAt: at, Action: "service:update", EntityType: "service", EntityID: "svc-1", ActorID: "u1", ActorName: "Ada"}
				if _, err := models.InsertEntry(f.t.Context(), models.HandleOf(tx), models.NewEntry{Organization: models.OrganizationRef{Slug: org.Slug}, Entry: e}); err != nil {
					f.t.Fatal(err)
				}
				ids = append(ids, id.String())
			}
		}
		f.end(tx.Commit())
		for _, limit := range []int{1, 2, 3} {
			f.place = ""
			var read []string
			for range 20 {
				batch, err := f.log.Read(f.t.Context(), f.place, following.Needs{}, limit)
				if err != nil {
					f.t.Fatal(err)
				}
				read, f.place = append(read, idsOf(batch.Entries)...), batch.Next
			}
			f.want(read, ids)
		}
	})
}

func TestATransactionThatEndsLateIsNotPassedOver(t *testing.T) {
	f := onPostgres(t)
	begun := f.recordOne(2)
	late, later := f.begin(), f.begin()
	ofLate, ofLater := f.record(late, 20), f.record(later, 20)
	between := f.recordOne(5)
	f.want(f.read(3), begun, between)

	f.end(late.Commit())
	after := f.recordOne(5)
	batch, err := f.log.Read(t.Context(), f.place, following.Needs{}, 7) // not to the end of late
	if err != nil || len(batch.Entries) != 7 || !batch.More {
		t.Fatalf("read %d, more %t: %v", len(batch.Entries), batch.More, err)
	}
	f.place = batch.Next
	f.end(later.Commit()) // between two steps of a snapshot in which it was under way
	last := f.recordOne(1)
	f.want(append(idsOf(batch.Entries), f.read(7)...), ofLate, ofLater, after, last)

	rolledBack := f.begin()
	f.record(rolledBack, 1)
	f.want(f.read(10))
	f.end(rolledBack.Rollback())
	f.want(f.read(10))
}

// A savepoint has a number of its own; its entries are those of the transaction.
func TestSubtransactionsAreOfTheirTransaction(t *testing.T) {
	f := onPostgres(t)
	tx := f.begin()
	kept := f.record(tx, 1)
	f.end(tx.SavePoint("a"))
	kept = append(kept, f.record(tx, 2)...)
	f.end(tx.SavePoint("b"))
	f.record(tx, 2)
	f.end(tx.RollbackTo("b"))
	f.want(f.read(1))
	f.end(tx.Commit())
	f.want(f.read(1), kept)
}

// What was recorded by versions that noted no transaction comes first.
func TestEntriesWithoutATransactionAreRead(t *testing.T) {
	f := onPostgres(t)
	old := f.recordOne(30)
	f.exec("ALTER TABLE audit_entries DISABLE TRIGGER audit_entries_never_change")
	f.exec("UPDATE audit_entries SET xact = 0")
	f.exec("ALTER TABLE audit_entries ENABLE TRIGGER audit_entries_never_change")
	batch, err := f.log.Read(t.Context(), f.place, following.Needs{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	f.place = batch.Next
	added := f.recordOne(5)
	f.want(append(idsOf(batch.Entries), f.read(7)...), old, added)
}

// A prepared transaction is under way until it is committed.
func TestAPreparedTransactionIsNotPassedOver(t *testing.T) {
	f := newFixture(t, databasetest.Open(t, databasetest.StartServer(t, "max_prepared_transactions = 5").Database(t)))
	tx := f.begin()
	prepared := f.record(tx, 3)
	f.end(tx.Exec("PREPARE TRANSACTION 'late'"))
	tx.Rollback()
	other := f.recordOne(2)
	f.want(f.read(1), other)
	f.exec("COMMIT PREPARED 'late'")
	f.want(f.read(1), prepared)
}

// elsewhere makes the database one whose tables have come from another cluster with higher numbers, by n.
func (f *fixture) elsewhere(n int64) {
	f.t.Helper()
	f.exec("ALTER TABLE audit_entries DISABLE TRIGGER audit_entries_never_change")
	f.exec("UPDATE audit_entries SET xact = xact + ?", n)
	f.exec("ALTER TABLE audit_entries ENABLE TRIGGER audit_entries_never_change")
	f.exec("UPDATE audit_meta SET value = value || '0' WHERE key = 'cluster'")
}

func TestInAnotherClusterTheNumbersGoOn(t *testing.T) {
	f := onPostgres(t)
	read := f.recordOne(10)
	open := f.begin()
	late := f.record(open, 10)
	f.recordOne(1)
	place, err := f.log.Join(t.Context(), "reader", "")
	if err != nil {
		t.Fatal(err)
	}
	f.place = place
	f.read(5)
	f.end(open.Commit())
	f.recordOne(20)
	batch, err := f.log.Read(t.Context(), f.place, following.Needs{}, 4) // of 10 and 20
	if err != nil {
		t.Fatal(err)
	}

	// As a dump of a cluster with numbers a million higher.
	const higher = 1_000_000
	moved := liftPlace(t, batch.Next, higher)
	if moved, err := following.Advance(f.db.Write, "reader", "", moved); err != nil || !moved {
		t.Fatalf("%t, %v", moved, err)
	}
	f.elsewhere(higher)
	left := f.unread(moved)
	if len(left) != 26 {
		t.Fatalf("%d are left", len(left))
	}
	if _, err := f.log.Read(t.Context(), moved, following.Needs{}, 1); !errors.Is(err, following.ErrElsewhere) {
		t.Fatalf("before the migration: %v", err)
	}
	for range 2 {
		if err := migrate.Up(t.Context(), f.db.Write); err != nil {
			t.Fatal(err)
		}
	}
	f.place = moved
	begun := f.begin()
	ofBegun := f.record(begun, 3)
	recorded := f.recordOne(3)
	f.want(f.read(4), left, recorded)
	f.end(begun.Commit())
	f.want(f.read(4), ofBegun)
	f.place = ""
	if all := f.read(7); len(all) != 10+10+1+20+3+3 {
		t.Errorf("from the beginning there are %d", len(all))
	}
	_, _ = read, late

	// Parts are stored with their entry, whatever is added to the number of the transaction.
	e := logtest.Kinds()["all fields"]
	e.ActorKey = models.Fold(e.ActorName)
	result, err := models.InsertEntry(t.Context(), models.HandleOf(f.store.Writer(f.t.Context())), models.NewEntry{Organization: models.OrganizationRef{Slug: "acme"}, Entry: e})
	if err != nil || result.Outcome != models.Inserted {
		t.Errorf("outcome %d: %v", result.Outcome, err)
	}
}

// liftPlace is a place in a cluster whose numbers are n higher.
func liftPlace(t *testing.T, place following.Place, n int64) following.Place {
	t.Helper()
	words := strings.Split(string(place), " ")
	if len(words) != 5 {
		t.Fatalf("%q is between no two snapshots", place)
	}
	lift := func(text, separator string) string {
		var lifted []string
		for number := range strings.SplitSeq(text, separator) {
			var xact int64
			if number != "" {
				if _, err := fmt.Sscan(number, &xact); err != nil {
					t.Fatal(err)
				}
				number = fmt.Sprint(xact + n)
			}
			lifted = append(lifted, number)
		}
		return strings.Join(lifted, separator)
	}
	for i := range 2 {
		spans := strings.Split(words[i], ";")
		for n, span := range spans {
			parts := strings.Split(span, ":")
			spans[n] = parts[0] + ":" + lift(parts[1], "x") + ":" + lift(parts[2], ",")
		}
		words[i] = strings.Join(spans, ";")
	}
	words[2] = lift(words[2], "x")
	return following.Place(strings.Join(words, " "))
}

// Where the last rows are deleted, SQLite gives their rowids again.
func TestDeletionsLeaveThePlaceOfAConsumer(t *testing.T) {
	f := newFixture(t, databasetest.SQLite(t))
	place, err := f.log.Join(t.Context(), "reader", "")
	if err != nil {
		t.Fatal(err)
	}
	f.place = place
	move := func(ids []string) []string {
		t.Helper()
		if moved, err := following.Advance(f.db.Write, "reader", place, f.place); err != nil || !moved {
			t.Fatalf("%t, %v", moved, err)
		}
		return ids
	}
	again := func() {
		t.Helper()
		if place, _, err = following.PlaceOf(f.db.Write, "reader"); err != nil {
			t.Fatal(err)
		}
		f.place = place
	}
	first := f.recordOne(10)
	f.want(move(f.read(3)), first)
	for range 3 { // the one that was read last, and others before it
		again()
		f.exec("DELETE FROM audit_entries WHERE rowid > (SELECT MAX(rowid) - 3 FROM audit_entries)")
		if _, err := f.log.Read(t.Context(), f.place, following.Needs{}, 1); !errors.Is(err, following.ErrPlaceGone) {
			t.Errorf("of a place that is gone it reads with %v", err)
		}
		again()
		added := f.recordOne(2)
		f.want(move(f.read(3)), added)
	}
	again()
	unread := f.recordOne(4)
	f.exec("DELETE FROM audit_entries WHERE rowid > (SELECT MAX(rowid) - 2 FROM audit_entries)")
	added := f.recordOne(3)
	f.want(move(f.read(3)), unread[:2], added)
	again()
	f.exec("DELETE FROM audit_entries")
	again()
	added = f.recordOne(3)
	f.want(move(f.read(2)), added)
	again()
	f.exec("VACUUM")
	f.want(f.read(1))
	f.want(f.recordOne(2), f.read(1))
}

// Reading costs what there is to read, however long the log.
func TestReadingTouchesWhatIsNew(t *testing.T) {
	each(t, func(f *fixture) {
		isPostgres := f.store.Dialect() == "postgres"
		f.recordOne(3000)
		var open *gorm.DB
		var late []string
		if isPostgres {
			open = f.begin()
			late = f.record(open, 1)
		}
		for range 20 {
			f.recordOne(1)
		}
		f.read(100_000)
		if isPostgres {
			f.end(open.Commit())
			f.exec("ANALYZE audit_entries")
		}
		added := f.recordOne(5)
		statements, err := benchdata.KeepStatements(f.db.Read)
		if err != nil {
			f.t.Fatal(err)
		}
		before := f.place
		f.want(f.read(100_000), late, added)
		for _, limit := range []int{10, 1} { // between two snapshots, too
			batch, err := f.log.Read(f.t.Context(), before, following.Needs{}, limit)
			if err != nil {
				f.t.Fatal(err)
			}
			before = batch.Next
		}
		read := 0
		for _, s := range statements.Take() {
			if !strings.Contains(s.SQL, "FROM audit_entries") || !strings.Contains(s.SQL, "LIMIT") {
				continue
			}
			read++
			if !isPostgres {
				if steps, err := benchdata.ExplainSQLite(f.t.Context(), f.db.Read, s); err != nil || len(steps) < 1 || steps[0] != "SEARCH audit_entries USING INTEGER PRIMARY KEY (rowid>?)" {
					f.t.Errorf("%s is answered by %q, %v", s.SQL, steps, err)
				}
				continue
			}
			plan, err := benchdata.ExplainPostgres(f.t.Context(), f.db.Read, s)
			if err != nil {
				f.t.Fatal(err)
			}
			if plan.Rows > 20 || plan.Buffers > 40 || len(plan.Scanned) > 0 {
				f.t.Errorf("reads %d rows and %d buffers: %s", plan.Rows, plan.Buffers, plan.Text)
			}
		}
		if read == 0 {
			f.t.Error("no statement was looked at")
		}
	})
}

// Reading a long backlog in steps costs as much each.
func TestAStepOfABacklogTouchesItsEntriesOnly(t *testing.T) {
	f := onPostgres(t)
	f.recordOne(3000)
	f.recordOne(2000)
	f.exec("ANALYZE audit_entries")
	statements, err := benchdata.KeepStatements(f.db.Read)
	if err != nil {
		t.Fatal(err)
	}
	const limit = 100
	for {
		batch, err := f.log.Read(t.Context(), f.place, following.Needs{}, limit)
		if err != nil {
			t.Fatal(err)
		}
		if f.place = batch.Next; !batch.More {
			break
		}
	}
	read := 0
	for _, s := range statements.Take() {
		if !strings.Contains(s.SQL, "FROM audit_entries") || !strings.Contains(s.SQL, "LIMIT") {
			continue
		}
		plan, err := benchdata.ExplainPostgres(t.Context(), f.db.Read, s)
		if err != nil {
			t.Fatal(err)
		}
		if read++; plan.Rows > 2*limit || len(plan.Scanned) > 0 {
			t.Fatalf("step %d reads %d rows: %s", read, plan.Rows, plan.Text)
		}
	}
	if read < 50 {
		t.Errorf("%d steps", read)
	}
}
