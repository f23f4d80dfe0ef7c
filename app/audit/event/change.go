package event

import "encoding/json"

// Change is the value of one field before and after, the values of the metadata key "changes".
// A side that is Absent is left out of its JSON; nil is null.
type Change struct {
	Before any `json:"before"`
	After  any `json:"after"`
}

// Absent is the side of a Change on which there is no such field, which is not the same as null.
type Absent struct{}

// MarshalJSON writes null where there is no side to leave out.
func (Absent) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// MarshalJSON leaves out a side that is Absent.
func (c Change) MarshalJSON() ([]byte, error) {
	type after struct {
		After any `json:"after"`
	}
	type before struct {
		Before any `json:"before"`
	}
	switch {
	case c.Before == (Absent{}) && c.After == (Absent{}):
		return []byte("{}"), nil
	case c.Before == (Absent{}):
		return json.Marshal(after{c.After})
	case c.After == (Absent{}):
		return json.Marshal(before{c.Before})
	default:
		return json.Marshal(struct { // in the order in which metadata is stored
			after
			before
		}{after{c.After}, before{c.Before}})
	}
}

// UnmarshalJSON reads what MarshalJSON writes: a side that is not there becomes Absent.
func (c *Change) UnmarshalJSON(raw []byte) error {
	type change Change // without the methods
	read := change{Absent{}, Absent{}}
	if err := json.Unmarshal(raw, &read); err != nil {
		return err
	}
	*c = Change(read)
	return nil
}
