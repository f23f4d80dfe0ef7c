package audittest

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
)

// facts are what an event or an entry says, named as in the API.
type facts map[string]any

func (f facts) String() string { return jsonText(map[string]any(f)) }

// factsOf is what want says; what it leaves empty is not in it.
func factsOf(t testing.TB, want audit.Event) facts {
	t.Helper()
	want.OccurredAt = want.OccurredAt.Truncate(time.Microsecond)
	said, err := decodeFacts(want)
	if err != nil {
		t.Fatalf("audittest: the event that is wanted: %v", err)
	}
	return said
}

func decodeFacts(event audit.Event) (facts, error) {
	encoded, err := json.Marshal(event)
	if err != nil {
		return nil, err
	}
	said := facts{}
	decoder := json.NewDecoder(strings.NewReader(string(encoded)))
	decoder.UseNumber()
	if err := decoder.Decode(&said); err != nil {
		return nil, err
	}
	withoutEmpty(said)
	return said, nil
}

// withoutEmpty leaves out what an event does not say. Metadata may say that something is empty.
func withoutEmpty(said map[string]any) {
	for name, value := range said {
		if inner, ok := value.(map[string]any); ok && name != "metadata" {
			withoutEmpty(inner)
			if len(inner) == 0 {
				delete(said, name)
			}
		}
		if value == "" {
			delete(said, name)
		}
	}
}

// difference is one fact that is wanted and not there.
type difference struct {
	path        string
	want, found any
	absent      bool
}

func (d difference) String() string {
	if d.absent {
		return fmt.Sprintf("%s: want %s, it has none", d.path, jsonText(d.want))
	}
	return fmt.Sprintf("%s: want %s, it has %s", d.path, jsonText(d.want), jsonText(d.found))
}

func jsonText(value any) string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Sprintf("%v", value)
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// differencesOf lists what wanted says and found does not, in order. Objects may say more.
func differencesOf(path string, wanted, found map[string]any) []difference {
	var all []difference
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		at := name
		if path != "" {
			at = path + "." + name
		}
		value, there := found[name]
		inner, isObject := wanted[name].(map[string]any)
		foundInner, bothObjects := value.(map[string]any)
		switch {
		case isObject && bothObjects:
			all = append(all, differencesOf(at, inner, foundInner)...)
		case !there:
			all = append(all, difference{path: at, want: wanted[name], absent: true})
		case !reflect.DeepEqual(wanted[name], value):
			all = append(all, difference{path: at, want: wanted[name], found: value})
		}
	}
	return all
}
