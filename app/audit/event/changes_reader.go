package event

import (
	"bytes"
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"
	"time"
)

// reader turns Go values into states, as package json would turn them into JSON. It holds the pointers,
// maps and slices it is inside of.
type reader map[within]bool

type within struct {
	typ     reflect.Type
	pointer uintptr
	length  int
}

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
	timeType      = reflect.TypeFor[time.Time]()
)

var nullState = &state{text: "null"}

func (r reader) read(v reflect.Value, path string, level int) (s *state) {
	if !v.IsValid() {
		return nullState
	}
	if level > maxMetadataDepth {
		return problemAt(path, "is more than %d levels deep", maxMetadataDepth)
	}
	defer func() {
		if problem := recover(); problem != nil { // by a method of the value's type
			s = problemAt(path, "panicked: %v", problem)
		}
	}()
	if encodesItself(v.Type()) {
		return r.readEncoded(v, path, level)
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice:
		if v.IsNil() {
			return nullState
		}
		here := within{typ: v.Type(), pointer: v.Pointer()}
		if v.Kind() == reflect.Slice {
			here.length = v.Len()
		}
		if r[here] {
			return problemAt(path, `contains itself; tag it audit:"ignore"`)
		}
		if v.Kind() != reflect.Slice || here.length > 0 { // empty lists may share an address
			r[here] = true
			defer delete(r, here)
		}
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return r.read(v.Elem(), path, level) // of nil it is null
	case reflect.Struct:
		return r.readStruct(v, path, level)
	case reflect.Map:
		return r.readMap(v, path, level)
	case reflect.Slice:
		if elem := v.Type().Elem(); elem.Kind() == reflect.Uint8 && !encodesItself(elem) {
			return r.readEncoded(v, path, level) // base64
		}
		return r.readList(v, path, level)
	case reflect.Array:
		return r.readList(v, path, level)
	default:
		return r.readEncoded(v, path, level)
	}
}

func (r reader) readStruct(v reflect.Value, path string, level int) *state {
	v = addressable(v)
	object := &state{members: map[string]*state{}}
	for _, f := range fieldsOf(v.Type()) {
		at := joinPath(path, f.name)
		if f.tag == ignoredField {
			object.members[f.name] = &state{tag: ignoredField}
			continue
		}
		value, ok := fieldAt(v, f.index)
		if !ok || f.omits(value) {
			continue
		}
		member := r.read(value, at, level+1)
		switch {
		case f.tag == secretField && member.problem != nil:
			member = problemAt(at, "cannot be encoded as JSON") // the reason might tell the secret
		case f.tag == unknownTag:
			member = problemAt(at, "its tag audit:%q is none of track, ignore and secret", f.tagText)
		case f.tag != untagged || f.quoted:
			declared := *member // it may be nullState
			declared.tag = f.tag
			if f.quoted && declared.text != "null" && declared.problem == nil {
				declared.plain, declared.text = declared.text, strconv.Quote(declared.text)
			}
			member = &declared
		}
		object.members[f.name] = member
	}
	return object
}

// addressable returns v so that methods of pointers are found, whether or not a pointer was given.
func addressable(v reflect.Value) reflect.Value {
	if v.CanAddr() {
		return v
	}
	copied := reflect.New(v.Type()).Elem()
	copied.Set(v)
	return copied
}

func (r reader) readMap(v reflect.Value, path string, level int) *state {
	object := &state{members: make(map[string]*state, v.Len())}
	for entries := v.MapRange(); entries.Next(); {
		name, err := keyText(entries.Key())
		if err != nil {
			return problemAt(path, "%w", err)
		}
		object.members[name] = r.read(entries.Value(), joinPath(path, name), level+1)
	}
	return object
}

// keyText returns the name package json makes of a map's key.
func keyText(key reflect.Value) (name string, err error) {
	if key.Kind() == reflect.String {
		return key.String(), nil
	}
	object := reflect.MakeMap(reflect.MapOf(key.Type(), reflect.TypeFor[bool]()))
	object.SetMapIndex(key, reflect.ValueOf(true))
	encoded, err := json.Marshal(object.Interface())
	if err != nil {
		return "", err
	}
	return name, EachMember(string(encoded), func(only, _ string) error { name = only; return nil })
}

func (r reader) readList(v reflect.Value, path string, level int) *state {
	list := &state{items: make([]*state, v.Len())}
	for i := range list.items {
		list.items[i] = r.read(v.Index(i), path+"["+strconv.Itoa(i)+"]", level+1)
	}
	return list
}

// readEncoded reads a value through package json.
func (r reader) readEncoded(v reflect.Value, path string, level int) *state {
	v = addressable(v)
	encoded, err := json.Marshal(v.Addr().Interface())
	if err != nil {
		return problemAt(path, "%w", err)
	}
	if v.Kind() != reflect.Slice && !encodesItself(v.Type()) {
		return &state{plain: v.Interface(), text: string(encoded)} // a number stays an int or a float64
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return problemAt(path, "%w", err)
	}
	s := r.read(reflect.ValueOf(value), path, level)
	if v.Type() == timeType && s.problem == nil {
		s.text = strconv.Quote(v.Interface().(time.Time).UTC().Format(time.RFC3339Nano))
	}
	return s
}

// encodesItself reports whether a type, or a pointer to it, is a Marshaler of JSON or text.
func encodesItself(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		return false // what it points to is asked
	}
	pointer := reflect.PointerTo(t)
	return pointer.Implements(jsonMarshaler) || pointer.Implements(textMarshaler)
}
