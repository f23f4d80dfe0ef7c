//go:build unix

package soak

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/database"
	"github.com/auditlogs/auditlogs/models"
)

// ledger is what a test has sent, and what it was told of it.
type ledger struct {
	mutex        sync.Mutex
	events       map[int]fate
	groups       [][]int
	acknowledged int
	surprises    []error
}

// fate is what the sender knows of an event.
type fate struct {
	attempts     int
	acknowledged bool
	entryID      string // where the acknowledgement named it
	refused      bool   // the only attempt so far was answered with an error that says it is not stored
}

func newLedger() *ledger { return &ledger{events: map[int]fate{}} }

// send notes events that are about to be sent, or sent again.
func (l *ledger) send(numbers ...int) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, number := range numbers {
		was := l.events[number]
		was.attempts++
		was.refused = false
		l.events[number] = was
	}
}

// together notes that events are stored together or not at all.
func (l *ledger) together(numbers []int) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.groups = append(l.groups, numbers)
}

// acknowledge notes that the log has the event, under entryID where it said so.
func (l *ledger) acknowledge(number int, entryID string) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	was, sent := l.events[number]
	switch {
	case !sent:
		l.surprises = append(l.surprises, fmt.Errorf("event %d is acknowledged, and was never sent", number))
	case was.entryID != "" && entryID != "" && was.entryID != entryID:
		l.surprises = append(l.surprises, fmt.Errorf("event %d is acknowledged as entry %s, and before as %s", number, entryID, was.entryID))
	}
	if !was.acknowledged {
		l.acknowledged++
	}
	was.acknowledged, was.entryID = true, cmp.Or(entryID, was.entryID)
	l.events[number] = was
}

// refuse notes that an attempt was answered with an error that says it has stored nothing.
func (l *ledger) refuse(number int) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	was := l.events[number]
	was.refused = was.attempts == 1
	l.events[number] = was
}

// surprise notes what must not happen. The test fails for it when the ledger is checked.
func (l *ledger) surprise(err error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.surprises = append(l.surprises, err)
}

// open lists the events with an ID that nothing is known of, in order.
func (l *ledger) open() []int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	var numbers []int
	for number, fate := range l.events {
		if repeatable(number) && !fate.acknowledged {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// await returns when so many more events are acknowledged. It ends the test where the sender, or
// whom it depends on, ends first.
func (l *ledger) await(t *testing.T, more int, of ...*process) {
	t.Helper()
	count := func() int {
		l.mutex.Lock()
		defer l.mutex.Unlock()
		return l.acknowledged
	}
	end := time.Now().Add(patience)
	for wanted := count() + more; count() < wanted; time.Sleep(time.Millisecond) {
		for _, p := range of {
			p.mustRun(t)
		}
		if time.Now().After(end) {
			for _, p := range of {
				t.Logf("%s says:\n%s", p.name, p.stderr.String())
			}
			t.Fatalf("in %v not %d more events are acknowledged", patience, more)
		}
	}
}

// check compares the ledger with what is in the log.
func (l *ledger) check(t *testing.T, of target) {
	t.Helper()
	type entry struct {
		ID         models.EntryID
		EntityID   string
		ActorID    string
		OccurredAt models.Micros
		Parts      int
	}
	type ofMonth struct {
		Month int
		ID    string
	}
	var entries []entry
	entities, actors, parts := map[ofMonth]bool{}, map[ofMonth]bool{}, map[models.EntryID]int{}
	within(t, of.databaseURL, func(db *database.DB) error {
		org, err := models.OrganizationByRef(t.Context(), db.Write, models.OrganizationRef{Slug: of.organization})
		if err != nil {
			return err
		}
		if err := db.Read.Raw("SELECT id, entity_id, actor_id, occurred_at, parts FROM audit_entries WHERE org_id = ?", org.ID).Scan(&entries).Error; err != nil {
			return err
		}
		for question, into := range map[string]map[ofMonth]bool{
			"SELECT DISTINCT month, entity_id AS id FROM audit_entities WHERE entity_type = 'parcel' AND org_id = ?": entities,
			"SELECT DISTINCT month, actor_id AS id FROM audit_actors WHERE org_id = ?":                               actors,
		} {
			var rows []ofMonth
			if err := db.Read.Raw(question, org.ID).Scan(&rows).Error; err != nil {
				return err
			}
			for _, row := range rows {
				into[row] = true
			}
		}
		for _, table := range []string{"audit_related", "audit_on_behalf_of"} {
			var of []models.EntryID
			if err := db.Read.Raw("SELECT entry_id FROM "+table+" WHERE org_id = ?", org.ID).Scan(&of).Error; err != nil {
				return err
			}
			for _, id := range of {
				parts[id]++
			}
		}
		if db.Read.Name() != "sqlite" {
			return nil
		}
		var verdict string
		err = db.Read.Raw("PRAGMA integrity_check").Scan(&verdict).Error
		if verdict != "ok" {
			t.Errorf("the SQLite file is damaged: %s", verdict)
		}
		return err
	})

	l.mutex.Lock()
	defer l.mutex.Unlock()
	wrong := slices.Clone(l.surprises)
	fail := func(format string, values ...any) { wrong = append(wrong, fmt.Errorf(format, values...)) }
	stored := map[int]string{}
	unknown := 0
	for _, e := range entries {
		number, err := numberOf(e.EntityID)
		if err != nil {
			fail("entry %s: %v", e.ID, err)
			continue
		}
		fate, sent := l.events[number]
		switch _, twice := stored[number]; {
		case twice:
			fail("event %d is stored twice", number)
		case !sent:
			fail("event %d is stored, and was never sent", number)
		case fate.refused:
			fail("event %d is stored, and was answered with an error that says it is not", number)
		case !fate.acknowledged:
			unknown++
		}
		stored[number] = e.ID.String()
		if want := partsOf(number); e.Parts != want || parts[e.ID] != want {
			fail("event %d is stored with %d of %d parts, and says that it has %d", number, parts[e.ID], want, e.Parts)
		}
		delete(parts, e.ID)
		month := models.MonthOf(e.OccurredAt)
		if !entities[ofMonth{month, e.EntityID}] || !actors[ofMonth{month, e.ActorID}] {
			fail("search does not find event %d: its entity or its actor is missing", number)
		}
	}
	for id := range parts {
		fail("there are parts of the entry %s, which is not there", id)
	}
	for number, fate := range l.events {
		switch id, found := stored[number]; {
		case !fate.acknowledged:
		case !found:
			fail("event %d was acknowledged, and is not stored", number)
		case fate.entryID != "" && id != fate.entryID:
			fail("event %d is stored as entry %s, and was acknowledged as %s", number, id, fate.entryID)
		}
	}
	for _, group := range l.groups {
		count := 0
		for _, number := range group {
			if _, found := stored[number]; found {
				count++
			}
		}
		if count != 0 && count != len(group) {
			fail("of %d events of one request, such as event %d, %d are stored", len(group), group[0], count)
		}
	}
	const most = 10
	for _, err := range wrong[:min(most, len(wrong))] {
		t.Error(err)
	}
	if len(wrong) > most {
		t.Errorf("and %d more like that", len(wrong)-most)
	}
	if t.Failed() {
		return
	}
	t.Logf("%d events acknowledged, every one stored once; of %d others, whose sender never learned more, %d are stored",
		l.acknowledged, len(l.events)-l.acknowledged, unknown)
}
