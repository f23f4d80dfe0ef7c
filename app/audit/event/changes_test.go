package event_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

type plan string

type limits struct {
	CPU    float64 `json:"cpu"`
	Memory int     `json:"memory"`
}

type variable struct {
	Name  string `json:"name"`
	Value string `json:"value" audit:"secret"`
	Seen  int    `json:"seen" audit:"ignore"`
}

type stamps struct {
	UpdatedAt time.Time `json:"updated_at"`
	Version   int       `json:"version"`
}

type service struct {
	Name     string            `json:"name" audit:"track"`
	Plan     plan              `json:"plan"`
	Replicas int               `json:"replicas,omitempty"`
	Limits   limits            `json:"limits"`
	Backup   *limits           `json:"backup"`
	Labels   map[string]string `json:"labels,omitempty"`
	Hosts    []string          `json:"hosts"`
	Started  time.Time         `json:"started"`
	Balance  big.Int           `json:"balance"`
	DSN      *string           `json:"dsn" audit:"secret"`
	Env      []variable        `json:"env,omitempty"`
	Cache    func()            `json:"-"`
	Big      int64             `json:",string"`
	stamps   `audit:"ignore"`
	hidden   int
}

func TestChangesTellsEachFieldThatDiffers(t *testing.T) {
	dsn, other := "postgres://hunter2", "postgres://hunter3"
	noon := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	base := service{Name: "api", Plan: "free", Limits: limits{1, 512}, Hosts: []string{"a"}, Started: noon, DSN: &dsn,
		Labels: map[string]string{"team": "core"}, Env: []variable{{"PORT", "80", 1}}}
	for name, tc := range map[string]struct {
		change func(*service)
		want   map[string]event.Change
	}{
		"nothing":              {func(*service) {}, map[string]event.Change{}},
		"a text":               {func(s *service) { s.Name = "web" }, map[string]event.Change{"name": {Before: "api", After: "web"}}},
		"a type of its own":    {func(s *service) { s.Plan = "pro" }, map[string]event.Change{"plan": {Before: plan("free"), After: plan("pro")}}},
		"from empty":           {func(s *service) { s.Replicas = 3 }, map[string]event.Change{"replicas": {Before: event.Absent{}, After: 3}}},
		"a nested field":       {func(s *service) { s.Limits.Memory = 1024 }, map[string]event.Change{"limits.memory": {Before: 512, After: 1024}}},
		"from null":            {func(s *service) { s.Backup = &limits{2, 256} }, map[string]event.Change{"backup": {Before: nil, After: map[string]any{"cpu": 2.0, "memory": 256}}}},
		"a list":               {func(s *service) { s.Hosts = []string{"a", "b"} }, map[string]event.Change{"hosts": {Before: []any{"a"}, After: []any{"a", "b"}}}},
		"a key more":           {func(s *service) { s.Labels = map[string]string{"team": "core", "x": ""} }, map[string]event.Change{"labels.x": {Before: event.Absent{}, After: ""}}},
		"all keys less":        {func(s *service) { s.Labels = nil }, map[string]event.Change{"labels.team": {Before: "core", After: event.Absent{}}}},
		"a key with a dot":     {func(s *service) { s.Labels = map[string]string{"team": "core", "a.b": "c"} }, map[string]event.Change{`labels."a.b"`: {Before: event.Absent{}, After: "c"}}},
		"the same instant":     {func(s *service) { s.Started = noon.In(time.FixedZone("", 3600)) }, map[string]event.Change{}},
		"another instant":      {func(s *service) { s.Started = noon.Add(time.Second) }, map[string]event.Change{"started": {Before: "2026-11-20T12:00:00Z", After: "2026-11-20T12:00:01Z"}}},
		"a marshaler":          {func(s *service) { s.Balance = *big.NewInt(7) }, map[string]event.Change{"balance": {Before: json.Number("0"), After: json.Number("7")}}},
		"a number as text":     {func(s *service) { s.Big = 5 }, map[string]event.Change{"Big": {Before: "0", After: "5"}}},
		"a secret":             {func(s *service) { s.DSN = &other }, map[string]event.Change{"dsn": {Before: event.Masked, After: event.Masked}}},
		"a secret removed":     {func(s *service) { s.DSN = nil }, map[string]event.Change{"dsn": {Before: event.Masked, After: nil}}},
		"a secret in a list":   {func(s *service) { s.Env = []variable{{"PORT", "81", 2}} }, map[string]event.Change{"env": {Before: []any{map[string]any{"name": "PORT", "value": event.Masked}}, After: []any{map[string]any{"name": "PORT", "value": event.Masked}}}}},
		"ignored in a list":    {func(s *service) { s.Env = []variable{{"PORT", "80", 2}} }, map[string]event.Change{}},
		"ignored, as embedded": {func(s *service) { s.Version, s.UpdatedAt, s.hidden = 2, noon, 1 }, map[string]event.Change{}},
	} {
		t.Run(name, func(t *testing.T) {
			before, after := base, base
			tc.change(&after)
			for _, got := range []map[string]event.Change{
				event.Changes(before, after), event.Changes(&before, &after), event.Changes(before, &after),
			} {
				if !reflect.DeepEqual(got, tc.want) {
					t.Errorf("answers %#v\nwant    %#v", got, tc.want)
				}
			}
		})
	}
}

