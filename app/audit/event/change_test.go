package event_test

import (
	"encoding/json"
	"testing"

	"github.com/auditlogs/auditlogs/app/audit/event"
)

func TestAbsentIsNotNull(t *testing.T) {
	for want, change := range map[string]event.Change{
		`{"after":5,"before":2}`:       {Before: 2.0, After: 5.0},
		`{"after":5,"before":null}`:    {After: 5.0},
		`{"after":5}`:                  {Before: event.Absent{}, After: 5.0},
		`{"before":null}`:              {After: event.Absent{}},
		`{"after":null,"before":null}`: {},
		`{}`:                           {Before: event.Absent{}, After: event.Absent{}},
	} {
		encoded, err := json.Marshal(change)
		if err != nil || string(encoded) != want {
			t.Errorf("%#v became %s, %v; want %s", change, encoded, err, want)
		}
		var back event.Change
		if err := json.Unmarshal(encoded, &back); err != nil || back != change {
			t.Errorf("%s was read as %#v, %v", encoded, back, err)
		}
	}
}
