// Package fault is how a value that cannot be accepted is refused, from the models to pages, the API,
// imports and commands:
//
//	var refused *fault.Field
//	switch {
//	case errors.Is(err, fault.Expired): // whichever field it is about
//	case errors.As(err, &refused): // refused.Field, refused.Code, refused.Reason
//	}
//
// Programs read the code, people the reason.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Code is what is wrong, in a word that stays the same when sentences change. It is an error, so that
// errors.Is finds it inside a [Field], and by itself where nothing but the kind is known.
type Code string

// Codes of values.
const (
	Invalid      Code = "invalid"       // breaks a rule of its field
	Required     Code = "required"      // is missing
	TooLarge     Code = "too_large"     // has more bytes, levels or items than allowed
	Malformed    Code = "malformed"     // cannot be read: not JSON, not UTF-8, of another type
	UnknownField Code = "unknown_field" // has a name that nothing reads
	Reserved     Code = "reserved"      // is kept for Audit Logs itself
	Taken        Code = "taken"         // is in use, and has to be unique
	LimitReached Code = "limit_reached" // would be one more than allowed
)

// Codes of events.
const (
	NoActor             Code = "no_actor"             // names nobody who did it
	UnknownOrganization Code = "unknown_organization" // names no organization, or none the caller can record in
	OrganizationClosed  Code = "organization_closed"  // belongs to an organization that has been deleted
	Expired             Code = "expired"              // is older than its organization keeps
	IDReused            Code = "id_reused"            // has the ID of another event
	UnregisteredAction  Code = "unregistered_action"  // has an action nobody has declared, where that is asked for
)

// Codes of requests as a whole.
const (
	NotFound  Code = "not_found" // there is nothing of that name, or nothing the asker may know of
	Forbidden Code = "forbidden" // takes rights that the asker does not have
	Conflict  Code = "conflict"  // no longer fits what is stored
	Busy      Code = "busy"      // may succeed later
)

// Error returns the code as words.
func (c Code) Error() string { return strings.ReplaceAll(string(c), "_", " ") }

// Field is the refusal of one value. As JSON it is what the API sends.
type Field struct {
	Field  string `json:"field"`  // as forms, parameters and the API name it: "slug", "entity_id", "actor.id", …
	Code   Code   `json:"code"`   // for programs
	Reason string `json:"detail"` // for people: a sentence, or what follows the field's name in one
}

// Newf returns the refusal of the field for a reason, given as to [fmt.Sprintf].
func Newf(field string, code Code, reason string, args ...any) *Field {
	return &Field{Field: field, Code: code, Reason: fmt.Sprintf(reason, args...)}
}

// Error returns the field's name and the reason.
func (f *Field) Error() string { return f.Field + ": " + f.Reason }

// Unwrap returns the code.
func (f *Field) Unwrap() error { return f.Code }

// Fields are all that is wrong with one value of several fields; errors.As finds the first.
type Fields []*Field

// Add appends err, which is a *Field, Fields or nil.
func (f *Fields) Add(err error) {
	if err != nil {
		*f = append(*f, All(err)...)
	}
}

// Err returns nil where nothing is wrong, a single Field as itself, and otherwise f.
func (f Fields) Err() error {
	switch len(f) {
	case 0:
		return nil
	case 1:
		return f[0]
	default:
		return f
	}
}

// Error returns what each of them says, in one line.
func (f Fields) Error() string {
	texts := make([]string, len(f))
	for i, field := range f {
		texts[i] = field.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap lets errors.Is and errors.As look into each.
func (f Fields) Unwrap() []error {
	errs := make([]error, len(f))
	for i, field := range f {
		errs[i] = field
	}
	return errs
}

// All returns the fields that err refuses: those of [Fields], the one of a [Field], none of any other error.
func All(err error) Fields {
	var several Fields
	if errors.As(err, &several) {
		return several
	}
	var one *Field
	if errors.As(err, &one) {
		return Fields{one}
	}
	return nil
}
