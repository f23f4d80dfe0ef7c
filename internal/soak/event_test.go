//go:build unix

package soak

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
)

// eventOf is the event of a number: the same in every process and at every attempt. epoch is a time
// in the past that the processes of a load agree on.
//
// Events of even numbers have an ID, so they can be sent again where nobody knows what became of
// them; every third says itself when it occurred, and every fifth has parts. A few actors do it all, and
// every event has an entity of its own, which names its number.
func eventOf(organization string, number int, epoch time.Time) audit.Event {
	event := audit.Event{
		Organization: organization,
		Action:       "parcel:scan",
		EntityID:     fmt.Sprintf("parcel-%d", number),
		EntityName:   fmt.Sprintf("Parcel %d", number),
		Actor:        audit.Actor{ID: fmt.Sprintf("scanner-%d", number%7), Name: fmt.Sprintf("Scanner %d", number%7)},
		Metadata:     map[string]any{"note": strings.Repeat("x", number%500)},
	}
	if repeatable(number) {
		event.ID = fmt.Sprintf("scan-%d", number)
	}
	if number%3 == 0 {
		event.OccurredAt = timeOf(number, epoch)
	}
	if partsOf(number) > 0 {
		event.Actor.OnBehalfOf = &audit.Principal{ID: "sorter", Name: "Sorter"}
		event.Related = []audit.Resource{{Type: "pallet", ID: fmt.Sprintf("pallet-%d", number%100)}, {Type: "belt", ID: "belt-1"}}
	}
	return event
}

// timeOf is when the event of the number occurred, where it says so.
func timeOf(number int, epoch time.Time) time.Time {
	return epoch.Add(time.Duration(number) * time.Microsecond)
}

// partsOf is how many rows stand beside the entry of the event of the number.
func partsOf(number int) int {
	if number%5 == 0 {
		return 3
	}
	return 0
}

// repeatable reports whether the event of the number has an ID.
func repeatable(number int) bool { return number%2 == 0 }

// numberOf is the number of the event an entry was made of, or an error for what was never one.
func numberOf(entityID string) (int, error) {
	text, found := strings.CutPrefix(entityID, "parcel-")
	number, err := strconv.Atoi(text)
	if !found || err != nil {
		return 0, fmt.Errorf("entity %q is of no event", entityID)
	}
	return number, nil
}
