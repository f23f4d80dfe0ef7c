// Package nilhandle tells handles that lead into no database.
package nilhandle

import "reflect"

// Is reports whether handle is nil, or a nil pointer in an interface.
func Is(handle any) bool {
	value := reflect.ValueOf(handle)
	return !value.IsValid() || value.Kind() == reflect.Pointer && value.IsNil()
}