func TestChangesOfWhatWasCreatedAndDeleted(t *testing.T) {
	created := event.Changes(nil, limits{CPU: 1})
	if want := map[string]event.Change{"cpu": {Before: event.Absent{}, After: 1.0}, "memory": {Before: event.Absent{}, After: 0}}; !reflect.DeepEqual(created, want) {
		t.Errorf("created: %#v", created)
	}
	var none *service
	secret := "hunter2"
	deleted := event.Changes(&service{DSN: &secret}, none)
	if deleted["dsn"] != (event.Change{Before: event.Masked, After: event.Absent{}}) || deleted["limits.cpu"] != (event.Change{Before: 0.0, After: event.Absent{}}) {
		t.Errorf("deleted: %#v", deleted)
	}
	if none := event.Changes(nil, none); none == nil || len(none) != 0 {
		t.Errorf("nothing at all: %#v", none)
	}
}

func TestChangesOfMaps(t *testing.T) {
	before := map[string]any{"a": 1, "b": map[string]any{"c": nil, "d": []int{1}}, "e": map[int]bool{1: true}, "": "x"}
	after := map[string]any{"a": int64(1), "b": map[string]any{"c": "", "d": []any{1.0}}, "e": map[int]bool{1: false}}
	want := map[string]event.Change{
		"b.c": {Before: nil, After: ""},
		"e.1": {Before: true, After: false},
		`""`:  {Before: "x", After: event.Absent{}},
	}
	if got := event.Changes(before, after); !reflect.DeepEqual(got, want) {
		t.Errorf("answers %#v\nwant    %#v", got, want)
	}
	raw := event.Changes(json.RawMessage(`{"a":{"b":1,"c":2}}`), json.RawMessage(`{"a":{"c":2,"b":1.5}}`))
	if want := map[string]event.Change{"a.b": {Before: json.Number("1"), After: json.Number("1.5")}}; !reflect.DeepEqual(raw, want) {
		t.Errorf("of JSON: %#v", raw)
	}
}

func TestATagOnEitherSideCounts(t *testing.T) {
	got := event.Changes(map[string]any{"name": "PORT", "value": "hunter2", "seen": 1}, variable{"PORT", "hunter3", 2})
	if want := map[string]event.Change{"value": {Before: event.Masked, After: event.Masked}}; !reflect.DeepEqual(got, want) {
		t.Errorf("answers %#v", got)
	}
}

// Names are those of package json, for every struct it has rules for.
func TestFieldsAreNamedAsInJSON(t *testing.T) {
	type Inner struct{ A, B, C, D int }
	type Other struct {
		B int
		C int `json:"C"`
	}
	type Pointed struct{ P int }
	for _, value := range []any{
		struct {
			Inner
			Other
			*Pointed
			A int `json:"a"`
			D int
			//lint:ignore SA5008 package json has rules for these too
			E int `json:"-,"`
			//lint:ignore SA5008 as above
			F int `json:"bad\"name"`
			G int `json:"ok name,omitempty"`
			h int
		}{},
		struct {
			*Pointed
			Inner `json:"inner"`
		}{Pointed: &Pointed{1}},
		struct {
			Z time.Time `json:",omitzero"`
			Y []byte
			X json.Number
			W [2]byte
			V map[string]any `json:",omitempty"`
			U *bool          `json:",string"`
			T any
		}{Y: []byte("x")},
	} {
		encoded, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		var asMap map[string]any
		if err := json.Unmarshal(encoded, &asMap); err != nil {
			t.Fatal(err)
		}
		if got := event.Changes(value, asMap); len(got) != 0 {
			t.Errorf("%T and its JSON %s differ in %v", value, encoded, got)
		}
	}
}

