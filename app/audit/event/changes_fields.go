package event

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// fieldTag is the value of a field's struct tag audit.
type fieldTag int

const (
	untagged fieldTag = iota
	trackedField
	ignoredField
	secretField
	unknownTag
)

// field is a field of a struct as package json sees it, embedded ones promoted.
type field struct {
	name                        string
	index                       []int
	typ                         reflect.Type
	named                       bool // by a json tag
	omitEmpty, omitZero, quoted bool
	tag                         fieldTag
	tagText                     string
}

var fieldsByType sync.Map // reflect.Type to []field

// fieldsOf returns the fields of a struct, ordered by name.
func fieldsOf(t reflect.Type) []field {
	if fields, ok := fieldsByType.Load(t); ok {
		return fields.([]field)
	}
	byName := map[string][]field{}
	promoteFields(t, nil, field{}, map[reflect.Type]bool{}, byName)
	fields := make([]field, 0, len(byName))
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		if f, ok := dominant(byName[name]); ok {
			fields = append(fields, f)
		}
	}
	fieldsByType.Store(t, fields)
	return fields
}

// dominant returns the field a name refers to: the least deeply embedded one, of several the one with a
// json tag. If that leaves several, the name refers to none.
func dominant(fields []field) (field, bool) {
	least := slices.MinFunc(fields, func(a, b field) int { return len(a.index) - len(b.index) })
	fields = slices.DeleteFunc(fields, func(f field) bool { return len(f.index) > len(least.index) })
	if slices.ContainsFunc(fields, func(f field) bool { return f.named }) {
		fields = slices.DeleteFunc(fields, func(f field) bool { return !f.named })
	}
	return fields[0], len(fields) == 1
}

// promoteFields adds the fields of t, which is embedded at index as a field with the tag of outer, or
// is the struct itself.
func promoteFields(t reflect.Type, index []int, outer field, within map[reflect.Type]bool, byName map[string][]field) {
	if within[t] {
		return
	}
	within[t] = true
	defer delete(within, t)
	for i := range t.NumField() {
		inStruct := t.Field(i)
		embedded := inStruct.Type
		if embedded.Kind() == reflect.Pointer {
			embedded = embedded.Elem()
		}
		isEmbeddedStruct := inStruct.Anonymous && embedded.Kind() == reflect.Struct
		jsonTag := inStruct.Tag.Get("json")
		if !inStruct.IsExported() && !isEmbeddedStruct || jsonTag == "-" {
			continue
		}
		f := field{index: append(slices.Clone(index), i), typ: inStruct.Type}
		f.tag, f.tagText = readTag(inStruct.Tag)
		if outer.tag != untagged {
			f.tag, f.tagText = outer.tag, outer.tagText
		}
		name, options, _ := strings.Cut(jsonTag, ",")
		if f.named = isJSONName(name); f.named {
			f.name = name
		} else {
			f.name = inStruct.Name
		}
		if isEmbeddedStruct && !f.named {
			if f.tag == trackedField && !coveredByTrack(embedded, t) {
				f.tag = untagged
			}
			promoteFields(embedded, f.index, f, within, byName)
			continue
		}
		for option := range strings.SplitSeq(options, ",") {
			switch option {
			case "omitempty":
				f.omitEmpty = true
			case "omitzero":
				f.omitZero = true
			case "string":
				f.quoted = isQuotable(inStruct.Type)
			}
		}
		byName[f.name] = append(byName[f.name], f)
	}
}

func readTag(tag reflect.StructTag) (fieldTag, string) {
	text, ok := tag.Lookup("audit")
	switch {
	case !ok:
		return untagged, ""
	case text == "track":
		return trackedField, text
	case text == "ignore":
		return ignoredField, text
	case text == "secret":
		return secretField, text
	default:
		return unknownTag, text
	}
}

// isJSONName reports whether package json accepts name in a tag.
func isJSONName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

// isQuotable reports whether the option "string" of a json tag applies to fields of type t.
func isQuotable(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	scalar := t.Kind() == reflect.String || reflect.Bool <= t.Kind() && t.Kind() <= reflect.Float64
	return scalar && !encodesItself(t)
}

// fieldAt returns a field of v; there is none if it is promoted through a nil pointer.
func fieldAt(v reflect.Value, index []int) (reflect.Value, bool) {
	for i, at := range index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return reflect.Value{}, false
			}
			v = v.Elem()
		}
		v = v.Field(at)
	}
	return v, true
}

// omits reports whether the options of its json tag leave out a field with the value v.
func (f field) omits(v reflect.Value) bool {
	empty := false
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		empty = v.Len() == 0
	case reflect.Struct: // is never empty
	default:
		empty = v.IsZero()
	}
	return f.omitEmpty && empty || f.omitZero && isZero(v)
}

func isZero(v reflect.Value) bool {
	if (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil() {
		return true
	}
	for _, value := range []reflect.Value{v, v.Addr()} { // fields that are read are addressable
		if own, ok := value.Interface().(interface{ IsZero() bool }); ok {
			return own.IsZero()
		}
	}
	return v.IsZero()
}

// Undeclared returns the fields of a struct, or of a pointer to one, whose tag audit is none of track,
// ignore and secret, by their paths as Changes names them, in order. Fields that package json
// leaves out do not count. A field that holds structs is declared by the fields of these, which need
// tags of their own even where it is tracked; only the structs of another package that have no such
// tags at all are tracked with the field. For tests: see package audittest.
func Undeclared(value any) []string {
	missing := map[string]bool{}
	if t := structWithin(reflect.TypeOf(value)); t != nil {
		addUndeclared(t, "", map[reflect.Type]bool{}, missing)
	}
	return slices.Sorted(maps.Keys(missing))
}

func addUndeclared(t reflect.Type, path string, within map[reflect.Type]bool, missing map[string]bool) {
	if within[t] {
		return
	}
	within[t] = true
	defer delete(within, t)
	for _, f := range fieldsOf(t) {
		at := joinPath(path, f.name)
		inner := structWithin(f.typ)
		switch {
		case f.tag == ignoredField || f.tag == secretField:
		case f.tag == unknownTag:
			missing[at] = true
		case inner == nil || len(fieldsOf(inner)) == 0:
			if f.tag == untagged {
				missing[at] = true
			}
		case f.tag == trackedField && coveredByTrack(inner, t):
		default:
			addUndeclared(inner, at, within, missing)
		}
	}
}

// structWithin returns the struct type that t leads to through pointers, lists and maps, or nil: a type
// that encodes itself counts as a plain value.
func structWithin(t reflect.Type) reflect.Type {
	for t != nil && !encodesItself(t) {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			t = t.Elem()
		case reflect.Struct:
			return t
		default:
			return nil
		}
	}
	return nil
}

// coveredByTrack reports whether the tag track on a field of the struct outer declares all of inner.
func coveredByTrack(inner, outer reflect.Type) bool {
	if inner.PkgPath() == "" || inner.PkgPath() == outer.PkgPath() {
		return false
	}
	for i := range inner.NumField() {
		if _, tagged := inner.Field(i).Tag.Lookup("audit"); tagged {
			return false
		}
	}
	return true
}
