package event

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Changes compares two states of a thing, structs or maps or pointers to them, and returns the fields
// that differ: the value of the metadata key "changes". The result is empty, and never nil, if nothing
// differs.
//
//	before := service
//	service.Replicas = 5
//	…
//	changes := audit.Changes(before, service)
//	_, err := audit.Record(ctx, tx, audit.Event{
//		…
//		Metadata: map[string]any{
//			"changes":        changes,
//			"changed_fields": slices.Sorted(maps.Keys(changes)),
//		},
//	})
//
// Nil as before means that the thing was created, nil as after that it was deleted: that side is
// Absent, as it is where a key was added to a map or taken out of it.
//
// Fields are what package json makes of them: its names, omitempty, embedded structs and Marshalers
// count. Structs and maps are descended into, and a field is named by its path, "limits.cpu"; a name
// that holds a dot is quoted, `labels."example.com/team"`. Lists are compared whole, and so is an
// object with what is none. Two times are the same if they are the same instant.
//
// The struct tag audit declares a field, with all that is in it:
//
//	Replicas  int       `json:"replicas" audit:"track"` // as it would be without the tag
//	UpdatedAt time.Time `json:"updated_at" audit:"ignore"`
//	DSN       string    `json:"dsn" audit:"secret"`
//
// An ignored field never appears. A secret one appears when it changed, with Masked in place of its
// values; null and absent are still shown. A tag on either of the two states
// counts for both. What looks like a credential need not be tagged: see MaskKeys.
//
// The result shares no memory with before and after. Changes does not fail: for what cannot be encoded
// as JSON or is more than 32 levels deep, for a value that contains itself, and for a misspelt audit
// tag, it returns a Change that Record refuses as metadata, naming the field.
func Changes(before, after any) map[string]Change {
	changes := map[string]Change{}
	from, to := stateOf(before), stateOf(after)
	if from == nil && to == nil {
		return changes
	}
	// A thing that was created or deleted is one without fields on the other side, even if it has none.
	if from == nil {
		from = &state{members: map[string]*state{}}
	}
	if to == nil {
		to = &state{members: map[string]*state{}}
	}
	compare("", from, to, changes)
	return changes
}

// compare adds to changes what differs between two states of the field at path. A field that is not
// there is nil.
func compare(path string, before, after *state, changes map[string]Change) {
	if before.isIgnored() || after.isIgnored() {
		return
	}
	secret := before.isSecret() || after.isSecret()
	if !secret && before.isObject() && after.isObject() ||
		!secret && before == nil && len(after.members) > 0 || !secret && after == nil && len(before.members) > 0 {
		for name := range before.and(after) {
			compare(joinPath(path, name), before.member(name), after.member(name), changes)
		}
		return
	}
	if !before.equal(after) {
		changes[path] = Change{Before: before.shown(secret), After: after.shown(secret)}
	}
}

// state is a value as JSON has it: an object, a list, or a plain value.
type state struct {
	members map[string]*state // of an object, else nil
	items   []*state          // of a list, else nil
	plain   any               // of all else: what a Change shows, and
	text    string            // what is compared
	tag     fieldTag
	problem error // why it has no JSON; such states never equal each other
}

func (s *state) isObject() bool  { return s != nil && s.members != nil }
func (s *state) isSecret() bool  { return s != nil && s.tag == secretField }
func (s *state) isIgnored() bool { return s != nil && s.tag == ignoredField }

func (s *state) member(name string) *state {
	if s == nil {
		return nil
	}
	return s.members[name]
}

// and returns the names that s or other has.
func (s *state) and(other *state) map[string]bool {
	names := map[string]bool{}
	for _, one := range []*state{s, other} {
		if one != nil {
			for name := range one.members {
				names[name] = true
			}
		}
	}
	return names
}

// equal reports whether s and other have the same values, secrets included.
func (s *state) equal(other *state) bool {
	switch {
	case s == nil || other == nil:
		return s == other
	case s.problem != nil || other.problem != nil:
		return false
	case s.members != nil && other.members != nil:
		for name := range s.and(other) {
			one, two := s.member(name), other.member(name)
			if !one.isIgnored() && !two.isIgnored() && !one.equal(two) {
				return false
			}
		}
		return true
	case s.items != nil && other.items != nil:
		return slices.EqualFunc(s.items, other.items, (*state).equal)
	default:
		return s.members == nil && other.members == nil && s.items == nil && other.items == nil && s.text == other.text
	}
}

// shown returns what a Change holds of s.
func (s *state) shown(secret bool) any {
	switch {
	case s == nil:
		return Absent{}
	case s.problem != nil:
		return unencodable{s.problem}
	case secret || s.isSecret():
		if s.text == "null" {
			return nil
		}
		return Masked
	case s.members != nil:
		object := make(map[string]any, len(s.members))
		for name, member := range s.members {
			if !member.isIgnored() {
				object[name] = member.shown(false)
			}
		}
		return object
	case s.items != nil:
		list := make([]any, len(s.items))
		for i, item := range s.items {
			list[i] = item.shown(false)
		}
		return list
	default:
		return s.plain
	}
}

// unencodable stands for a value without JSON; it makes Record refuse the event.
type unencodable struct{ problem error }

func (u unencodable) MarshalJSON() ([]byte, error) { return nil, u.problem }

func (u unencodable) String() string { return u.problem.Error() }

// changeError is why a field given to Changes has no JSON.
type changeError struct {
	path string
	err  error
}

func (e *changeError) Error() string {
	if e.path == "" {
		return "changes: " + e.err.Error()
	}
	return "changes: " + e.path + ": " + e.err.Error()
}

func (e *changeError) Unwrap() error { return e.err }

// problemAt returns a state without JSON.
func problemAt(path, format string, args ...any) *state {
	return &state{problem: &changeError{path, fmt.Errorf(format, args...)}}
}

// joinPath adds a name to a path. Names that would make a path ambiguous are quoted, as in TOML.
func joinPath(path, name string) string {
	if name == "" || strings.ContainsAny(name, `."`) {
		name = strconv.Quote(name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// stateOf reads an argument of Changes. It returns nil for nil.
func stateOf(value any) *state {
	s := reader{}.read(reflect.ValueOf(value), "", 0)
	switch {
	case s.problem == nil && s.text == "null" && s.members == nil && s.items == nil:
		return nil
	case s.problem == nil && s.members == nil:
		return problemAt("", "%T is neither a struct nor a map", value)
	default:
		return s
	}
}
