// Package audittest helps applications to test what they record. It is for tests only: a program
// that is not a test and has it linked in panics at start.
//
//	func TestDeletingAServiceIsRecorded(t *testing.T) {
//		…
//		audittest.RequireRecorded(t, db, audit.Event{
//			Action:   action.ServiceDelete,
//			EntityID: "svc-1",
//			Actor:    audit.Actor{ID: "u1"},
//		})
//	}
//
// Let tests record with a context of audit.Strict, so that a misspelt action, or a change whose event is not recorded in
// its transaction, fails them.
package audittest

import (
	"fmt"
	"testing"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event"
)

func init() {
	if !testing.Testing() {
		panic("package audittest is for tests, and this program is none")
	}
}

// RequireRecorded fails the test unless log holds an entry that says all that want says. What want
// leaves empty is not looked at; of its metadata, objects may say more than want does. What is
// masked in want is compared as it is stored, and OccurredAt to the microsecond. The failure tells
// what differs from the entry that comes closest.
//
// log is the caller's transaction (or its pool), or a Recorder.
func RequireRecorded[L Log](t testing.TB, log L, want audit.Event) {
	t.Helper()
	wanted := factsOf(t, want)
	held, err := read(t.Context(), log, want.ID)
	if err != nil {
		t.Fatalf("audittest: %v", err)
	}
	var closest []difference
	for i, entry := range held {
		differences := differencesOf("", wanted, entry)
		if len(differences) == 0 {
			return
		}
		if i == 0 || len(differences) < len(closest) {
			closest = differences
		}
	}
	t.Fatal(failure(want, len(held), closest))
}

// RequireNotRecorded fails the test if log holds an entry that says all that want says: see
// RequireRecorded. The zero Event is said by every entry.
func RequireNotRecorded[L Log](t testing.TB, log L, want audit.Event) {
	t.Helper()
	wanted := factsOf(t, want)
	held, err := read(t.Context(), log, want.ID)
	if err != nil {
		t.Fatalf("audittest: %v", err)
	}
	for _, entry := range held {
		if len(differencesOf("", wanted, entry)) == 0 {
			t.Fatalf("recorded, and should not be: %s", entry)
		}
	}
}

// RequireDeclared fails the test for every field of a struct, nested ones too, whose tag says
// neither audit:"track", audit:"ignore" nor audit:"secret" (see event.Undeclared): whoever adds a
// field has to decide whether the log may show it.
func RequireDeclared(t testing.TB, value any) {
	t.Helper()
	undeclared := event.Undeclared(value)
	for _, path := range undeclared {
		t.Errorf("%T: field %s is not declared: tag it audit:\"track\", audit:\"ignore\" or audit:\"secret\"", value, path)
	}
	if len(undeclared) > 0 {
		t.FailNow()
	}
}

func failure(want audit.Event, held int, closest []difference) string {
	text := fmt.Sprintf("not recorded: %s of %s", orAny(string(want.Action)), orAny(want.EntityID))
	if held == 0 {
		return text + "; the log is empty"
	}
	entries := fmt.Sprintf("the closest of %d entries", held)
	if held == 1 {
		entries = "the only entry"
	}
	text += "; " + entries + " differs in"
	for _, d := range closest {
		text += "\n\t" + d.String()
	}
	return text
}

func orAny(text string) string {
	if text == "" {
		return "anything"
	}
	return text
}
