package event

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

// Masked stands in the log where a value, or the part of a text, was kept out of it: under a key that opens something
// (see MaskKeys), where a credential is known by its form, and for fields tagged audit:"secret" (see Changes).
const Masked = "[masked]"

// keyRules are what MaskKeys, KeepKeys and WithMasking were given, as canonical names. They are never changed, only
// replaced; nil are none.
type keyRules struct{ masked, kept []string }

var (
	own      atomic.Pointer[keyRules] // of the whole program
	changing sync.Mutex
)

// MaskKeys adds to the keys of metadata whose values are never stored, in this whole program.
//
// Masked in any case are keys that hold a word such as password, secret, token, authorization, cookie, credential or
// API key: in upper or lower case, with any separators or none, with accents or without, at any depth. Not masked are those of them that end in
// what tells and opens nothing, such as token_type and accessKeyId. docs/recording.md has the table.
//
// What is added here is looked for as whole words, and masked with all that is in it, whatever the key ends in: "pin"
// masks pin, userPin, USER_PINS and "card.pin", but not shipping; "card number" masks cardNumber and card-number.
//
// MaskKeys panics with a *fault.Field on a key that CheckKey refuses, as that is a mistake in the program.
func MaskKeys(keys ...string) { addRules(keys, nil) }

// KeepKeys lifts the rules of MaskKeys for keys whose values open nothing here, in this whole program: "client token"
// keeps clientToken and client_token, and spec.client_token in changes, but not userClientToken. Credentials that
// are known by their form are masked there, too, and so is what MaskKeys was given.
//
// KeepKeys panics with a *fault.Field on a key that CheckKey refuses, as that is a mistake in the program.
func KeepKeys(keys ...string) { addRules(nil, keys) }

func addRules(mask, keep []string) {
	changing.Lock()
	defer changing.Unlock()
	own.Store(own.Load().with(mask, keep))
}

// WithMasking returns a context whose events are masked as if MaskKeys had been given the keys mask as well, and KeepKeys
// the keys keep: for a program that records what others send, where each has rules of its own. An event that is written
// as JSON, as package client sends it, keeps nothing but what the program does. WithMasking panics as MaskKeys does.
func WithMasking(ctx context.Context, mask, keep []string) context.Context {
	if len(mask) == 0 && len(keep) == 0 {
		return ctx
	}
	return context.WithValue(ctx, maskingKey, rulesFrom(ctx).with(mask, keep))
}

// rulesFrom returns the rules for the events of ctx.
func rulesFrom(ctx context.Context) *keyRules {
	if rules, ok := ctx.Value(maskingKey).(*keyRules); ok {
		return rules
	}
	return own.Load()
}

// with returns the rules and those for further keys. It panics with a *fault.Field on a key that CheckKey refuses.
func (r *keyRules) with(mask, keep []string) *keyRules {
	for _, key := range slices.Concat(mask, keep) {
		if err := CheckKey("key", key); err != nil {
			panic(err)
		}
	}
	if r == nil {
		r = &keyRules{}
	}
	return &keyRules{slices.Concat(r.masked, canonicalNames(mask)), slices.Concat(r.kept, canonicalNames(keep))}
}

// CheckKey refuses what MaskKeys, KeepKeys and WithMasking cannot look for: a key without letters and digits. The error
// is a *fault.Field about field.
func CheckKey(field, key string) error {
	if canonicalName(key) == "" {
		return fault.Newf(field, fault.Invalid, "%.60q has neither letters nor digits", key)
	}
	return nil
}

// treatment is what becomes of a value. Of two the greater is the stricter.
type treatment int

const (
	ordinary treatment = iota // looked through for what has the form of a credential
	telling                   // of a credential: what it says stays, but objects are sealed
	counting                  // sealed, but for numbers
	heading                   // sealed, but for objects, which are ordinary
	sealed                    // masked, but for what tells by its own key or value
	guarded                   // the same, but for its own value: what a person types may be any word
	hidden                    // masked with all that is in it
)

// within reports whether what is in an object that is treated so belongs to a credential.
func (t treatment) within() bool { return t != ordinary && t != heading }

// mask returns value as it is to be stored, changed in place where it can be.
func (r *keyRules) mask(value any, by treatment) any {
	switch v := value.(type) {
	case string:
		switch {
		case by >= guarded || by > telling && !isFact(v):
			return Masked
		default:
			return r.maskText(v, by)
		}
	case json.Number:
		if by > counting {
			return Masked
		}
	case []any:
		if by == hidden {
			return Masked
		}
		for i := range v {
			v[i] = r.mask(v[i], by)
		}
	case map[string]any:
		sides := isChange(v) // each is masked by itself: what was set, replaced or removed can still be seen
		if by == hidden && !sides {
			return Masked
		}
		named := ordinary // what is said of value, before and after
		for key, child := range v {
			if name, ok := child.(string); ok && isNaming(key) {
				named = max(named, r.treat(name, by))
			}
		}
		for key, child := range v {
			of := by
			if !sides || by == ordinary {
				of = r.treat(key, by)
			}
			// Environment variables, headers and fields are often written {"name": …, "value": …}.
			if isNamed(key) {
				of = max(of, named)
			}
			v[key] = r.mask(child, of)
		}
		maskNames(v)
	}
	return value
}

// maskText returns a text in which the credentials that are known by their form are masked. A text that is JSON is
// masked as metadata is.
func (r *keyRules) maskText(text string, by treatment) string {
	if trimmed := strings.TrimLeft(text, jsonSpace); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.UseNumber()
		var value any
		if decoder.Decode(&value) == nil && isAtEnd(decoder) {
			before, _ := jsonOf(value) // what was decoded can be encoded
			if after, _ := jsonOf(r.mask(value, by)); after != before {
				return after
			}
			return text
		}
	}
	return maskForms(text)
}

func isAtEnd(decoder *json.Decoder) bool {
	_, err := decoder.Token()
	return errors.Is(err, io.EOF)
}

// maskNames masks names of members that have the form of a credential.
func maskNames(object map[string]any) {
	rename(object, func(name string) string {
		if len(name) < shortestToken {
			return name
		}
		return maskForms(name)
	})
}

// isChange reports whether an object has the form of a Change.
func isChange(object map[string]any) bool {
	for key := range object {
		if key != "before" && key != "after" {
			return false
		}
	}
	return len(object) > 0
}

// isNaming reports whether a member with the key names what the other members of its object are about.
func isNaming(key string) bool {
	return strings.EqualFold(key, "name") || strings.EqualFold(key, "key") || strings.EqualFold(key, "field")
}

// isNamed reports whether a member with the key is the value of what another member names.
func isNamed(key string) bool {
	return strings.EqualFold(key, "value") || strings.EqualFold(key, "before") || strings.EqualFold(key, "after")
}