type loop struct {
	Name string
	Next *loop
}

type grumpy struct{ Mood string }

func (grumpy) MarshalJSON() ([]byte, error) { panic("no") }

// What cannot be told is refused where errors are handled: by Record.
func TestRecordRefusesChangesThatCannotBeTold(t *testing.T) {
	ring := &loop{Name: "a"}
	ring.Next = ring
	deep := map[string]any{}
	for inner, i := deep, 0; i < 40; i++ {
		next := map[string]any{}
		inner["d"] = next
		inner = next
	}
	for name, tc := range map[string]struct {
		before, after any
		says          string
	}{
		"neither struct nor map": {1, 2, "int is neither a struct nor a map"},
		"a list":                 {nil, []int{1}, "[]int is neither"},
		"a ring":                 {loop{Name: "a"}, ring, "Next: contains itself"},
		"too deep":               {nil, deep, "is more than 32 levels deep"},
		"a function":             {map[string]any{"f": func() {}}, map[string]any{"f": nil}, "f: json: unsupported type: func()"},
		"not a number":           {map[string]any{"n": math.NaN()}, nil, "n: json: unsupported value: NaN"},
		"a panic":                {map[string]any{"g": grumpy{"bad"}}, nil, "g: panicked: no"},
		"a misspelt tag": {nil, struct {
			DSN string `json:"dsn" audit:"secert"`
		}{"hunter2"}, `dsn: its tag audit:"secert" is none of`},
		"a secret that is no number": {nil, struct {
			PIN json.Number `json:"p" audit:"secret"`
		}{"hunter2"}, "p: cannot be encoded"},
	} {
		t.Run(name, func(t *testing.T) {
			changes := event.Changes(tc.before, tc.after)
			err := event.Validate(t.Context(), anEvent(func(e *event.Event) { e.Metadata = map[string]any{"changes": changes} }))
			var invalid *fault.Field
			if !errors.As(err, &invalid) || invalid.Field != "metadata" || !strings.HasPrefix(invalid.Reason, "changes: ") || !strings.Contains(invalid.Reason, tc.says) {
				t.Errorf("answers %v, want an *InvalidEventError that says %q", err, tc.says)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

func TestChangesShareNoMemory(t *testing.T) {
	after := map[string]any{"hosts": []string{"a"}, "m": map[string]int{"x": 1}}
	changes := event.Changes(map[string]any{"m": nil}, after)
	after["hosts"].([]string)[0], after["m"].(map[string]int)["x"] = "b", 2
	if want := `{"hosts":{"after":["a"]},"m":{"after":{"x":1},"before":null}}`; storedMetadata(t, changes) != want {
		t.Errorf("became %s", storedMetadata(t, changes))
	}
}

func TestUndeclared(t *testing.T) {
	type part struct {
		Declared  string `json:"declared" audit:"track"`
		Forgotten string `json:"forgotten"`
	}
	type whole struct {
		ID      string        `audit:"ignore"`
		Name    string        `json:"name"`
		Part    part          `json:"part" audit:"track"`
		Parts   []*part       `json:"parts"`
		Hidden  part          `json:"hidden" audit:"secret"`
		Parsed  sql.NullInt64 `json:"parsed" audit:"track"`
		Foreign sql.NullInt64 `json:"foreign"`
		At      time.Time     `json:"at" audit:"track"`
		When    *time.Time    `json:"when"`
		Typo    int           `json:"typo" audit:"tracked"`
		Left    int           `json:"-"`
		Next    *whole        `json:"next"`
	}
	want := []string{"foreign.Int64", "foreign.Valid", "name", "part.forgotten", "parts.forgotten", "typo", "when"}
	for _, value := range []any{whole{}, &whole{}, (*whole)(nil)} {
		if got := event.Undeclared(value); !slices.Equal(got, want) {
			t.Errorf("answers %v\nwant    %v", got, want)
		}
	}
	for _, value := range []any{nil, 1, "x", map[string]int{}} {
		if got := event.Undeclared(value); len(got) != 0 {
			t.Errorf("%v: answers %v", value, got)
		}
	}
}

func BenchmarkChanges(b *testing.B) {
	before := service{Name: "api", Limits: limits{1, 512}, Hosts: []string{"a"}, Labels: map[string]string{"team": "core"}}
	after := before
	after.Replicas = 5
	b.ReportAllocs()
	for b.Loop() {
		if len(event.Changes(before, after)) != 1 {
			b.Fatal("not one change")
		}
	}
}
